"""Options, fixtures and the closing table of the benchmarks."""

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import lelkern
import memory
import results
import timing
from cases import BOTH, Case, Provider

Record = Callable[[Case, Provider, str, str, Sequence[float]], None]

_ROWS = pytest.StashKey[list[results.Row]]()
_DEVICE = pytest.StashKey[torch.device]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--csv",
        nargs="?",
        type=Path,
        const=results.FOLDER,
        metavar="PATH",
        help="put the results into this CSV file, or into those of a folder, by default "
        "benchmarks/results",
    )
    parser.addoption("--device", default="cpu", help="what is measured: cpu (the default) or cuda")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = []
    name = config.getoption("device")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise pytest.UsageError(f"--device {name}: {reason}") from None
    if device.type not in ("cpu", "cuda"):
        raise pytest.UsageError(f"--device {name}: only cpu and cuda are measured")
    config.stash[_DEVICE] = device


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    """What is measured."""
    return request.config.stash[_DEVICE]


@pytest.fixture
def report_time(benchmark: BenchmarkFixture, record: Record) -> Callable[..., None]:
    """Report the seconds of one provider of a group that was timed in turn."""

    def report(
        case: Case, provider: Provider, mode: str, outcomes: timing.Outcomes, group: str
    ) -> None:
        outcome = outcomes[str(provider)]
        if isinstance(outcome, Exception):
            raise outcome
        record(case, provider, mode, "seconds", outcome)
        benchmark.group = group
        benchmark.pedantic(  # type: ignore[no-untyped-call]
            timing.CLOCK.advance, setup=timing.in_order(outcome), rounds=len(outcome)
        )

    return report


@pytest.fixture
def time_in_group(report_time: Callable[..., None], device: torch.device) -> Callable[..., None]:
    """Time one provider of a case; the first test of a case and mode measures all of them."""

    def time(case: Case, provider: Provider, mode: str) -> None:
        if reason := provider.why_not(case.size, device):
            pytest.skip(reason)
        group = f"{case.op}, {case.size} rows, {mode}"
        report_time(case, provider, mode, _group(case, mode, device), group)

    return time


@functools.lru_cache(maxsize=1)
def _group(case: Case, mode: str, device: torch.device) -> timing.Outcomes:
    runnable = [p for p in case.providers[mode] if not p.why_not(case.size, device)]
    return timing.time_case(case.on(device), mode, runnable)


@pytest.fixture
def measure_memory(record: Record, device: torch.device) -> Callable[[Case, Provider], None]:
    """Measure the peak memory of one provider of a case, forward and backward."""

    def measure(case: Case, provider: Provider) -> None:
        if reason := provider.why_not(case.size, device):
            pytest.skip(reason)
        record(case, provider, BOTH, "bytes", [memory.peak_bytes(case, provider, device)])

    return measure


@pytest.fixture
def record(request: pytest.FixtureRequest, device: torch.device) -> Record:
    """Keep a result for the closing table and, with ``--csv``, in the file at once."""

    def record(
        case: Case, provider: Provider, mode: str, metric: str, values: Sequence[float]
    ) -> None:
        p20, p50, p80 = (
            float(torch.tensor(values, dtype=torch.float64).quantile(q)) for q in (0.2, 0.5, 0.8)
        )
        row = results.Row(
            op=case.op,
            provider=provider.name,
            mode=mode,
            size=case.size,
            features=case.features,
            dtype=provider.dtype,
            metric=metric,
            p20=p20,
            p50=p50,
            p80=p80,
            rounds=len(values),
            threads=0 if device.type == "cuda" else provider.threads or torch.get_num_threads(),
            machine=results.machine(device),
            torch=torch.__version__,
            lelkern=lelkern.__version__,
            peer=provider.peer_version,
        )
        request.config.stash[_ROWS].append(row)
        if path := request.config.getoption("csv"):
            results.merge(results.file_for(row, path), [row])

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = terminalreporter.config.stash[_ROWS]
    groups = itertools.groupby(rows, lambda row: (row.op, row.size, row.mode, row.metric))
    for (op, size, mode, metric), group in groups:
        terminalreporter.section(f"{op}, {size}, {mode}: {metric}, and in units of pytorch's")
        members = list(group)
        plain = [r.p50 for r in members if (r.provider, r.dtype) in results.PLAIN]
        for row in members:
            ratio = f"{row.p50 / plain[0]:10.3f}" if plain and plain[0] else ""
            threads = f"threads={row.threads}" if row.threads else ""
            name = f"{row.provider} {row.dtype} {threads}"
            terminalreporter.write_line(f"{name:50} {row.p50:12.5g}{ratio}")
