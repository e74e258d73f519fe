"""Helpers of a method's file: which modules count, beside it and on the path, and that they do."""

import importlib
import importlib.machinery
import shutil
import sys
import zipfile

import pytest
from fake_study import replaced, write_study
from package_with_methods import METHOD, clear_caches, forgotten, install

from lelkern.ablation.run import code, own_modules
from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.runner import run_trials
from lelkern.ablation.run.worker import Done
from lelkern.methods import find


@pytest.fixture
def write(tmp_path):
    """Writes files, by path and text; what was known of others is forgotten."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        clear_caches()
        return tmp_path

    before = set(sys.modules)
    with forgotten():
        yield write
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def reached(method):
    """The modules of a method's own, as they are named, without the method."""
    file = find(str(method))
    found = code._reached(file.path, code._packages(file))
    own = {name for name in found.values() if not name.startswith("lelkern")}
    return {name.removeprefix("(beside).") for name in own} - {file.path.stem}


BESIDE = {
    "helper.py": "from . import deeper\n",
    "deeper.py": "",
    "unused.py": "",
    "random.py": "",
    "package/__init__.py": "from .shown import thing\n",
    "package/shown.py": "thing = 1\n",
    "package/inner.py": "from ..helper import x\n",
    "package/sub/__init__.py": "",
    "package/sub/leaf.py": "from .. import inner\n",
    "plain/one.py": "",
    "circle.py": "from . import round\n",
    "round.py": "from . import circle, method\n",
    "__init__.py": "from . import unused\n",
}

STARS = {
    "shown": '__all__ = ["inner"]\n',
    "pair": '__all__ = ("inner", "nothing", "thing", "*")\nthing = 1\n',
    "silent": "x = 1\n",
    "computed": "__all__ = [name for name in ()]\n",
    "changed": '__all__ = ["inner"]\n__all__ += ["other"]\n',
    "brought": "from .inner import __all__\n",
}


@pytest.mark.parametrize(
    ("package", "names"),
    [
        ("shown", "inner helper"),
        ("pair", "inner helper"),
        ("silent", ""),
        ("computed", "inner helper other sub"),
        ("changed", "inner helper other sub"),
        ("brought", "inner helper other sub"),
    ],
)
@pytest.mark.parametrize("dot", [".", ""])
def test_a_star_imports_the_modules_that_a_package_names(write, monkeypatch, package, names, dot):
    below = [*names.replace("helper", "").replace("sub", "sub.__init__").split(), "__init__"]
    files = {"inner": "from .. import helper", "other": "", "sub/__init__": "", "sub/deep": ""}
    folder = write(
        {
            "method.py": f"from {dot}lib.{package} import *\n",
            "lib/helper.py": "",
            f"lib/{package}/__init__.py": STARS[package],
            **{f"lib/{package}/{name}.py": text for name, text in files.items()},
        }
    )
    assert reached(folder / "method.py") == {
        *(f"lib.{package}.{name}" for name in below),
        *(["lib.helper"] if names else []),
    }


def test_modules_in_an_archive_count(write, monkeypatch):
    folder = write({"method.py": "from packed import inner\n"})
    archive = folder / "lib.zip"
    monkeypatch.syspath_prepend(archive)

    def pack(number):
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("packed/__init__.py", "")
            files.writestr("packed/inner.py", f"from .deep import *\nx = {number}\n")
            files.writestr("packed/deep/__init__.py", "__all__ = list('')\n")
            files.writestr("packed/deep/leaf.py", "")
        importlib.invalidate_caches()
        return fingerprint(folder)

    assert pack(1) != pack(2)
    assert pack(1) == pack(1)
    inner = {"packed.inner", "packed.deep.__init__", "packed.deep.leaf"}
    assert reached(folder / "method.py") == {"packed.__init__", *inner}


def test_metadata_without_a_name_say_nothing(write, monkeypatch):
    folder = write({"method.py": "import foo\n", "foo.py": "", "foo-1.dist-info/RECORD": ""})
    (folder / "foo-1.dist-info" / "top_level.txt").write_text("foo\n")
    monkeypatch.syspath_prepend(folder)
    clear_caches()
    assert reached(folder / "method.py") == {"foo"}
    assert code.package_versions(str(folder / "method.py")) == {}


ROUND, ANY = "circle round", "deeper random"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from .helper import x", "helper deeper"),
        ("from . import helper", "helper deeper"),
        ("from . import helper as h, random", "helper deeper random"),
        ("from .deeper import *", "deeper"),
        ("def f():\n    from . import deeper", "deeper"),
        ("import random, torch, os.path", ""),
        ("from .package import thing", "package.__init__ package.shown"),
        ("from .package.shown import thing", "package.__init__ package.shown"),
        (
            "from .package import inner",
            "package.__init__ package.shown package.inner helper deeper",
        ),
        (
            "from .package.sub import leaf",
            "package.__init__ package.shown package.sub.__init__ package.sub.leaf package.inner "
            "helper deeper",
        ),
        ("from .plain import one", "plain.one"),
        ("from .plain.one import x", "plain.one"),
        ("from . import circle", "circle round"),
        ("from . import nothing", ""),
        ("from .nowhere import nothing", ""),
        ("from ... import helper", ""),
        ("if TYPE_CHECKING:\n    from . import helper", ""),
        (
            "if t.TYPE_CHECKING:\n    from . import helper\nelse:\n    from . import round",
            ROUND,
        ),
        ("if TYPE_CHECKING:\n    from . import helper\nelif x:\n    from . import round", ROUND),
        ("if not TYPE_CHECKING:\n    from . import round\nelse:\n    from . import helper", ROUND),
        ("if not t.TYPE_CHECKING:\n    from . import round", ROUND),
        ("if TYPE_CHECKING or x:\n    from . import deeper\nelse:\n    from . import random", ANY),
        ("if NO_TYPE_CHECKING:\n    from . import deeper\nelse:\n    from . import random", ANY),
        # By a method that puts its folder on the path itself.
        ("import deeper", "deeper"),
    ],
)
def test_what_stands_beside_counts_where_it_is_imported(write, text, names):
    folder = write({**BESIDE, "method.py": text + "\n"})
    assert reached(folder / "method.py") == set(names.split())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import lib_helper", "lib_helper"),
        ("from lib_helper import x", "lib_helper"),
        ("import lib_package.inner", "lib_package.__init__ lib_package.inner lib_helper"),
        ("from lib_plain import leaf", "lib_plain.leaf"),
        ("import statistics", "statistics"),  # shadows the standard library's, as Python has it
        ("import json, numpy", ""),
        ("from . import lib_helper", ""),
        ("import __main__", ""),
    ],
)
def test_what_is_on_the_path_counts_where_it_is_imported(write, monkeypatch, text, names):
    files = {
        "lib_helper.py": "import json\n",
        "lib_package/__init__.py": "",
        "lib_package/inner.py": "import lib_helper\n",
        "lib_plain/leaf.py": "",
        "statistics.py": "",
        "unused.py": "",
    }
    folder = write({f"lib/{name}": content for name, content in files.items()})
    monkeypatch.syspath_prepend(folder / "lib")
    monkeypatch.delitem(sys.modules, "statistics", raising=False)
    write({"method.py": text + "\n"})
    assert reached(folder / "method.py") == set(names.split())


def test_modules_of_installed_packages_count_by_version(write, monkeypatch):
    folder = write({"method.py": "import tiny_package.methods.commonest\n"})
    monkeypatch.syspath_prepend(install(folder / "site"))
    (folder / "site" / "tiny_package-1.0.dist-info" / "top_level.txt").write_text("tiny_package\n")
    clear_caches()
    assert reached(folder / "method.py") == set()
    assert code.package_versions(str(folder / "method.py")) == {"tiny-package": "1.0"}
    # Unless the path has others of that name before them.
    write({f"first/tiny_package/{name}": "" for name in ("__init__.py", "methods/commonest.py")})
    monkeypatch.syspath_prepend(folder / "first")
    clear_caches()
    assert reached(folder / "method.py") == {
        "tiny_package.__init__",
        "tiny_package.methods.commonest",
    }


@pytest.mark.parametrize("metadata", ["tiny.egg-info", "tiny-1.0.dist-info"])
def test_what_a_project_says_of_itself_beside_its_modules_installs_none(
    write, monkeypatch, metadata
):
    """As building it leaves it there, or installing it editable."""
    info = f"project/{metadata}"
    lists = {"top_level.txt": "tiny\n", "SOURCES.txt": "tiny/__init__.py\n"}
    folder = write(
        {
            "method.py": "import tiny\n",
            "project/tiny/__init__.py": "",
            f"{info}/METADATA" if "dist" in metadata else f"{info}/PKG-INFO": "Name: tiny\n",
            **{f"{info}/{name}": text for name, text in lists.items()},
        }
    )
    monkeypatch.syspath_prepend(folder / "project")
    clear_caches()
    assert reached(folder / "method.py") == {"tiny.__init__"}


@pytest.mark.parametrize("home", ["purelib", "platlib", "user", "site"])
def test_what_lies_where_python_installs_counts_by_version(write, monkeypatch, home):
    """Whatever its metadata are: Debian's have no RECORD, and some are egg-info."""
    folder = write(
        {
            "method.py": "import tiny\n",
            "installed/tiny.py": "",
            "installed/tiny-1.0.egg-info/PKG-INFO": "Name: tiny\nVersion: 1.0\n",
            "installed/tiny-1.0.egg-info/top_level.txt": "tiny\n",
        }
    )
    where = str(folder / "installed")
    monkeypatch.syspath_prepend(where)
    monkeypatch.setattr("sysconfig.get_path", lambda name: where if name == home else "/nowhere")
    monkeypatch.setattr("site.getusersitepackages", lambda: where if home == "user" else "/nowhere")
    monkeypatch.setattr("site.getsitepackages", lambda: ["/no", where] if home == "site" else [])
    clear_caches()
    assert reached(folder / "method.py") == set()
    assert code.package_versions(str(folder / "method.py")) == {"tiny": "1.0"}


def test_the_packages_that_helpers_import_count(write):
    folder = write({"method.py": "from . import helper\n", "helper.py": "import scipy.special\n"})
    assert set(code.package_versions(str(folder / "method.py"))) == {"scipy"}


def fingerprint(folder):
    clear_caches()
    return code.code_fingerprint(str(folder / "method.py"), "cpu")


def test_an_edit_of_a_helper_counts_and_its_words_and_place_do_not(write):
    folder = write({"one/method.py": "from . import helper\n", "one/helper.py": "x = 1\n"})
    plain = fingerprint(folder / "one")
    write({"one/helper.py": '"""Words."""\nx = 1  # one\n', "one/unused.py": "y = 1\n"})
    assert fingerprint(folder / "one") == plain
    shutil.copytree(folder / "one", folder / "a" / "b.c" / "two")
    assert fingerprint(folder / "a" / "b.c" / "two") == plain
    write({"one/helper.py": "x = 2\n"})
    assert fingerprint(folder / "one") != plain


def test_helpers_of_one_name_beside_and_on_the_path_are_told_apart(write, monkeypatch):
    files = {"method.py": "import helper\nfrom . import helper\n", "helper.py": "x = 1\n"}
    folder = write({**files, "lib/helper.py": "x = 2\n"})
    monkeypatch.syspath_prepend(folder / "lib")
    before = fingerprint(folder)
    write({"helper.py": "x = 2\n", "lib/helper.py": "x = 1\n"})
    assert fingerprint(folder) != before


def test_what_one_module_says_is_not_taken_for_the_next(write, monkeypatch):
    """Two modules whose names and contents, in a row, read alike."""
    folder = write({"method.py": "from . import a\n", "a.py": "from . import b\n", "b.py": ""})
    found = set()
    for texts in ({"a": b"(beside).b", "b": b""}, {"a": b"", "b": b"(beside).b"}):
        monkeypatch.setattr(code, "_meaning", lambda path, of=texts: of.get(path.stem, b""))
        code.code_fingerprint.cache_clear()
        found.add(code.code_fingerprint(str(folder / "method.py"), "cpu"))
    assert len(found) == 2


def test_code_is_the_same_before_a_method_is_imported_and_after(write, monkeypatch):
    """Where it puts its folder and others on the path; of these only the former counts."""
    head = (
        "import sys\nsys.path += [{!r}, {!r}]\nimport beside_it, tiny_package.methods, far_away\n"
    )
    folder = write({"beside_it.py": "", "far/far_away.py": ""})
    install(folder / "far")
    (folder / "far" / "tiny_package-1.0.dist-info" / "top_level.txt").write_text("tiny_package\n")
    text = METHOD.replace("from .counting import", "from tiny_package.methods.counting import")
    write({"method.py": head.format(str(folder), str(folder / "far")) + text})
    method = str(folder / "method.py")
    monkeypatch.setattr(sys, "path", [*sys.path])

    def found():
        return reached(method), code.code_fingerprint(method, "cpu"), code.package_versions(method)

    before = found()
    assert before[0] == {"beside_it"}
    assert "tiny-package" not in before[2]
    find(method).load()
    assert str(folder / "far") in sys.path
    path = own_modules.start_path()
    clear_caches()
    own_modules.start_path()[:] = path
    assert found() == before


def test_a_compiled_helper_counts_by_its_bytes(write):
    helper = "helper" + importlib.machinery.EXTENSION_SUFFIXES[0]
    folder = write({"method.py": "from . import helper\n", helper: "binary"})
    plain = fingerprint(folder)
    write({helper: "other"})
    assert fingerprint(folder) != plain


def test_workers_import_helpers_and_an_edit_of_one_is_another_trial(tmp_path, store, monkeypatch):
    study = write_study(tmp_path)
    method = tmp_path / "fake_method.py"
    text = replaced(method.read_text(), ("level - 2)", "level - peak_at)"))
    # Workers are started after it is imported, with the path that it leaves.
    far = f"__import__('sys').path.insert(0, {str(tmp_path / 'far')!r})\nimport far_away\n"
    method.write_text("from .helper import peak_at\n" + far + text)
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "far_away.py").write_text("")
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "helper.py").write_text("peak_at = 2\n")
    (tmp_path / "random.py").write_text("raise SystemExit('shadowed')\n")
    clear_caches()
    own_modules.start_path()  # as of a process that starts here
    experiment = prepare(str(study), seeds=1)
    files = DataFiles(store.folder / "data", experiment.source)
    store.open()
    files.prepare(experiment.all_trials)
    best = experiment.trials[2]
    *_, (_, event) = run_trials([best], files, store, 1)
    assert isinstance(event, Done), event
    assert event.metrics["plain"] == 1.0
    (tmp_path / "helper.py").write_text("peak_at = 3\n")
    clear_caches()
    assert prepare(str(study), seeds=1).trials[2].identity != best.identity
    clear_caches()
