"""Interrupting ``lelkern ablate``: no traceback, no process left, and the same results at last."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_study import write_study

pytestmark = pytest.mark.slow

thorough = pytest.mark.thorough
STUDY = ["ablate", "fake.toml", "--seeds", "2", "--set", "pause=0.05"]


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


def test_interrupting_while_workers_start_shows_no_traceback(folder, spawn):
    process = spawn("ablate", "fake.toml", "--set", "steps=1000", "--set", "pause=0.1")
    wait_until(lambda: list(folder.glob("runs/*/data/*.npy")), process)  # the last thing before
    time.sleep(0.2)  # the fork server is there, and imports what takes seconds
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


INTERRUPTED_AS_A_WORKER_STARTS = """
import os
import signal
from multiprocessing import forkserver

from lelkern.cli import main

start = forkserver.connect_to_new_process


def interrupted(files):
    ends = start(files)  # the process exists, and waits for what it shall do
    os.kill(os.getpid(), signal.{stop})
    return ends


forkserver.connect_to_new_process = interrupted
main(["ablate", "fake.toml", "--set", "steps=1000", "--set", "pause=0.1"])
"""


@pytest.mark.parametrize("stop", ["SIGINT", pytest.param("SIGTERM", marks=thorough)])
def test_interrupting_as_a_worker_starts_leaves_none(folder, light, stop):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED_AS_A_WORKER_STARTS.format(stop=stop)],
        stderr=subprocess.PIPE,
        text=True,
        env=light,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    _, err = process.communicate(timeout=60)  # until no worker holds its standard error
    assert process.returncode == 130
    assert "Traceback" not in err


# In short sleeps: one that begins as the signal arrives would last to its end.
WAIT = """
from pathlib import Path
import time

Path("waiting").touch()
for _ in range(600):
    time.sleep(0.1)
"""


@pytest.mark.parametrize("module", ["click.py", "fake_method.py"])
def test_interrupting_an_import_shows_no_traceback(folder, environment, module):
    (folder / module).write_text(WAIT)
    path = os.pathsep.join([str(folder), environment["PYTHONPATH"]])
    process = subprocess.Popen(
        [sys.executable, "-m", "lelkern", "ablate", "fake.toml"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment | {"PYTHONPATH": path},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until((folder / "waiting").exists, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")


def test_who_ignores_interrupts_is_not_interrupted(folder, light):
    """As what a script starts with ``&``, when Ctrl-C ends the script."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lelkern", "ablate", "fake.toml", "--seeds", "1", "--workers", "1"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=light,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    wait_until(lambda: list(folder.glob("runs/*/trials/*/result.json")), process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, run_in, stored):
    """The results of the study that nobody stops."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_study(folder)
    run_in(folder, *STUDY)
    return stored(folder)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    "stop",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=thorough),
        signal.SIGKILL,
    ],
)
def test_stopping_at_any_moment_and_starting_again_gives_the_same_results(
    folder, spawn, light, call, stored, undisturbed, stop
):
    process = spawn(*STUDY, environment=light)
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
        time.sleep(0.02)
    kept = stored(folder)
    assert 3 <= len(kept) < len(undisturbed) == 11

    assert call(*STUDY)[0] == 0
    continued = stored(folder)
    assert kept.items() <= continued.items()
    assert continued == undisturbed
