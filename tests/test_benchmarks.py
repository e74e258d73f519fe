"""The benchmarks as a user runs them; what they measure is not looked at."""

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parent.parent


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("gpu", "Expected one of cpu, cuda"),
        ("meta", "only cpu and cuda are measured"),
        pytest.param(
            "cuda",
            "NVIDIA" if torch.version.cuda else "not compiled with CUDA",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
)
def test_a_device_that_cannot_be_measured_is_an_error_of_one_line(module, device, reason) -> None:
    file = ROOT / "benchmarks/conftest.py"  # not by its name, which that of the tests has as well
    spec = importlib.util.spec_from_file_location("benchmarks_conftest", file)
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    config = SimpleNamespace(stash=pytest.Stash(), getoption={"device": device}.get)
    with pytest.raises(pytest.UsageError) as error:
        conftest.pytest_configure(config)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"--device {device}: ")
    assert reason in line


def test_what_the_allocator_keeps_is_available(module, monkeypatch) -> None:
    kept = [60e9]
    monkeypatch.setattr(torch.cuda, "empty_cache", kept.clear)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (80e9 - sum(kept), 80e9))
    assert module("cases").memory_available(torch.device("cuda")) == 80e9


def test_calls_in_a_row_take_a_millisecond(module, monkeypatch) -> None:
    stopwatch = module("stopwatch")
    rows = []

    def seconds(call, device, repeats):
        rows.append(30e-6 + repeats * 2e-6)  # of which the wait at the end is 30 us
        return rows[-1] / repeats

    monkeypatch.setattr(stopwatch, "seconds", seconds)
    stopwatch.Stopwatch(lambda: None, torch.device("cpu"))()
    assert rows[-1] >= 1e-3


@pytest.mark.parametrize("min_rounds", [2, 5])
def test_rounds_go_on_for_what_is_fast(min_rounds, module) -> None:
    samplers = {"fast": lambda: 1e-3, "slow": lambda: 100.0}
    rounds = {k: len(v) for k, v in module("timing").in_turn(samplers, min_rounds).items()}
    assert rounds == {"fast": 50, "slow": min(min_rounds, 3)}


def test_others_are_timed_if_one_runs_out_of_memory(module) -> None:
    cases, timing = module("cases"), module("timing")

    def too_large(x):
        raise torch.OutOfMemoryError("too large")

    def mean(x):
        return x.mean()

    providers = cases.Provider("fits", mean), cases.Provider("does not", too_large)
    leaves = (torch.ones(4, 1),)
    case = cases.Case("mean", 4, leaves, (), mean, {}, {}, expect=lambda x: (x.double().mean(),))
    outcomes = timing.time_case(case, cases.BOTH, providers)
    assert len(outcomes["fits"]) >= 5
    error = outcomes["does not"]
    assert isinstance(error, torch.OutOfMemoryError)
    assert error.__traceback__ is None  # whose frames would keep the tensors


def test_a_proximal_operator_that_is_wrong_is_not_timed(module) -> None:
    prox_cases = module("prox_cases")

    def way(name: str, factor: float) -> Any:
        halved = prox_cases.each(lambda w: factor * w)
        return prox_cases.Way(prox_cases.provider(name), halved)

    ways = way("right", 0.5), way("wrong", 0.501)
    case = prox_cases.Case("half", "new", lambda: [torch.ones(9)], lambda w: w / 2, ways)
    outcomes = case.time(torch.device("cpu"))
    assert len(outcomes["right"]) >= 5
    assert str(outcomes["wrong"]) == "half: wrong errs by 2.0e-03"


SMALL = {
    "bench_projections": {"SIDE": 64, "L1_RADIUS": 25.0},
    "bench_prox_nuclear": {
        "SHAPES": {"tall": (40, 7), "wide": (7, 40), "square": (9, 9), "many small": (3, 5, 4)}
    },
    "bench_prox_groups": {"NUMBERS": 4096},
    "bench_proximal_adam": {},
}


@pytest.mark.parametrize("name", SMALL)
def test_what_is_compared_of_proximal_operators_is_right(module, monkeypatch, name) -> None:
    """Of every case lelkern and the compositions, at a size that takes no time."""
    prox_cases, benchmark = module("prox_cases"), module(name)
    generator = torch.Generator().manual_seed(0)
    shrunk = torch.linspace(0, 1, 40).view(-1, 1, 1, 1)  # of which some vanish
    filters = [torch.randn(40, n, 3, 3, generator=generator) * shrunk for n in (1, 3)]
    few = {"random_rows": lambda: [torch.randn(64, 64, generator=torch.Generator().manual_seed(0))]}
    for key, value in {**few, "filters": lambda: filters, **SMALL[name]}.items():
        if hasattr(benchmark, key):
            monkeypatch.setattr(benchmark, key, value)
    for case_name, build in benchmark.CASES.items():
        case = build()
        names = [way.provider.name for way in case.ways]
        assert names == benchmark.PROVIDERS[case_name].split()
        for way in case.ways:
            if way.provider.compiled or way.provider.why_not(0, torch.device("cpu")):
                continue
            fresh = prox_cases.Fresh(way, case.given, torch.device("cpu"), case.mode != "new")
            case.verify(way, fresh.once())
            case.verify(way, fresh.once())


@pytest.mark.slow
def test_every_provider_of_a_group_gets_a_row(tmp_path) -> None:
    path = tmp_path / "new.csv"
    options = ("-q", "-p", "no:cacheprovider", "-k", "small", "--csv", str(path))
    command = [sys.executable, "-m", "pytest", *options, "benchmarks/bench_ema.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ours = {"lelkern", "lelkern.nn.ModelEMA", "pytorch-foreach", "pytorch-loop", "bytes"}
    assert ours <= {row["provider"] for row in rows}  # peers need not be installed
    for row in rows:
        assert 0 < float(row["p20"]) <= float(row["p50"]) <= float(row["p80"])
        assert int(row["rounds"]) >= 5
        assert int(row["size"]) == 160 * 64
