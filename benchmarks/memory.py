"""Peak memory of one forward and backward, each measured in a process of its own; on Linux.

    python benchmarks/memory.py nt_xent lelkern 2048 cpu

prints the bytes of one provider, given as in the ids of the tests.
"""

import ctypes
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from cases import BOTH, Case, Provider

TINY = 64


def peak_bytes(case: Case, provider: Provider, device: torch.device) -> int:
    """Return by how many bytes one call raises the peak of a fresh process."""
    command = [sys.executable, __file__, case.op, str(provider), str(case.size), str(device)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


def _measure(
    build: Callable[[str, int], Case], op: str, name: str, size: int, device: torch.device
) -> int:
    case = build(op, size).on(device)
    provider = next(p for p in case.providers[BOTH] if str(p) == name)
    step = case.step_of(provider, BOTH)
    # Code, threads and pools are not the loss's. What is compiled for a shape needs that shape.
    warm_up = step if provider.compiled else build(op, TINY).on(device).step_of(provider, BOTH)
    with provider.settings():
        warm_up()
        _reset_peak(device)
        before = _peak(device)
        step()
    return _peak(device) - before


def _reset_peak(device: torch.device) -> None:
    """Make the peak the memory held now: importing and compiling may have needed more."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak(device: torch.device) -> int:
    """Return the bytes that tensors had at most on a GPU, or VmHWM.

    Unlike ru_maxrss it does not start from the peak of the parent process.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * next(
        int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")
    )


if __name__ == "__main__":
    op, name, size, device = sys.argv[1:]
    module = importlib.import_module("bench_" + op.split()[0])
    print(_measure(module.build, op, name, int(size), torch.device(device)))
