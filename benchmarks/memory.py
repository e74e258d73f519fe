"""Peak memory of one forward and backward, each measured in a process of its own; on Linux.

    python benchmarks/memory.py nt_xent lelkern 2048

prints the bytes of one provider, given as in the ids of the tests.
"""

import ctypes
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cases import BOTH, Case, Provider

TINY = 64


def peak_bytes(case: Case, provider: Provider) -> int:
    """Return by how many bytes one call raises the peak of a fresh process."""
    command = [sys.executable, __file__, case.op, str(provider), str(case.size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


def _measure(build: Callable[[str, int], Case], op: str, name: str, size: int) -> int:
    case = build(op, size)
    provider = next(p for p in case.providers[BOTH] if str(p) == name)
    step = case.step_of(provider, BOTH)
    # Code, threads and pools are not the loss's. What is compiled for a shape needs that shape.
    warm_up = step if provider.compiled else build(op, TINY).step_of(provider, BOTH)
    with provider.settings():
        warm_up()
        _reset_peak()
        before = _peak()
        step()
    return _peak() - before


def _reset_peak() -> None:
    """Make the peak the memory held now: importing and compiling may have needed more."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak() -> int:
    """Return VmHWM: unlike ru_maxrss it does not start from the peak of the parent process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * next(
        int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")
    )


if __name__ == "__main__":
    op, name, size = sys.argv[1:]
    module = importlib.import_module("bench_" + op.split()[0])
    print(_measure(module.build, op, name, int(size)))
