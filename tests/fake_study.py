"""A study of the fake method, as a user has one: a TOML file with its method beside it."""

import shutil
from pathlib import Path

METHODS = Path(__file__).parent / "ablation"

STUDY = """
title = "Fake"
method = "fake_method.py"
metric = "accuracy"
metrics = ["plain"]
seeds = 3

[base]
data = { name = "DATA" }

[[factor]]
key = "level"
label = "level"
scale = "linear"
values = [0.0, 1.0, 2.0, 4.0]

[[baseline]]
label = "constant"
method = "constant_method.py"
seeds = 1

[[baseline]]
label = "level 9"
set = { level = 9.0 }

[[claim]]
says = "An inner level is best."
shape = "interior-maximum"

[[plot]]
kind = "line"

[quick]
seeds = 2

[quick.values]
level = [0.0, 2.0, 4.0]
"""

ARMS = """
title = "Arms"
method = "fake_method.py"
metric = "accuracy"
seeds = 2

[base]
data = { name = "DATA" }
steps = 1

[[arm]]
label = "good"
set = { level = 2.0 }

[[arm]]
label = "constant"
method = "constant_method.py"

[[claim]]
says = "Good is better."
shape = "beats"
arm = "good"
over = "constant"

[[plot]]
kind = "points"
"""


def replaced(text: str, *replacements: tuple[str, str]) -> str:
    """Return a study with parts of it replaced, each of which is there."""
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return text


def write_study(folder: Path, *replacements: tuple[str, str], text: str = STUDY, name="fake"):
    """Write a study, its methods and a small table into a folder, and return the study's path."""
    for method in ("fake_method.py", "constant_method.py"):
        shutil.copy(METHODS / method, folder)
    table = folder / "flowers.csv"
    rows = [f"{i}.5,{i % 3},{'ab'[i % 2]}" for i in range(40)]
    table.write_text("\n".join(["length,width,class", *rows]) + "\n")
    path = folder / f"{name}.toml"
    path.write_text(replaced(text, *replacements).replace("DATA", str(table)))
    return path


def copy_study(source: Path, folder: Path, *results: str) -> None:
    """Copy a study and its folders of results, as if it had run in the other folder."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    for name in results:
        record = folder / name / "study.json"
        record.write_text(record.read_text().replace(str(source), str(folder)))
