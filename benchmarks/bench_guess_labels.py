"""Guessed labels and sharpening: lelkern against its reference, plain PyTorch and torch.compile.

    pytest benchmarks/bench_guess_labels.py --benchmark-group-by=group --csv

The providers of a group are measured in turn, all on the same logits.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

import lelkern
import timing
from cases import Provider
from lelkern.reference import guess_labels as guess_reference
from lelkern.reference import sharpen as sharpen_reference
from stopwatch import Stopwatch

pytestmark = pytest.mark.benchmark(timer=timing.CLOCK)

TEMPERATURE = 0.5
MODE = "forward"

Function = Callable[[Tensor], Tensor]


def plain_guess(logits: Tensor) -> Tensor:
    """As it is written in codebases: right as long as no power underflows."""
    powers = logits.softmax(-1).mean(0) ** (1 / TEMPERATURE)
    return powers / powers.sum(-1, keepdim=True)


def plain_sharpen(p: Tensor) -> Tensor:
    powers = p ** (1 / TEMPERATURE)
    return powers / powers.sum(-1, keepdim=True)


def temperature(like: Tensor) -> Tensor:
    return torch.full((), TEMPERATURE, dtype=torch.float64, device=like.device)


def logits(K: int, B: int, C: int) -> Tensor:
    return 3 * torch.randn(K, B, C, generator=torch.Generator().manual_seed(0))


def distributions(B: int, C: int) -> Tensor:
    return logits(1, B, C)[0].softmax(-1)


def provider(name: str, compiled: bool = False) -> Provider:
    return Provider(name, lambda *_: torch.empty(0), compiled=compiled)


LELKERN, REFERENCE = provider("lelkern"), provider("reference")
PLAIN, COMPILED = provider("pytorch"), provider("torch.compile", compiled=True)


@dataclass(frozen=True, eq=False)
class Case:
    """One function of one size.

    Attributes:
        op: as in the CSV file.
        size: distributions that come out.
        features: their classes.
        given: makes the input.
        functions: by provider.
    """

    op: str
    size: int
    features: int
    given: Callable[[], Tensor]
    functions: dict[Provider, Function]

    def time(self, device: torch.device) -> timing.Outcomes:
        """Verify, which also compiles, then time."""
        x = self.given().to(device)
        want = self.functions[PLAIN](x.double())
        samplers: dict[str, timing.Sampler] = {}
        outcomes: timing.Outcomes = {}
        for provider, function in self.functions.items():
            if provider.compiled:
                torch._dynamo.reset()
                function = torch.compile(function)
            try:
                # Of a guess each power is off by some units in the last place, as many as it has
                # operations and its logits differ by.
                torch.testing.assert_close(function(x).double(), want, rtol=1e-4, atol=1e-9)
            except timing.FAILURES as error:
                outcomes[str(provider)] = error.with_traceback(None)
            else:
                samplers[str(provider)] = Stopwatch(functools.partial(function, x), device)
        return outcomes | timing.in_turn(samplers, min_rounds=5)


def guess_case(K: int, B: int, C: int) -> Case:
    return Case(
        f"guess_labels K={K}",
        B,
        C,
        lambda: logits(K, B, C),
        {
            LELKERN: lambda x: lelkern.guess_labels(x, TEMPERATURE),
            REFERENCE: lambda x: guess_reference.guess_labels(x, temperature(x)),
            PLAIN: plain_guess,
            COMPILED: plain_guess,
        },
    )


def sharpen_case(B: int, C: int) -> Case:
    return Case(
        "sharpen",
        B,
        C,
        lambda: distributions(B, C),
        {
            LELKERN: lambda x: lelkern.sharpen(x, TEMPERATURE),
            REFERENCE: lambda x: sharpen_reference.sharpen(x, temperature(x)),
            PLAIN: plain_sharpen,
            COMPILED: plain_sharpen,
        },
    )


CASES = (
    guess_case(2, 64, 10),  # CIFAR-10 as in the paper
    guess_case(2, 256, 1000),
    guess_case(4, 1024, 1000),
    sharpen_case(256, 1000),
)


@functools.lru_cache(maxsize=1)
def group(case: Case, device: torch.device) -> timing.Outcomes:
    return case.time(device)


@pytest.mark.parametrize(
    ("case", "provider"),
    [
        pytest.param(case, provider, id=f"{case.op}-{case.size}-{case.features}-{provider}")
        for case in CASES
        for provider in case.functions
    ],
)
def test_time(
    report_time: Callable[..., None], device: torch.device, case: Case, provider: Provider
) -> None:
    title = f"{case.op}, {case.size} x {case.features}"
    report_time(case, provider, MODE, group(case, device), title)
