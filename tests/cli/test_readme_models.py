"""The README's example of what to do with what a study trained, as it stands there."""

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
TINY = ("steps=1", "batch_size=2", "encoder.width=2", "encoder.depth=1")


@pytest.mark.slow
def test_the_example_runs(images, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path" / "to").mkdir(parents=True)
    shutil.copytree(images, tmp_path / "path/to/photos")
    images.rename(tmp_path / "path/to/images")
    section = README.read_text(encoding="utf-8").split("### Use what a study trained\n")[1]
    section = section.split("\n## ")[0]
    (command, code) = re.findall(r"^```\w*\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    settings = [word for setting in TINY for word in ("--set", setting)]
    assert call(*shlex.split(command)[1:], "--seeds", "1", *settings)[0] == 0
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, str(README), "exec"), {})
    assert 0 <= float(printed.getvalue()) <= 1
