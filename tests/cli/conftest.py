import io
import json
import os
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stdout
from pathlib import Path

import pytest
from fake_study import copy_study, write_study
from light_workers import write_light_workers

import lelkern
from lelkern.cli import main


@pytest.fixture(scope="session")
def environment():
    """The environment in which another process imports the lelkern that is tested."""
    return os.environ | {"PYTHONPATH": str(Path(lelkern.__file__).parents[1])}


@pytest.fixture(scope="session")
def light(environment, tmp_path_factory):
    """The same, where workers start sooner, for tests of what becomes of the first process."""
    once = "from lelkern.ablation.run.own_modules import installed_packages\ninstalled_packages()\n"
    folder = write_light_workers(tmp_path_factory.mktemp("light") / "site", once)
    return environment | {"PYTHONPATH": f"{folder}{os.pathsep}{environment['PYTHONPATH']}"}


@pytest.fixture(scope="session")
def run_in():
    """Runs a command in this process and a folder; returns what it printed. For shared fixtures."""

    def run_in(folder, *arguments):
        with (
            chdir(folder),
            redirect_stdout(io.StringIO()) as out,
            pytest.raises(SystemExit) as stop,
        ):
            main(list(arguments))
        assert stop.value.code == 0
        return out.getvalue()

    return run_in


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


@pytest.fixture(scope="session")
def ran_once(tmp_path_factory, run_in):
    """A study that has run with two seeds: its folder, what it printed."""
    folder = tmp_path_factory.mktemp("ran")
    write_study(folder)
    return folder, run_in(folder, "ablate", "fake.toml", "--seeds", "2")


@pytest.fixture
def ran(ran_once, tmp_path, monkeypatch):
    """The working directory: a copy of that study, as if it had run here; its folder of results."""
    copy_study(ran_once[0], tmp_path, "runs/fake")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs/fake"


@pytest.fixture
def spawn(environment):
    """Starts a command in a process and a session of its own."""

    def spawn(*arguments, environment=environment):
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
