import subprocess
import sys
from pathlib import Path

import pytest

from lelkern import methods
from lelkern.config import ConfigError
from lelkern.methods import CHAPTERS, available, find, get

FOLDER = Path(methods.__file__).parent

GOOD = '''"""Guess the commonest class.

More words.
"""
from lelkern.config import Config
from lelkern.methods import Method, Outcome, percentage

class GuessConfig(Config):
    steps: int = 3

METHOD = Method(GuessConfig, object, {"accuracy": percentage("accuracy")}, lambda *a: Outcome({}))
'''


@pytest.fixture
def write(tmp_path):
    def write(text, name="my_guess.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    return write


# --- lelkern's own --------------------------------------------------------------------------


def test_every_file_of_a_chapter_is_a_method_and_every_folder_a_chapter():
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders <= set(CHAPTERS)
    files = [p for c in CHAPTERS for p in (FOLDER / c).glob("*.py") if p.name[0] != "_"]
    assert len({path.stem for path in files}) == len(files)  # names are not told by chapter
    assert [file.path for file in available().values()] == sorted(
        files, key=lambda path: (CHAPTERS.index(path.parent.name), path)
    )
    for name, file in available().items():
        assert name == file.name == file.path.stem.replace("_", "-")
        assert file.chapter == file.path.parent.name


def test_listing_imports_neither_torch_nor_a_method():
    """lelkern itself is left out here: what it exports has to do with torch."""
    code = f"""
import sys, types
package = types.ModuleType("lelkern")
package.__path__ = [{str(FOLDER.parent)!r}]
sys.modules["lelkern"] = package
from lelkern.methods import available
for file in available().values():
    assert file.summary
assert "torch" not in sys.modules
loaded = {{name for name in sys.modules if name.startswith("lelkern.methods.")}}
modules = ("installed", "method", "method_file", "metric", "registry")
assert loaded == {{f"lelkern.methods.{{m}}" for m in modules}}
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "unknown method ''; valid: "),
        ("contrastive/simclr.py", "must be absolute, got 'contrastive/simclr.py'"),
        ("/nowhere/at/all.py", "/nowhere/at/all.py: no such file"),
    ],
)
def test_unknown_methods(name, message):
    with pytest.raises(ConfigError, match=message) as error:
        find(name)
    assert "\n" not in str(error.value)


# --- files elsewhere ------------------------------------------------------------------------


def test_a_file_anywhere_is_a_method(write):
    name = write(GOOD)
    file = find(name)
    assert (file.name, file.chapter, str(file.path)) == (name, "", name)
    assert file.summary == "Guess the commonest class."
    assert file.module not in sys.modules  # finding it runs nothing
    method = get(name)
    assert method.config().steps == 3
    assert method.config.__module__ == file.module


def test_a_file_is_imported_once_and_apart_from_its_namesakes(write, tmp_path):
    name = write(GOOD)
    other = write(GOOD.replace("= 3", "= 5"), "other/my_guess.py")
    assert get(name) is get(name)
    assert get(f"{tmp_path}/other/../my_guess.py") is get(name)
    assert get(other).config().steps == 5
    assert "my_guess" not in sys.modules


USING = GOOD.replace("steps: int = 3", "steps: int = STEPS")
HELPER = "STEPS = 7\n"


@pytest.mark.parametrize(
    ("line", "helper"),
    [
        ("from .helper import STEPS", "helper.py"),
        ("from . import helper\nSTEPS = helper.STEPS", "helper.py"),
        ("from .random import STEPS", "random.py"),
        ("from .parts.helper import STEPS", "parts/helper.py"),
        ("from .parts import STEPS", "parts/__init__.py"),
        ("from .other import STEPS", "other.py"),
    ],
)
@pytest.mark.parametrize("name", ["my_guess.py", "my-guess.v2.py"])
def test_what_stands_beside_a_file_is_imported_relatively(write, tmp_path, line, helper, name):
    write(HELPER, "helper.py")
    write("from .helper import STEPS\n" if helper == "other.py" else HELPER, helper)
    path = list(sys.path)
    assert get(write(f"{line}\n{USING}", name)).config().steps == 7
    assert sys.path == path


def test_helpers_of_one_name_in_two_folders_are_two(write):
    for folder, steps in (("one", 1), ("two", 2)):
        write(f"STEPS = {steps}\n", f"{folder}/helper.py")
        assert get(write(f"from .helper import STEPS\n{USING}", f"{folder}/a.py"))
    for folder, steps in (("one", 1), ("two", 2)):
        again = write(f"from .helper import STEPS\n{USING}", f"{folder}/b.py")
        assert get(again).config().steps == steps


def test_what_stands_beside_a_file_shadows_nothing(write, monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    write("raise SystemExit('imported from beside')\n", "colorsys.py")
    assert get(write(f"import colorsys\ncolorsys.rgb_to_hsv\n{GOOD}"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", r": must end in METHOD = Method\(...\), got None"),
        ("METHOD = 3\n", r": must end in METHOD = Method\(...\), got 3"),
        ("x = 1\nx = (\n", r": line 2: SyntaxError: .* was never closed"),
        ("\nimport nonsense\n", ": line 2: ModuleNotFoundError: No module named 'nonsense'"),
        ("def f():\n    return {}['a']\nf()\n", ": line 2: KeyError: 'a'"),
        ("raise ValueError('one\\ntwo')", ": line 1: ValueError: one"),
        ("import json\njson.loads('{')", ": line 2: JSONDecodeError: Expecting"),
        ("assert False", ": line 1: AssertionError"),
        ("import sys\nsys.exit(3)", ": line 2: SystemExit: 3"),
        ("import beside", "named 'beside'; beside.py beside it is imported as in 'from .beside im"),
        ("import parts.one", "named 'parts'; parts beside it is imported as in 'from .parts im"),
        ("import .beside", "line 1: SyntaxError"),
        ("from .nowhere import x", "line 1: ModuleNotFoundError: No module named '.nowhere'$"),
        ("from . import nowhere", r"line 1: ImportError: cannot import name 'nowhere' from '.' \("),
        ("from .broken import x", r"line 1: SyntaxError: .*\(broken.py, line 1\)"),
    ],
)
def test_an_error_in_a_file_is_one_line_that_names_it(write, text, message):
    write("", "beside.py")
    write("", "parts/one.py")
    write("(", "broken.py")
    name = write(text)
    for _ in range(2):  # a file that failed is not taken for an imported one afterwards
        with pytest.raises(ConfigError, match=message) as error:
            get(name)
        assert str(error.value).startswith(f"{name}: ")
        assert "\n" not in str(error.value)


def test_the_summary_of_a_file_without_words_is_empty_and_of_one_that_is_no_python_an_error(write):
    assert find(write("x = 1\n")).summary == ""
    with pytest.raises(ConfigError, match=r"my_guess.py: line 1: SyntaxError"):
        _ = find(write("one two\n")).summary
    with pytest.raises(ConfigError, match=r"my_guess.py: .*null bytes"):
        _ = find(write("\0")).summary
