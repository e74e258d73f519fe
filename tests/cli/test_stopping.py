"""Interrupting ``lelkern ablate``: no traceback, no process left, and the same results at last."""

import os
import signal
import time
from pathlib import Path

import pytest

slow = pytest.mark.slow


def wait_until(found, process):
    deadline = time.monotonic() + 120
    while not found():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def descendants_of(session):
    """Command lines of the processes that still belong to a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(path.name)) == session:
                found.append((path / "cmdline").read_bytes().decode())
        except (ProcessLookupError, FileNotFoundError):
            continue
    return [command for command in found if command]


@slow
def test_interrupting_while_workers_start_shows_no_traceback(folder, spawn):
    process = spawn("ablate", "fake.toml", "--set", "steps=1000", "--set", "pause=0.1")
    wait_until(lambda: list(folder.glob("runs/*/data/*.npy")), process)  # the last thing before
    time.sleep(0.2)  # the fork server is there, and imports what takes seconds
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    "stop",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=slow),
        pytest.param(signal.SIGKILL, marks=slow),
    ],
)
def test_stopping_at_any_moment_and_starting_again_gives_the_same_results(
    folder, spawn, call, stored, stop
):
    arguments = ["ablate", "fake.toml", "--set", "pause=0.05"]
    process = spawn(*arguments)
    wait_until(lambda: len(stored(folder)) >= 3, process)
    if stop == signal.SIGINT:
        os.killpg(process.pid, stop)  # as a terminal does: to everyone
    else:
        process.send_signal(stop)
    out, err = process.communicate(timeout=60)
    if stop != signal.SIGKILL:
        assert process.returncode == 130
        assert "trials left to run" in err
        assert "the same command goes on" in " ".join(err.split())
        assert "Traceback" not in err
    assert out == ""
    deadline = time.monotonic() + 30
    while descendants_of(process.pid):
        assert time.monotonic() < deadline, descendants_of(process.pid)
        time.sleep(0.1)
    kept = stored(folder)
    assert 3 <= len(kept) < 16

    assert call(*arguments)[0] == 0
    continued = stored(folder / "runs")
    assert kept.items() <= continued.items()
    assert call(*arguments, "--out", "undisturbed")[0] == 0
    assert stored(folder / "undisturbed") == continued
