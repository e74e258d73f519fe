import errno
import stat

import pytest

from lelkern.files import seal, state_of_seal, write_atomically, write_text_atomically


def test_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "result.json"
    write_text_atomically(path, "one")
    write_text_atomically(path, "twó")
    assert path.read_text(encoding="utf-8") == "twó"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "result.json"
    write_text_atomically(path, "old")

    def fail(temporary):
        temporary.write_text("half of the n")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    ordinary, atomic = tmp_path / "ordinary", tmp_path / "atomic"
    ordinary.write_text("")
    write_text_atomically(atomic, "")
    assert stat.S_IMODE(atomic.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "a temporary file"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("1024 requested and 0 written"),  # as numpy.save has it
    ],
)
def test_an_error_names_the_file_and_not_a_temporary_one(tmp_path, error):
    def fail(temporary):
        raise error

    with pytest.raises(OSError, match=r"No space left on device|1024 requested") as caught:
        write_atomically(tmp_path / "result.json", fail)
    assert caught.value.filename == str(tmp_path / "result.json")


@pytest.mark.parametrize("content", [b"", b"content", bytes(3 << 20)])
def test_a_seal_tells_every_damage(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert state_of_seal(path) == "none"
    seal(path)
    sealed = path.read_bytes()
    assert sealed.startswith(content)
    assert state_of_seal(path) == "whole"
    path.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert state_of_seal(path) == "damaged"
    path.write_bytes(b"x" + sealed)
    assert state_of_seal(path) == "damaged"
    path.write_bytes(sealed[:-1])
    assert state_of_seal(path) == "none"


def test_names_of_files_that_are_no_utf8_are_spelled_out(tmp_path):
    write_text_atomically(tmp_path / "a.txt", "gr\udcf6n")
    assert (tmp_path / "a.txt").read_bytes() == rb"gr\udcf6n"
