"""Moving averages of a model's parameters: lelkern against loops, foreach, modules and the bytes.

    pytest benchmarks/bench_ema.py --benchmark-group-by=group --csv

The providers of a group are measured in turn.
"""

import copy
import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import lelkern
import timing
from cases import Provider
from stopwatch import Stopwatch

pytestmark = pytest.mark.benchmark(timer=timing.CLOCK)

DECAY = 0.999
MODE = "update"

Step = Callable[[], None]
Build = Callable[[nn.Module, list[Tensor]], tuple[Step, list[Tensor]]]
"""From a model and averages of its parameters to an update and its averages, these or its own."""


def resnet50() -> nn.Module:
    return torchvision.models.resnet50()


def small() -> nn.Module:
    """160 tensors of 64 elements, as the biases and normalisations of a large model."""
    return nn.ParameterList([torch.randn(64) for _ in range(160)])


MODELS: dict[str, Callable[[], nn.Module]] = {"ema resnet50": resnet50, "ema small": small}


def lists(update: Callable[[list[Tensor], list[Tensor]], object]) -> Build:
    """Return how to update averages by a function of two lists."""

    def build(model: nn.Module, ema: list[Tensor]) -> tuple[Step, list[Tensor]]:
        parameters = [p.detach() for p in model.parameters()]
        return lambda: (update(ema, parameters), None)[1], ema

    return build


def ema_update(ema: list[Tensor], params: list[Tensor]) -> None:
    lelkern.ema_update_(ema, params, DECAY)


def ema_update_stochastic(ema: list[Tensor], params: list[Tensor]) -> None:
    lelkern.ema_update_(ema, params, DECAY, stochastic_rounding=True)


def loop(ema: list[Tensor], params: list[Tensor]) -> None:
    for average, parameter in zip(ema, params, strict=True):
        average.mul_(DECAY).add_(parameter, alpha=1 - DECAY)


def foreach_lerp(ema: list[Tensor], params: list[Tensor]) -> None:
    torch._foreach_lerp_(ema, params, 1 - DECAY)


def foreach_mul_add(ema: list[Tensor], params: list[Tensor]) -> None:
    """What is left where dtypes differ."""
    torch._foreach_mul_(ema, DECAY)
    torch._foreach_add_(ema, params, alpha=1 - DECAY)


def of(module: nn.Module, step: Step) -> tuple[Step, list[Tensor]]:
    return step, [p.detach() for p in module.parameters()]


def model_ema(model: nn.Module, averages: list[Tensor]) -> tuple[Step, list[Tensor]]:
    ema = lelkern.nn.ModelEMA(model, DECAY, dtype=averages[0].dtype)
    return of(ema.module, lambda: ema.update(model))


def averaged_model(model: nn.Module, averages: list[Tensor]) -> tuple[Step, list[Tensor]]:
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    ema.update_parameters(model)  # which copies
    return of(ema.module, lambda: ema.update_parameters(model))


def timm(model: nn.Module, averages: list[Tensor]) -> tuple[Step, list[Tensor]]:
    ema = importlib.import_module("timm.utils").ModelEmaV3(model, DECAY)
    return of(ema.module, lambda: ema.update(model))


def ema_pytorch(model: nn.Module, averages: list[Tensor]) -> tuple[Step, list[Tensor]]:
    module = importlib.import_module("ema_pytorch")
    # At once, always, and without warm-up, as all others.
    ema = module.EMA(model, beta=DECAY, min_value=DECAY, update_after_step=-1, update_every=1,
                     use_foreach=True)  # fmt: skip
    ema.update()  # which copies
    return of(ema.ema_model, ema.update)


@dataclass(frozen=True, eq=False)
class Case:
    """One model in one pair of dtypes, to be averaged.

    Attributes:
        op: as in the CSV file, a key of MODELS.
        average: dtype of the averages.
        parameter: of the parameters.
        builders: by provider, how to build an update of averages; None for the bytes of an update
            alone.
    """

    op: str
    average: torch.dtype
    parameter: torch.dtype
    builders: tuple[tuple[Provider, Build | None], ...]

    @functools.cached_property
    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return MODELS[self.op]().to(self.parameter)

    @property
    def size(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    @property
    def features(self) -> int:
        """The number of tensors."""
        return len(list(self.model.parameters()))

    def time(self, device: torch.device) -> timing.Outcomes:
        """Verify, then time, all on the same parameters and, where that can be, averages.

        With where in memory they happen to be, copies of a model differ by a tenth in speed. So the
        bytes alone are those of the same memory, too.
        """
        model = copy.deepcopy(self.model).to(device)
        flat_parameters, places = flat(list(model.parameters()), self.parameter)
        for parameter, place in zip(model.parameters(), places, strict=True):
            parameter.data = place
        flat_averages, shared = flat(places, self.average)
        samplers: dict[str, timing.Sampler] = {}
        outcomes: timing.Outcomes = {}
        for provider, build in self.builders:
            if build is None:
                samplers[str(provider)] = Floor(flat_averages, flat_parameters)
                continue
            if provider.why_not(0, device):
                continue
            step, averages = build(model, shared)
            try:
                self.verify(provider, step, averages)
            except timing.FAILURES as error:
                outcomes[str(provider)] = error.with_traceback(None)
            else:
                samplers[str(provider)] = Stopwatch(step, device)
        return outcomes | timing.in_turn(samplers, min_rounds=5)

    def verify(self, provider: Provider, step: Step, averages: Sequence[Tensor]) -> None:
        """Raise AssertionError unless an update from other averages is right.

        A mean in float32 errs by a few units in the last place of the larger of its operands, one
        in bfloat16 by half the distance of neighbours, or all of it if rounded stochastically.
        """
        step()
        generator = torch.Generator().manual_seed(1)
        for x in averages:
            x.copy_(torch.randn(x.shape, generator=generator))
        before = [x.double() for x in averages]
        step()
        eps = torch.finfo(self.average).eps
        for x, old, p in zip(averages, before, self.model.parameters(), strict=True):
            new = p.detach().double().to(x.device)
            want = DECAY * old + (1 - DECAY) * new
            bound = 4 * eps * (old.abs() + new.abs())
            assert ((x.double() - want).abs() <= bound).all(), f"{self.op}: {provider} errs"


def flat(tensors: Sequence[Tensor], dtype: torch.dtype) -> tuple[Tensor, list[Tensor]]:
    """Return a vector, and the tensors copied into it one after the other, as aligned as it is."""
    steps = [-(-x.numel() // 64) * 64 for x in tensors]  # elements: 128 bytes or more
    vector = torch.zeros(sum(steps), dtype=dtype, device=tensors[0].device)
    copies = []
    for x, part in zip(tensors, vector.split(steps), strict=True):
        copies.append(part[: x.numel()].view_as(x).copy_(x.detach()))
    return vector, copies


class Floor:
    """Measures the seconds of the bytes of an update at the rate of a triad, a += c b, in float32.

    It reads both vectors and writes one of them, as an update does, and all in one piece.
    """

    def __init__(self, averages: Tensor, parameters: Tensor) -> None:
        a, b = averages.view(torch.float32), parameters.view(torch.float32)
        bytes_each = 2 * averages.itemsize + parameters.itemsize
        if len(a) != len(b):
            b = torch.ones_like(a)
        self.share = len(averages) * bytes_each / (len(a) * 12)
        # Times 0: the averages stay what they are.
        self.sample = Stopwatch(lambda: a.add_(b, alpha=0), a.device)

    def __call__(self) -> float:
        return self.share * self.sample()


def provider(name: str, dtype: str = "float32", peer: tuple[str, str] | None = None) -> Provider:
    return Provider(name, lambda *_: torch.empty(0), dtype=dtype, peer=peer)


# The last provider of each: the bytes alone.
FLOAT32 = (
    (provider("lelkern"), lists(ema_update)),
    (provider("lelkern.nn.ModelEMA"), model_ema),
    (provider("pytorch-foreach"), lists(foreach_lerp)),
    (provider("pytorch-loop"), lists(loop)),
    (provider("AveragedModel"), averaged_model),
    (provider("timm", peer=("timm", "timm")), timm),
    (provider("ema-pytorch", peer=("ema-pytorch", "ema_pytorch")), ema_pytorch),
    (provider("bytes"), None),
)
MIXED = (
    (provider("lelkern", "float32-of-bfloat16"), lists(ema_update)),
    (provider("pytorch-foreach", "float32-of-bfloat16"), lists(foreach_mul_add)),
    (provider("pytorch-loop", "float32-of-bfloat16"), lists(loop)),
    (provider("bytes", "float32-of-bfloat16"), None),
)
BFLOAT16 = (
    (provider("lelkern", "bfloat16"), lists(ema_update)),
    (provider("lelkern-stochastic", "bfloat16"), lists(ema_update_stochastic)),
    (provider("pytorch-foreach", "bfloat16"), lists(foreach_lerp)),
    (provider("pytorch-loop", "bfloat16"), lists(loop)),
    (provider("bytes", "bfloat16"), None),
)
CASES = (
    Case("ema resnet50", torch.float32, torch.float32, FLOAT32),
    Case("ema small", torch.float32, torch.float32, FLOAT32),
    Case("ema resnet50", torch.float32, torch.bfloat16, MIXED),
    Case("ema resnet50", torch.bfloat16, torch.bfloat16, BFLOAT16),
)


@functools.lru_cache(maxsize=1)
def group(case: Case, device: torch.device) -> timing.Outcomes:
    return case.time(device)


@pytest.mark.parametrize(
    ("case", "provider"),
    [
        pytest.param(case, provider, id=f"{case.op}-{provider}")
        for case in CASES
        for provider, _ in case.builders
    ],
)
def test_time(
    report_time: Callable[..., None], device: torch.device, case: Case, provider: Provider
) -> None:
    if reason := provider.why_not(0, device):
        pytest.skip(reason)
    title = f"{case.op}, {case.size} parameters, {provider.dtype}"
    report_time(case, provider, MODE, group(case, device), title)
