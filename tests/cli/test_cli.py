"""The command line as a user runs it: what it prints, where, and with which exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lelkern
from lelkern.cli import main

TINY = """
title = "Tiny"
claim = "The temperature has an optimum."
method = "simclr"
metric = "linear_probe"
metrics = ["knn"]
plot = "line"
seeds = 2

[base]
encoder = { width = 2, depth = 1 }
head = { width = 4, out = 4 }
batch_size = 8
steps = 3
data = { name = "images" }

[[factor]]
key = "temperature"
label = "temperature"
scale = "log"
values = [0.05, 0.5, 5.0]

[expect]
shape = "interior-maximum"
"""


@pytest.fixture
def folder(tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


def spawn(*arguments):
    command = [sys.executable, "-m", "lelkern", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def results(folder):
    paths = sorted(folder.glob("runs/*/trials/*/result.json"))
    return {path.parent.name: json.loads(path.read_text())["metrics"] for path in paths}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ablate", "temprature"], "no study 'temprature'; did you mean 'temperature'?"),
        (["ablate", "tiny.toml", "--set", "steps"], "--set steps: must be key=value"),
        (["ablate", "tiny.toml", "--set", "stps=3"], "--set: unknown key 'stps'; did you mean"),
        (["ablate", "tiny.toml", "--set", "temperature=1"], "this is what the study varies"),
        (["ablate", "tiny.toml", "--set", "steps=-1"], "steps: .* got -1"),
        (["ablate", "tiny.toml", "--set", "batch_size=5000"], "at most .* images, 32, got 5000"),
        (["ablate", "momentum", "--set", "momentum=0.5"], "this is what the study varies"),
        (["ablate", "model-size", "--set", "encoder=resnet18"], "encoder.width is what the study"),
        (["ablate", "momentum", "--set", "queue=5"], "unknown key 'queue'; did you mean"),
        (["ablate", "momentum", "--set", "bn_splits=3"], "parts of at least 2 images, got 3"),
        (["ablate", "tiny.toml", "--data", "./nowhere"], "nowhere"),
        (["ablate", "tiny.toml", "--data", "cifar11"], "cifar1"),
        (["ablate", "tiny.toml", "--data", "cifar10", "--data-root", "."], "cifar10"),
        (["ablate", "tiny.toml", "--out", "tiny.toml/here"], "tiny.toml/here"),
        (["ablate", "tiny.toml", "--data", ""], "''"),
        (["ablate", "tiny.toml", "--set", "encoder=resnet19"], "resnet19"),
        (["ablate", "tiny.toml", "--seeds", "0"], "--seeds"),
        (["ablate", "tiny.toml", "--workers", "x"], "--workers"),
        (["ablate"], "NAME_OR_FILE"),
        (["ablate", "tiny.toml", "--qick"], "--quick"),
        (["abalte"], "abalte"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line_on_stderr_and_exit_code_2(folder, capsys, arguments, message):
    code, out, err = call(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("lelkern: ")
    assert message.split(" .* ")[-1] in err
    assert results(folder) == {}


def test_help_and_version(capsys):
    code, out, _ = call(capsys, "--help")
    assert code == 0
    assert all(command in out for command in ("ablate", "info", "studies"))
    code, out, _ = call(capsys, "ablate", "--help")
    assert code == 0
    options = "--data --seeds --set --workers --quick --out --dry-run --json"
    assert all(option in out for option in options.split())
    assert lelkern.__version__ in call(capsys, "--version")[1]


def test_studies(capsys):
    code, out, _ = call(capsys, "studies")
    assert code == 0
    assert "temperature" in out
    code, out, _ = call(capsys, "studies", "--json")
    names = {study["name"] for study in json.loads(out)}
    assert {"temperature", "projection-head", "augmentation", "model-size"} <= names


def test_info_says_what_serves_each_op(capsys):
    code, out, _ = call(capsys, "info")
    assert code == 0
    assert "nt_xent" in out
    info = json.loads(call(capsys, "info", "--json")[1])
    rows = {(row["op"], row["device"]): row for row in info["ops"]}
    assert rows["nt_xent", "cpu"]["implementation"] in ("compiled", "reference")
    assert rows["nt_xent", "cpu"]["reason"]


def test_info_under_the_reference_backend():
    environment = os.environ | {"LELKERN_BACKEND": "reference"}
    command = [sys.executable, "-m", "lelkern", "info", "--json"]
    out = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    rows = json.loads(out)["ops"]
    assert {row["implementation"] for row in rows} == {"reference"}
    assert "LELKERN_BACKEND" in rows[0]["reason"]


def test_dry_run_runs_nothing(folder, capsys):
    code, out, _ = call(capsys, "ablate", "tiny.toml", "--dry-run")
    assert code == 0
    assert "9 of 9 trials to run" in out
    code, out, _ = call(capsys, "ablate", "tiny.toml", "--dry-run", "--json", "--set", "steps=7")
    trials = json.loads(out)["trials"]
    assert {trial["config"]["steps"] for trial in trials if trial["arm"] == "0.5"} == {7}
    assert not (folder / "runs").exists()


def test_a_study_from_start_to_end_and_again(folder, capfd):
    code, out, err = call(capfd, "ablate", "tiny.toml")
    assert code == 0
    for text in ("Tiny", "Claim:", "Verdict:", "Test:", "raw pixels", "random encoder"):
        assert text in out
    assert "9/9" in err
    for name in ("plot.png", "plot.svg", "results.csv", "summary.json"):
        assert f"runs/tiny/{name}" in out
        assert (folder / "runs" / "tiny" / name).stat().st_size > 100
    first = results(folder)
    assert len(first) == 9

    code, out, err = call(capfd, "ablate", "tiny.toml", "--json", "--seeds", "1", "--workers", "1")
    assert code == 0
    assert results(folder) == first
    summary = json.loads(out)
    assert [arm["arm"] for arm in summary["arms"]] == ["0.05", "0.5", "5"]
    assert summary["verdict"]["outcome"] == "inconclusive"
    assert "were done before" in err


@pytest.mark.parametrize("study", ["momentum", "queue-size"])
def test_the_quick_studies_of_moco(folder, capfd, study):
    small = ["encoder.width=2", "encoder.depth=1", "head.width=4", "head.out=4", "steps=3"]
    settings = [part for value in (*small, "batch_size=8") for part in ("--set", value)]
    arguments = ["ablate", study, "--quick", "--data", "images", *settings, "--json"]
    code, out, err = call(capfd, *arguments, "--seeds", "1")
    assert code == 0, err
    summary = json.loads(out)
    assert summary["method"] == "moco"
    assert len(summary["arms"]) == 3
    assert all(0 <= arm["metrics"]["knn"]["mean"] <= 1 for arm in summary["arms"])
    first = results(folder)
    assert len(first) == 3 + 2

    assert call(capfd, *arguments, "--seeds", "2")[0] == 0
    assert first.items() <= results(folder).items()
    assert len(results(folder)) == 2 * 4 + 1


def test_out_names_the_folder(folder, capfd):
    arguments = ["ablate", "tiny.toml", "--out", "else/where", "--seeds", "1"]
    assert call(capfd, *arguments)[0] == 0
    assert (folder / "else" / "where" / "summary.json").exists()
    assert not (folder / "runs").exists()


def wait_for(folder, count, process):
    deadline = time.monotonic() + 120
    while len(results(folder)) < count:
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


def test_a_metric_that_the_baselines_lack(folder, capfd):
    study = TINY.replace('metric = "linear_probe"', 'metric = "final_loss"')
    (folder / "tiny.toml").write_text(study)
    code, out, err = call(capfd, "ablate", "tiny.toml", "--seeds", "1")
    assert code == 0
    assert "final loss" in out
    assert "Traceback" not in err


@pytest.mark.parametrize("seconds", [0.2, 0.8, 1.6])
def test_interrupting_while_workers_start_shows_no_traceback(folder, seconds):
    process = spawn("ablate", "tiny.toml", "--set", "steps=5000")
    deadline = time.monotonic() + 60
    while not list(folder.glob("runs/*/data/*.pt")):  # the last thing before workers start
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopping_at_any_moment_and_starting_again_gives_the_same_results(folder, stop, capfd):
    slow = ["ablate", "tiny.toml", "--set", "steps=60"]
    process = spawn(*slow)
    wait_for(folder, 3, process)
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
    kept = results(folder)
    assert 3 <= len(kept) < 9

    assert call(capfd, *slow)[0] == 0
    continued = results(folder)
    assert kept.items() <= continued.items()
    assert call(capfd, *slow, "--out", "runs/undisturbed")[0] == 0
    undisturbed = {
        path.parent.name: json.loads(path.read_text())["metrics"]
        for path in folder.glob("runs/undisturbed/trials/*/result.json")
    }
    assert len(undisturbed) == 9
    assert {name: continued[name] for name in undisturbed} == undisturbed


def test_failed_trials_end_with_exit_code_1_and_keep_the_rest(folder, capfd):
    # Not a number after a few steps, which the evaluation refuses.
    diverging = ["--set", "optimizer.lr=1e30", "--set", "runtime.precision=float32"]
    code, out, err = call(capfd, "ablate", "tiny.toml", "--seeds", "1", *diverging)
    assert code == 1
    assert "failed" in err
    assert "error.txt" in err
    assert "raw pixels" in out
    assert len(results(folder)) == 2  # the baselines
