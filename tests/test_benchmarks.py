"""The benchmarks as a user runs them; what they measure is not looked at."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent


def bench(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("gpu", "Expected one of cpu, cuda"),
        ("meta", "only cpu and cuda are measured"),
        pytest.param(
            "cuda",
            "NVIDIA",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_a_device_that_cannot_be_measured_is_an_error_of_one_line(device, reason) -> None:
    done = bench("benchmarks/bench_ema.py", "--device", device)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = done.stderr.split("\n\n")[0].splitlines()
    assert line.startswith(f"ERROR: --device {device}: ")
    assert reason in line


@pytest.mark.slow
def test_every_provider_of_a_group_gets_a_row(tmp_path) -> None:
    path = tmp_path / "new.csv"
    done = bench("benchmarks/bench_ema.py", "-k", "small", "--csv", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ours = {"lelkern", "lelkern.nn.ModelEMA", "pytorch-foreach", "pytorch-loop", "bytes"}
    assert ours <= {row["provider"] for row in rows}  # peers need not be installed
    for row in rows:
        assert 0 < float(row["p20"]) <= float(row["p50"]) <= float(row["p80"])
        assert int(row["rounds"]) >= 5
        assert int(row["size"]) == 160 * 64
