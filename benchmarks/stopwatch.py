"""Seconds of a call, on a CPU or a GPU."""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

SHORT_SECONDS = 1e-3


def seconds(call: Callable[[], object], device: torch.device, repeats: int = 1) -> float:
    """Return the mean seconds of calls in a row, until the device has done what they asked for."""
    synchronize(device)
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    synchronize(device)
    return (time.perf_counter() - start) / repeats


def synchronize(device: torch.device) -> None:
    """Wait until the device has nothing left to do; a CPU never has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Stopwatch:
    """Measures the seconds of a call each time it is called.

    Calls shorter than a millisecond are timed several in a row: each is then too short for the
    clock, and on a GPU for the wait at its end.
    """

    def __init__(
        self,
        call: Callable[[], object],
        device: torch.device,
        settings: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.call = call
        self.device = device
        self.settings = settings
        self.repeats = 1

    def __call__(self) -> float:
        with self.settings():
            elapsed = seconds(self.call, self.device, self.repeats)
            while self.repeats * elapsed < SHORT_SECONDS:
                self.repeats = math.ceil(1.25 * SHORT_SECONDS / elapsed)
                elapsed = seconds(self.call, self.device, self.repeats)
        return elapsed
