"""Methods that other packages install: found without importing, used like lelkern's own."""

import importlib
import sys

import pytest
from package_with_methods import COUNTING, METHOD, clear_caches, forgotten, install

from lelkern.ablation.run import code
from lelkern.config import ConfigError
from lelkern.methods import available, find, get, problems, shipped


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Installs packages; what is known of them is forgotten after the test."""
    installed = []

    def put(*arguments, **options):
        # A folder each, as what is on a path is read once.
        folder = install(tmp_path / str(len(installed)), *arguments, **options)
        monkeypatch.syspath_prepend(folder)
        installed.append(folder)
        clear_caches()
        return folder

    with forgotten():
        yield put


def test_a_method_is_found_without_importing_anything_of_its_package(put):
    folder = put()
    assert "commonest" not in shipped()
    file = available()["commonest"]
    assert file == find("commonest")
    assert file.path == folder / "tiny_package/methods/commonest.py"
    assert file.summary == "Say the commonest class."
    assert (file.distribution, file.version, file.chapter) == ("tiny-package", "1.0", "")
    assert not [name for name in sys.modules if name.startswith("tiny_package")]
    assert get("commonest").config().level == 0
    assert problems() == []


@pytest.mark.parametrize("point", ["one = tiny_one", "one = tiny_one:METHOD", "one = tiny_one.sub"])
def test_any_module_may_hold_it(put, point):
    folder = put(point)
    text = METHOD.replace("from .counting import", "from tiny_package.methods.counting import")
    if point.endswith(".sub"):
        (folder / "tiny_one" / "sub").mkdir(parents=True)  # a namespace package
        (folder / "tiny_one" / "sub" / "__init__.py").write_text(text)
    else:
        (folder / "tiny_one.py").write_text(text)
    assert get("one").metrics.keys() == {"accuracy"}
    names = {code._module_name(f, code._packages(find("one"))) for f in reached("one")}
    assert {"tiny_one", "tiny_one.sub.__init__"} & names
    assert "lelkern.config" in names


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("guess = nowhere.at.all", "method 'guess' of tiny-package: there is no module 'nowhere."),
        ("guess = tiny_package.methods.none", "there is no module 'tiny_package.methods.none'"),
        ("guess = tiny_package.methods.commonest.x", "there is no module"),
        ("guess = tiny_package.methods.commonest:run", "must be a module, got"),
        (
            "guess.py = tiny_package.methods.commonest",
            "must be words joined by '-', got 'gue",
        ),
        ("guess = ", "method 'guess' of tiny-package: "),
        ("guess = sys", "there is no module 'sys'"),
        ("guess", "methods of package tiny-package: "),
    ],
)
def test_a_wrong_entry_point_is_one_line_and_no_one_elses_trouble(put, points, message):
    put()
    put(f"other = tiny_other.methods.commonest\n{points}", module="tiny_other", name="tiny-other")
    put(points)  # before the first on the path
    (line,) = [line for line in problems() if "tiny-package" in line]
    assert message in line
    assert "\n" not in line
    assert shipped().keys() <= available().keys()
    assert "guess" not in available()
    if points != "guess":
        with pytest.raises(ConfigError) as error:
            find(points.split(" ")[0].removesuffix(".py"))
        assert "\n" not in str(error.value)
        assert "other" in available()


def test_metadata_that_are_no_text_are_no_one_elses_trouble(put):
    put()
    folder = put(name="tiny-broken")
    (info,) = folder.glob("*.dist-info")
    (info / "entry_points.txt").write_bytes(b"[lelkern.methods]\n\xff\xfe")
    assert "commonest" in available()
    assert all("\n" not in line for line in problems())
    assert len(problems()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("import numpy as np", "import nonsense"), "line 5: ModuleNotFoundError: No module"),
        (("import numpy as np", "raise SystemExit(3)"), "line 5: SystemExit: 3"),
        (("import numpy as np", "import ("), "line 5: SyntaxError"),
        (("METHOD = Method(", "OTHER = Method("), "must end in METHOD = Method"),
    ],
)
def test_an_error_in_a_method_names_it_its_package_and_the_line(put, change, message):
    folder = put(method=METHOD.replace(*change))
    assert "commonest" in available()
    with pytest.raises(ConfigError, match=message) as error:
        get("commonest")
    assert "\n" not in str(error.value)
    assert "tiny-package 1.0" in str(error.value) or str(folder) in str(error.value)


def test_two_methods_of_one_name_are_an_error_that_names_both(put):
    put("simclr = tiny_package.methods.commonest")
    with pytest.raises(ConfigError, match="method 'simclr' is that of lelkern ") as error:
        get("simclr")
    assert "tiny-package 1.0 (tiny_package.methods.commonest)" in str(error.value)
    assert "(lelkern.methods.contrastive.simclr)" in str(error.value)
    assert problems() == [str(error.value)]
    assert available()["simclr"] == shipped()["simclr"]
    assert get("moco")


def test_two_packages_with_one_name_are_an_error_that_names_both(put):
    put()
    put("commonest = tiny_other.methods.commonest", module="tiny_other", name="tiny-other")
    with pytest.raises(ConfigError, match=r"of tiny-other 1.0 .* and of tiny-package 1.0 "):
        find("commonest")
    assert "commonest" not in available()
    assert len(problems()) == 1


def test_the_first_of_a_package_on_the_path_counts(put):
    put(version="1.0")
    put(version="2.0")
    assert find("commonest").version == "2.0"


# --- identity -------------------------------------------------------------------------------


def reached(name):
    return code.imported_files(find(name).path, code._packages(find(name)))


def identity(put, **options):
    put(**options)
    importlib.invalidate_caches()
    return code.code_fingerprint("commonest", "cpu"), dict(code.package_versions("commonest"))


def test_code_of_the_package_and_its_version_decide(put):
    plain = identity(put)
    assert identity(put) == plain
    assert plain[1]["tiny-package"] == "1.0"
    assert {"numpy", "torch"} < plain[1].keys()
    assert identity(put, counting=COUNTING.replace("Counting.", "Other words.")) == plain
    changed = identity(put, counting=COUNTING.replace("argmax", "argmin"))
    assert changed[0] != plain[0]
    assert changed[1] == plain[1]
    newer = identity(put, version="1.1")
    assert newer[0] == plain[0]
    assert newer[1] != plain[1]


@pytest.mark.parametrize(
    "line",
    [
        "from .counting import commonest",
        "from . import counting",
        "from ..methods import counting",
        "from ..methods.counting import commonest",
        "import tiny_package.methods.counting",
        "from tiny_package.methods import counting",
        "def f():\n    from .counting import *",
    ],
)
def test_modules_of_the_package_are_followed_however_they_are_imported(put, line):
    folder = put(method=METHOD.replace("from .counting import commonest", line))
    assert folder / "tiny_package/methods/counting.py" in reached("commonest")


def test_what_a_package_shows_of_its_modules_is_followed(put):
    folder = put(method=METHOD.replace("from .counting", "from tiny_package.methods"))
    (folder / "tiny_package/methods/__init__.py").write_text("from .counting import commonest\n")
    assert folder / "tiny_package/methods/counting.py" in reached("commonest")
