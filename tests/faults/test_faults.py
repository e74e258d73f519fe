"""The list of planted faults follows the code: each of them can be planted."""

from pathlib import Path

import pytest
from faults import Fault, FaultError, arguments_of, load, planted

ROOT = Path(__file__).parents[2]
FAULTS = load()


def fault(find: str = "a == b", file: str = "csrc/a.h", tests: tuple[str, ...] = ()) -> Fault:
    return Fault("area", "name", "what", file, find, "a != b", tests)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_has_its_place_and_its_tests(fault: Fault) -> None:
    path, text = planted(fault, ROOT)
    assert text != path.read_text(encoding="utf-8")
    assert arguments_of(fault, ROOT)


def test_names_are_unique() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "csrc/cpu").mkdir(parents=True)
    (tmp_path / "csrc/a.h").write_text("return a\n    == b;\n")
    return tmp_path


def test_white_space_does_not_count(tree: Path) -> None:
    assert planted(fault(), tree) == (tree / "csrc/a.h", "return a != b;\n")


def test_what_moved_is_found(tree: Path) -> None:
    (tree / "csrc/a.h").rename(tree / "csrc/cpu/a.h")
    (tree / "csrc/a.h").write_text("return 0;\n")
    assert planted(fault(), tree)[0] == tree / "csrc/cpu/a.h"
    (tree / "csrc/cpu/a.h").rename(tree / "csrc/cpu/b.h")
    assert planted(fault(), tree)[0] == tree / "csrc/cpu/b.h"


def test_a_text_must_be_there_once(tree: Path) -> None:
    with pytest.raises(FaultError, match=r"neither in csrc/a\.h nor elsewhere"):
        planted(fault("c == d"), tree)
    (tree / "csrc/a.h").write_text("a == b; a == b;\n")
    with pytest.raises(FaultError, match=r"more than one place: csrc/a\.h, csrc/a\.h"):
        planted(fault(), tree)


def test_tests_that_moved_are_found(tree: Path) -> None:
    (tree / "tests/new").mkdir(parents=True)
    (tree / "tests/new/test_a.py").touch()
    moved = fault(tests=("tests/test_a.py::test_one",))
    assert arguments_of(moved, tree) == ["tests/new/test_a.py::test_one"]
    with pytest.raises(FaultError, match=r"0 files are called test_b\.py"):
        arguments_of(fault(tests=("tests/test_b.py",)), tree)
