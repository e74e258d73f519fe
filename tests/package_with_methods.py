"""A package with methods, installed into a folder as pip would leave it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lelkern.ablation.run import code, own_modules

METHOD = '''"""Say the commonest class.

Nothing else.
"""
import numpy as np
from torch import nn

from lelkern.config import Config
from lelkern.data import TableData
from lelkern.methods import Method, Outcome, percentage

from .counting import commonest


class CommonestConfig(Config):
    """What it can be told.

    Attributes:
        level: means nothing.
    """

    level: float = 0.0


class Commonest(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.share = nn.Parameter(__import__("torch").zeros(classes))

    def forward(self, x):
        return self.share.expand(len(x), -1)


def build(config, blueprint):
    return Commonest(len(blueprint.form.classes[0]))


def run(config, data, seed, runtime, progress):
    model = Commonest(len(data.classes))
    model.share.data[commonest(data.train_y)] = 1
    accuracy = float(np.mean(data.test_y == commonest(data.train_y)))
    return Outcome({"accuracy": accuracy}, models={"model": model})


METHOD = Method(
    CommonestConfig, TableData, {"accuracy": percentage("accuracy")}, run=run, build=build
)
'''

COUNTING = '''"""Counting."""
import numpy as np


def commonest(labels):
    return int(np.bincount(labels[labels >= 0]).argmax())
'''

STUDY = """
title = "Commonest"
metric = "accuracy"
seeds = 1

[base]
data = { name = "iris" }

[[arm]]
label = "commonest"
method = "commonest"

[[arm]]
label = "the same"
method = "commonest"
set = { level = 1.0 }

[[claim]]
says = "One is better."
shape = "beats"
arm = "commonest"
over = "the same"

[[plot]]
kind = "points"
"""


def install(
    folder: Path,
    points: str = "commonest = tiny_package.methods.commonest",
    *,
    name: str = "tiny-package",
    version: str = "1.0",
    module: str = "tiny_package",
    method: str = METHOD,
    counting: str = COUNTING,
) -> Path:
    """Write a package and its metadata into a folder for PYTHONPATH, and return the folder."""
    package = folder / module / "methods"
    package.mkdir(parents=True, exist_ok=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "commonest.py").write_text(method)
    (package / "counting.py").write_text(counting)
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[lelkern.methods]\n{points}\n")
    (info / "RECORD").write_text("".join(f"{f.relative_to(folder)},,\n" for f in package.iterdir()))
    return folder


@contextmanager
def forgotten() -> Iterator[None]:
    """Forget inside and after a ``with`` block what is known of the packages' code."""
    before = set(sys.modules)
    clear_caches()
    try:
        yield
    finally:
        clear_caches()
        for name in set(sys.modules) - before:
            if name.split(".")[0] in PACKAGES:
                del sys.modules[name]


def clear_caches() -> None:
    for cached in (
        *(code.code_fingerprint, code.package_versions, code.imported_files),
        *(code._reached, code._tree, code._imports, code._bindings, code._meaning),
        *(
            own_modules._outermost,
            own_modules._packages_on,
            own_modules._sites,
            own_modules.start_path,
        ),
    ):
        cached.cache_clear()


PACKAGES = ("tiny_package", "tiny_other", "tiny_one", "tiny_clash", "tiny_wrong")
"""Names by which tests install it."""
