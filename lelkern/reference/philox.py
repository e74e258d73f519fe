"""Philox4x32-10, random numbers as a function of a counter, in plain PyTorch.

Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3.
"""

from torch import Tensor

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
WORD = 0xFFFFFFFF


def philox4x32(counter: tuple[Tensor, ...], seed: Tensor) -> tuple[Tensor, ...]:
    """Return four words of 32 random bits for every counter of four words.

    Words are int64 tensors, of which the low 32 bits count; those returned are in [0, 2**32).
    ``seed`` is an int64 without dimensions: the key.
    """
    a, b, c, d = (word & WORD for word in counter)
    keys = (seed & WORD, (seed >> 32) & WORD)
    for _ in range(ROUNDS):
        (high_a, low_a), (high_c, low_c) = _product(a, MULTIPLIERS[0]), _product(c, MULTIPLIERS[1])
        a, b, c, d = high_c ^ b ^ keys[0], low_c, high_a ^ d ^ keys[1], low_a
        keys = ((keys[0] + KEY_STEPS[0]) & WORD, (keys[1] + KEY_STEPS[1]) & WORD)
    return a, b, c, d


def _product(word: Tensor, by: int) -> tuple[Tensor, Tensor]:
    """Return the high and the low word of a product of two words."""
    # By halves, since a signed product of 64 bits would overflow.
    low, high = word * (by & 0xFFFF), word * (by >> 16)
    total = low + ((high & 0xFFFF) << 16)
    return ((high >> 16) + (total >> 32)) & WORD, total & WORD
