import pytest
import torch

from lelkern.reference.philox import philox4x32

# kat_vectors of Random123, the authors' own implementation: counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "want"), KNOWN)
def test_philox_gives_the_words_of_its_authors(counter, key, want, device):
    low, high = words(key)
    seed = torch.tensor(low + (high << 32) - (1 << 64 if high >> 31 else 0), device=device)
    got = philox4x32(tuple(torch.tensor(word, device=device) for word in words(counter)), seed)
    assert [int(word) for word in got] == words(want)
