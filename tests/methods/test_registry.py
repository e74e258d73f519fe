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
    (tmp_path / "other").mkdir()
    other = write(GOOD.replace("= 3", "= 5"), "other/my_guess.py")
    assert get(name) is get(name)
    assert get(f"{tmp_path}/other/../my_guess.py") is get(name)
    assert get(other).config().steps == 5
    assert "my_guess" not in sys.modules


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
    ],
)
def test_an_error_in_a_file_is_one_line_that_names_it(write, text, message):
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
