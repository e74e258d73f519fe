"""How long commands take to start, against what Python and PyTorch take by themselves.

``pytest benchmarks/bench_startup.py``; every round is a process of its own.
"""

import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

COMMANDS = {
    "python": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import lelkern": ["-c", "import lelkern"],
    "import lelkern, then an op": ["-c", "import lelkern; lelkern.nt_xent"],
    "lelkern --help": ["-m", "lelkern", "--help"],
    "lelkern studies": ["-m", "lelkern", "studies"],
    "lelkern methods": ["-m", "lelkern", "methods"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_startup(benchmark: BenchmarkFixture, name: str) -> None:
    benchmark.group = "start-up"
    command = [sys.executable, *COMMANDS[name]]
    subprocess.run(command, check=True, capture_output=True)  # compiled and in the page cache
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda: subprocess.run(command, check=True, capture_output=True), rounds=7, iterations=1
    )
