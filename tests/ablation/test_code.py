"""Following imports: on small trees, and through lelkern as it is."""

import ast

import pytest
from package_with_methods import clear_caches

from lelkern.ablation.run import code
from lelkern.methods import find


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a package that stands for lelkern, and a method; returns what the method reaches."""
    root = tmp_path / "lelkern"
    monkeypatch.setattr(code, "_PACKAGE", root)

    def reach(files, text):
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        method = tmp_path / "method.py"
        method.write_text(text)
        found = code.imported_files(method) - {method}
        return {str(file.relative_to(root).with_suffix("")) for file in found}

    clear_caches()
    yield reach
    clear_caches()


TREE = {
    "__init__.py": "",
    "evaluate/__init__.py": (
        "from lelkern.evaluate.knn import knn\nfrom lelkern.evaluate.probe import fit as probe\n"
    ),
    "evaluate/knn.py": "import numpy\ndef knn(): pass\n",
    "evaluate/probe.py": "from lelkern.files import write\ndef fit(): pass\n",
    "files.py": "def write(): pass\n",
    "config.py": "def parse():\n    from lelkern import files\n",
    "nn/__init__.py": "from lelkern.nn.loss import Loss\n",
    "nn/loss.py": "",
    "lazy/__init__.py": (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from lelkern.lazy.one import One\n"
        "    from lelkern.lazy.two import Two\n"
    ),
    "lazy/one.py": "",
    "lazy/two.py": "",
    "starred/__init__.py": "from lelkern.files import *\n__all__ = ['one']\n",
    "starred/one.py": "",
    "starred/two.py": "",
    "circle.py": "import lelkern.other\n",
    "other.py": "import lelkern.circle\n",
}


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("", ""),
        ("import os, numpy\nfrom torch import nn\n", ""),
        ("from lelkern.evaluate import knn\n", "evaluate/knn"),
        ("from lelkern.evaluate import probe\n", "evaluate/probe files"),
        ("from lelkern.evaluate.probe import fit\n", "evaluate/probe files"),
        ("import lelkern.evaluate\n", "evaluate/__init__ evaluate/knn evaluate/probe files"),
        ("from lelkern import files\n", "files"),
        ("from lelkern import evaluate\n", "evaluate/__init__ evaluate/knn evaluate/probe files"),
        ("from lelkern.nn import loss\n", "nn/loss"),
        ("from lelkern.nn import missing\n", "nn/__init__ nn/loss"),
        ("from lelkern.lazy import One\n", "lazy/one"),
        ("from lelkern.starred import *\n", "starred/__init__ starred/one files"),
        ("def f():\n    import lelkern.files\n", "files"),
        ("if TYPE_CHECKING:\n    import lelkern.files\n", ""),
        ("import lelkern.config\n", "config files"),
        ("import lelkern.circle\n", "circle other"),
    ],
)
def test_what_a_file_reaches(package, text, reached):
    assert package(TREE, text) == set(reached.split())


LAZY = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from lelkern import nn
    from lelkern.ops import nt_xent
"""


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("from lelkern import nn\n", "nn/__init__ nn/loss"),
        ("from lelkern import nt_xent\n", "ops"),
        ("import lelkern\n", "__init__ ops nn/__init__ nn/loss"),
    ],
)
def test_names_that_the_package_itself_shows(package, text, reached):
    files = {**TREE, "__init__.py": LAZY, "ops.py": ""}
    assert package(files, text) == set(reached.split())


def names(path):
    packages = (("lelkern", code._PACKAGE),)
    return {code._module_name(file, packages) for file in code.imported_files(path)}


def test_a_method_reaches_what_it_uses_and_nothing_that_it_does_not():
    reached = names(find("simclr").path)
    assert {
        "lelkern.methods.contrastive.simclr",
        "lelkern.methods.contrastive._config",
        "lelkern.models.encoder",
        "lelkern.ops.nt_xent",
    } <= reached
    assert (
        not {
            "lelkern.methods.contrastive.moco",
            "lelkern.ops.info_nce",
            "lelkern.data.folder",
            "lelkern.methods.registry",
        }
        & reached
    )
    assert not [name for name in reached if name.startswith(("lelkern.ablation", "lelkern.cli"))]


def test_what_needs_no_op_does_not_depend_on_the_kernels(monkeypatch):
    code.code_fingerprint.cache_clear()
    fingerprints = {}
    for library in (None, find("moco").path):  # any file stands for other kernels
        monkeypatch.setattr("lelkern.ops.library_path", lambda device, file=library: file)
        for method in ("simclr", "raw-pixels"):
            fingerprints.setdefault(method, set()).add(code.code_fingerprint(method, "cpu"))
        code.code_fingerprint.cache_clear()
    assert len(fingerprints["simclr"]) == 2
    assert len(fingerprints["raw-pixels"]) == 1


def test_the_drawing_of_labels_counts_for_every_method(monkeypatch, tmp_path):
    method = tmp_path / "method.py"
    method.write_text("METHOD = None\n")
    other = tmp_path / "budget.py"
    other.write_text("SEED = 1\n")
    code.code_fingerprint.cache_clear()
    before = code.code_fingerprint(str(method), "cpu")
    monkeypatch.setattr(code, "_BUDGET", other)
    code.code_fingerprint.cache_clear()
    assert code.code_fingerprint(str(method), "cpu") != before
    code.code_fingerprint.cache_clear()


def test_packages_are_those_that_the_code_imports(tmp_path):
    method = tmp_path / "method.py"
    method.write_text("import os\nimport numpy as np\nfrom sklearn.metrics import f1_score\n")
    versions = code.package_versions(str(method))
    assert set(versions) == {"numpy", "scikit-learn"}
    assert {"torch", "torchvision", "scikit-learn", "pydantic"} <= set(
        code.package_versions("simclr")
    )
    assert "lelkern" not in code.package_versions("simclr")
    assert "matplotlib" not in code.package_versions("simclr")


def test_no_module_of_lelkern_is_imported_by_a_relative_name():
    """Which following imports would miss."""
    relative = [
        path
        for path in code._PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []
