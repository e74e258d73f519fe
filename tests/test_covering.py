from itertools import combinations, product
from math import prod

import pytest
from covering import covering
from hypothesis import given, settings
from hypothesis import strategies as st


def met(rows, numbers):
    """What some parameters are together, in any of the rows."""
    return {tuple(row[i] for i in numbers) for row in rows}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 3))
def test_all_values_meet(sizes, strength):
    strength = min(strength, len(sizes))
    parameters = [[f"{i}{value}" for value in range(size)] for i, size in enumerate(sizes)]
    rows = covering(*parameters, strength=strength)
    for numbers in combinations(range(len(sizes)), strength):
        assert met(rows, numbers) == set(product(*(parameters[i] for i in numbers)))
    assert len(set(rows)) == len(rows) <= prod(sizes)
    assert covering(*parameters, strength=strength) == rows


@pytest.mark.parametrize("sizes", [(5, 5, 5, 3), (4, 8, 5), (2,) * 9, (6, 6, 4, 2, 2)])
def test_there_are_few(sizes):
    # No fewer than the two longest have pairs. Half as many more would be a sign that the choice
    # of values is no good, for which random ones would do.
    least = prod(sorted(sizes)[-2:])
    rows = covering(*map(range, sizes))
    assert least <= len(rows) <= max(1.5 * least, least + 5)


def test_values_take_turns():
    rows = covering(range(5), range(5), range(2))
    assert 10 <= sum(row[2] for row in rows) <= 15
    assert len(rows) == 25
