import gzip
import struct

import pytest
import torch

from lelkern.data import DataError
from lelkern.data.idx import find_idx, read_idx

CUBE = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 1, 3) + bytes(range(250, 256))


def test_reads_plain_and_compressed(tmp_path):
    (tmp_path / "cube").write_bytes(CUBE)
    (tmp_path / "cube2.gz").write_bytes(gzip.compress(CUBE))
    expected = torch.tensor([[[250, 251, 252]], [[253, 254, 255]]], dtype=torch.uint8)
    for name in ("cube", "cube2"):
        path = find_idx(tmp_path, name)
        assert torch.equal(read_idx(path, dimensions=3), expected)
    assert find_idx(tmp_path, "other") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"not an IDX file of bytes with 3 dimension\(s\)"),
        (CUBE[:10], "not an IDX file"),
        (b"\x00\x00\x0d" + CUBE[3:], "not an IDX file"),
        (bytes([0, 0, 8, 1]) + CUBE[4:], "not an IDX file"),
        (CUBE[:-1], "5 values where its header says 6"),
        (CUBE + b"x", "7 values where its header says 6"),
    ],
)
def test_says_what_is_wrong(tmp_path, content, message):
    (tmp_path / "cube").write_bytes(content)
    with pytest.raises(DataError, match="cube: " + message):
        read_idx(tmp_path / "cube", dimensions=3)


GZIP = gzip.compress(CUBE, mtime=0)
DAMAGED = GZIP[:10] + bytes(byte ^ 255 for byte in GZIP[10:16]) + GZIP[16:]


@pytest.mark.parametrize(
    "content", [b"no gzip", GZIP[:-9], DAMAGED, b""], ids=["text", "cut", "damaged", "empty"]
)
def test_says_that_gzip_is_broken(tmp_path, content):
    (tmp_path / "cube.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"cube\.gz: "):
        read_idx(tmp_path / "cube.gz", dimensions=3)
