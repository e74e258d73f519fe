"""How long commands take to start, against what Python and PyTorch take by themselves.

``pytest benchmarks/bench_startup.py``; every round is a process of its own, which finds lelkern
compiled to bytecode, as an installation leaves it.
"""

import os
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
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def start() -> None:
        subprocess.run(command, env=environment, check=True, capture_output=True)

    start()  # writes the bytecode and fills the page cache
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        start, rounds=7, iterations=1
    )
