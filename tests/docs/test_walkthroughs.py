"""The walk-throughs work as they are written: every command and every block, from top to bottom."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from documented import ROOT

import lelkern

PAGES = [
    pytest.param(name, marks=[pytest.mark.thorough] * (name != "engineer"))
    for name in sorted(path.stem for path in (ROOT / "docs/walkthroughs").glob("*.md"))
]
_BLOCK = re.compile(r"^```(python|toml|)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SAVED = re.compile(r"Save this as `([\w.]+)`")


@pytest.fixture
def environment(tmp_path):
    """The environment of a reader, who has lelkern and this Python on the path."""
    place = tmp_path / "bin"
    place.mkdir()
    for name, arguments in (("lelkern", "-P -m lelkern"), ("python", "")):
        script = place / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {arguments} "$@"\n')
        script.chmod(0o755)
    return os.environ | {
        "PATH": f"{place}:{os.environ['PATH']}",
        "PYTHONPATH": os.path.dirname(os.path.dirname(lelkern.__file__)),
    }


def run(command, text, folder, environment):
    ran = subprocess.run(
        command, input=text, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, f"{text}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_block_works_as_written(page, tmp_path, environment):
    folder = tmp_path / "reader"
    folder.mkdir()
    text = (ROOT / f"docs/walkthroughs/{page}.md").read_text(encoding="utf-8")
    printed = []
    for block in _BLOCK.finditer(text):
        language, code = block.groups()
        if language == "toml":
            name = _SAVED.findall(text[: block.start()])[-1]
            (folder / name).write_text(code, encoding="utf-8")
        elif language == "python":
            printed.append(run([sys.executable, "-"], code, folder, environment))
        else:
            printed.append(run(["bash", "-e", "-o", "pipefail"], code, folder, environment))
    check = globals()[f"_{page}"]
    check(folder, printed)


def _student(folder, printed):
    assert (folder / "warm.html").read_text().startswith("<!DOCTYPE html>")
    made = printed[-1].partition("made with")[2]
    assert "config.encoder.width" in made


def _researcher(folder, printed):
    assert "exploratory" in printed[1].lower()
    assert "Verdict: " in printed[2]
    assert len((folder / "crop.csv").read_text().splitlines()) > 9 * 2
    label, value = printed[-1].split()
    assert label in ("0.2", "0.6", "1")
    assert 0 <= float(value) <= 1


def _lecturer(folder, printed):
    for path in ("slides/plot.pdf", "slides/plot.svg", "folien/plot.png", "temperature.html"):
        assert (folder / path).stat().st_size > 1000
    assert "temperature.json" in os.listdir(folder)


def _engineer(folder, printed):
    compiled, reference = (line.split() for line in printed[1].splitlines())
    assert [float(x) for x in compiled] == pytest.approx([float(x) for x in reference], rel=1e-4)
