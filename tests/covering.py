"""Few combinations of many parameters, in which all pairs of their values meet."""

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import Any

Part = tuple[tuple[int, int], ...]
"""Numbers of parameters, rising, each with the number of a value."""


def covering(*parameters: Sequence[Any], strength: int = 2) -> list[tuple[Any, ...]]:
    """Return combinations of values in which any two parameters have every pair of theirs.

    Most faults need one value to show, nearly all others two (Kuhn, Wallace & Gallo 2004, "Software
    Fault Interactions and Implications for Software Testing"), and of n values each, two of many
    parameters meet in little more than n^2 combinations. They are made one after the other: the
    first pair that was not met yet, and for the other parameters what meets most of those left.

    Args:
        parameters: the values of each, at least one.
        strength: how many parameters meet in all combinations of their values; at most all of them.

    Returns:
        Combinations, one value a parameter; always the same ones.
    """
    sizes = [len(values) for values in parameters]
    left = dict.fromkeys(
        part
        for numbers in combinations(range(len(sizes)), strength)
        for part in _parts(numbers, sizes)
    )
    rows = []
    while left:
        row = dict(next(iter(left)))
        while len(row) < len(sizes):
            row.update(_best(row, left, sizes, turn=len(rows)))
        for part in combinations(sorted(row.items()), strength):
            left.pop(part, None)
        rows.append(tuple(values[row[i]] for i, values in enumerate(parameters)))
    return rows


def _parts(numbers: Sequence[int], sizes: Sequence[int]) -> Iterator[Part]:
    """Yield all combinations of the values of some parameters."""
    for values in product(*(range(sizes[i]) for i in numbers)):
        yield tuple(zip(numbers, values, strict=True))


def _best(
    row: dict[int, int], left: dict[Part, None], sizes: Sequence[int], turn: int
) -> dict[int, int]:
    """Return a value of a parameter that a row lacks: one that meets most of what is left.

    Where several do, it is each one's turn, so that values are in about as many rows as others.
    """
    gains = {}
    for i in [i for i in range(len(sizes)) if i not in row]:
        for value in range(sizes[i]):
            known = {**row, i: value}
            gain = sum(
                all(known.get(j) == v for j, v in part) for part in left if (i, value) in part
            )
            gains[i, value] = gain
    most = max(gains.values())
    best = [choice for choice, gain in gains.items() if gain == most]
    (i, value) = best[turn % len(best)]
    return {i: value}
