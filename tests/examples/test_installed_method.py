"""CONTRIBUTING shows a package with a method as it is installed and run here."""

import re
import tomllib
from pathlib import Path

import torch
from nearest_centroid import METHOD

from lelkern.data import DataConfig, DataSource
from lelkern.methods import find, get
from lelkern.methods.installed import GROUP
from lelkern.runtime import RuntimeConfig

FOLDER = Path(__file__).parent


def blocks(language):
    text = (FOLDER.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("## How to install methods with a package of your own\n")[1]
    section = section.split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def test_the_package_that_is_shown_is_found_and_learns(tmp_path, monkeypatch):
    (toml,), (code,) = blocks("toml"), blocks("python")
    assert code == (FOLDER / "nearest_centroid.py").read_text(encoding="utf-8")
    project = tomllib.loads(toml)["project"]
    ((name, module),) = project["entry-points"][GROUP].items()
    path = tmp_path / (module.replace(".", "/") + ".py")
    path.parent.mkdir()
    path.write_text(code)
    info = tmp_path / "my_methods-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find(name).origin == "my-methods 0.1 (my_methods.nearest_centroid)"
    assert get(name).metrics == METHOD.metrics


def test_the_method_is_right_where_classes_lie_apart():
    data = DataSource(DataConfig(name="iris")).load()
    METHOD.check(METHOD.config(), data)
    outcome = METHOD.run(METHOD.config(), data, 0, RuntimeConfig(device="cpu"), lambda *_: None)
    METHOD.confirm(outcome)
    first = torch.tensor(data.test_x[data.test_y == 0])  # the class that is apart from the others
    assert (outcome.models["model"](first).argmax(dim=1) == 0).all()
