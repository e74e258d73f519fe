import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_study import write_study

import lelkern
from lelkern.cli import main


@pytest.fixture(scope="session")
def environment():
    """The environment in which another process imports the lelkern that is tested."""
    return os.environ | {"PYTHONPATH": str(Path(lelkern.__file__).parents[1])}


@pytest.fixture
def call(capfd):
    """Runs a command in this process; returns the exit code, standard output and error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        captured = capfd.readouterr()
        return stop.value.code, captured.out, captured.err

    return call


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory: a study with its methods and its table."""
    monkeypatch.chdir(tmp_path)
    write_study(tmp_path)
    return tmp_path


@pytest.fixture
def spawn(environment):
    """Starts a command in a process and a session of its own."""

    def spawn(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "lelkern", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
            # A shell lets what it runs in the background ignore this, tests included.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return spawn


@pytest.fixture(scope="session")
def stored():
    """Reads results."""
    return read_results


def read_results(folder):
    """Return the metrics of every finished trial below a folder, by identity, less the process."""
    paths = sorted(folder.glob("**/trials/*/result.json"))
    found = {path.parent.name: json.loads(path.read_text())["metrics"] for path in paths}
    return {name: {**metrics, "pid": None} for name, metrics in found.items()}
