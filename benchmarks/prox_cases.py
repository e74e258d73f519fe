"""What benchmarks of proximal operators and projections share: cases, verified and then timed."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
import torchvision
from torch import Tensor

import timing
from cases import Provider
from mixing import in_huge_pages, provider
from stopwatch import Stopwatch, seconds

NEW, IN_PLACE, STEP = "new", "in place", "step"
SIDE = 4096
SPAMS = provider("spams", peer=("spams-bin", "spams"), devices=("cpu",))
PYPROXIMAL = provider("pyproximal", peer=("pyproximal", "pyproximal"), devices=("cpu",))

Call = Callable[[list[Tensor]], Sequence[Tensor] | None]
"""From weights to their proximal operators; None if these have replaced them."""


@dataclass(frozen=True)
class Way:
    """One way of computing it.

    Attributes:
        provider: who.
        call: what is timed.
        exact: whether it has to be right; False for bytes.
        prepare: from the weights to what the call takes, and back: layouts of its own.
        tolerance: by how much it may err, where the case allows less.
    """

    provider: Provider
    call: Call
    exact: bool = True
    prepare: Callable[[list[Tensor]], list[Tensor]] = list
    undo: Callable[[Sequence[Tensor]], Sequence[Tensor]] = list
    tolerance: float = 0.0


@dataclass(frozen=True, eq=False)
class Case:
    """Weights of one kind and an operator.

    Attributes:
        op: as in the CSV file.
        mode: likewise.
        weights: makes them.
        right: the operator in float64.
        ways: those compared, the one that decides what is new or in place included.
    """

    op: str
    mode: str
    weights: Callable[[], list[Tensor]]
    right: Callable[[Tensor], Tensor]
    ways: tuple[Way, ...]
    tolerance: float = 1e-5

    @functools.cached_property
    def given(self) -> list[Tensor]:
        return self.weights()

    @property
    def size(self) -> int:
        return sum(w.numel() for w in self.given)

    @property
    def features(self) -> int:
        """The number of tensors."""
        return len(self.given)

    def time(self, device: torch.device) -> timing.Outcomes:
        """Verify, then time, all from the same weights."""
        given = [w.to(device) for w in self.given]
        samplers: dict[str, timing.Sampler] = {}
        outcomes: timing.Outcomes = {}
        for way in self.ways:
            if way.provider.why_not(0, device):
                continue
            name = str(way.provider)
            sampler = Fresh(way, given, device, self.mode != NEW)
            try:
                self.verify(way, sampler.once())
            except timing.FAILURES as error:
                outcomes[name] = error.with_traceback(None)
            else:
                samplers[name] = sampler
        return outcomes | timing.in_turn(samplers, min_rounds=5)

    def verify(self, way: Way, got: Sequence[Tensor]) -> None:
        """Raise AssertionError unless it is right.

        Norms and thresholds in float32 err by a few units of their last place, which a shrinkage
        near the threshold magnifies: errors are measured against the whole tensor.
        """
        if not way.exact:
            return
        for w, x in zip(self.given[:3], got, strict=False):
            want = self.right(w.double())
            error = float((x.double().cpu() - want).norm() / want.norm())
            assert error <= max(self.tolerance, way.tolerance), (
                f"{self.op}: {way.provider} errs by {error:.1e}"
            )


class Fresh:
    """Measures the seconds of a call on weights that are the same every time."""

    def __init__(self, way: Way, given: list[Tensor], device: torch.device, changed: bool) -> None:
        self.way, self.device, self.changed = way, device, changed
        self.source = way.prepare(given)
        self.weights = [w.clone() for w in self.source] if changed else self.source
        self.stopwatch = Stopwatch(lambda: way.call(self.weights), device)

    def restore(self) -> None:
        for w, source in zip(self.weights, self.source, strict=True):
            w.copy_(source)

    def once(self) -> Sequence[Tensor]:
        if self.changed:
            self.restore()
        result = self.way.call(self.weights)
        return self.way.undo(self.weights if result is None else result)

    def __call__(self) -> float:
        if not self.changed:
            return self.stopwatch()
        self.restore()
        return seconds(lambda: self.way.call(self.weights), self.device)


def each(function: Callable[[Tensor], Tensor]) -> Call:
    return lambda weights: [function(w) for w in weights]


def each_(function: Callable[[Tensor], object]) -> Call:
    def call(weights: list[Tensor]) -> None:
        for w in weights:
            function(w)

    return call


def random_rows() -> list[Tensor]:
    return [torch.randn(SIDE, SIDE, generator=torch.Generator().manual_seed(0))]


def filters() -> list[Tensor]:
    """Those of the 53 convolutions of a ResNet-50: 26,560."""
    torch.manual_seed(0)
    modules = torchvision.models.resnet50().modules()
    return [m.weight.detach() for m in modules if isinstance(m, torch.nn.Conv2d)]


def bytes_ways(mode: str) -> tuple[Way, ...]:
    if mode == NEW:
        return (
            Way(provider("bytes-new"), each(torch.clone), exact=False),
            Way(
                provider("bytes-new-2MiB"),
                each(lambda w: in_huge_pages(torch.empty_like(w)).copy_(w)),
                exact=False,
            ),
        )
    return (Way(provider("bytes"), each_(lambda w: w.mul_(1)), exact=False),)


@functools.lru_cache(maxsize=1)
def case_of(build: Callable[[], Case]) -> Case:
    return build()


@functools.lru_cache(maxsize=1)
def outcomes_of(build: Callable[[], Case], device: torch.device) -> timing.Outcomes:
    return case_of(build).time(device)


def report(
    report_time: Callable[..., None], device: torch.device, build: Callable[[], Case], who: str
) -> None:
    """Report one provider of a case; the first one has all of them measured."""
    case = case_of(build)
    way = next(w for w in case.ways if w.provider.name == who)
    if reason := way.provider.why_not(0, device):
        pytest.skip(reason)
    title = f"{case.op}, {case.size} numbers, {case.mode}"
    report_time(case, way.provider, case.mode, outcomes_of(build, device), title)
