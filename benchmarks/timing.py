"""Timing of several providers in turn, so that what disturbs the machine hits all alike."""

import gc
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from cases import Case, Provider
from gemm import Gemm
from stopwatch import Stopwatch

BUDGET_SECONDS = 5.0  # of a group, beyond its first rounds
SLOW_SECONDS = 6.0  # after so much a provider sits out what rounds remain
MIN_SLOW_ROUNDS = 3
MAX_ROUNDS = 50

K = TypeVar("K")
Sampler = Callable[[], float]
"""Measures once, and returns seconds."""
FAILURES = (AssertionError, RuntimeError)  # wrong, out of memory, or not to be compiled
Outcomes = dict[str, list[float] | Exception]
"""By provider the seconds of each round, or what was wrong."""

SGEMM = Provider("sgemm", lambda *inputs: inputs[0])  # no loss: the time of the products alone


class Clock:
    """A timer for pytest-benchmark that shows the time of seconds that were measured before."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


CLOCK = Clock()


def in_order(samples: Sequence[float]) -> Callable[[], tuple[tuple[float], dict[str, object]]]:
    """Return a set-up for pytest-benchmark that hands one sample after the other to the clock."""
    remaining = iter(samples)
    return lambda: ((next(remaining),), {})


def time_case(case: Case, mode: str, providers: Sequence[Provider]) -> Outcomes:
    """Verify, then time."""
    outcomes: Outcomes = {}
    samplers: dict[str, Sampler] = {}
    for provider in providers:
        name = str(provider)
        if provider is SGEMM:
            samplers[name] = Gemm(case.features, case.flops[mode], case.device)
            continue
        step = case.step_of(provider, mode)
        try:
            with provider.settings():
                case.verify(provider, step())  # which also compiles, and warms up
        except FAILURES as error:
            outcomes[name] = error.with_traceback(None)  # whose frames keep tensors
        else:
            samplers[name] = Stopwatch(step, case.device, provider.settings)
    return outcomes | in_turn(samplers, case.min_rounds)


def in_turn(samplers: Mapping[K, Sampler], min_rounds: int) -> dict[K, list[float]]:
    """Return what each sampler measured in each of several rounds."""
    samples: dict[K, list[float]] = {name: [] for name in samplers}
    first_rounds = min(MIN_SLOW_ROUNDS, min_rounds)
    rounds, end = 0, 0.0
    order = list(samplers)
    shuffle = random.Random(0).shuffle
    gc.collect()
    gc.disable()
    try:
        while rounds < min_rounds or (rounds < MAX_ROUNDS and time.perf_counter() < end):
            shuffle(order)  # so that nobody always follows the one that empties the cache
            for name in order:
                if rounds < first_rounds or sum(samples[name]) < SLOW_SECONDS:
                    samples[name].append(samplers[name]())
            rounds += 1
            if rounds == first_rounds:
                end = time.perf_counter() + BUDGET_SECONDS
    finally:
        gc.enable()
    return samples
