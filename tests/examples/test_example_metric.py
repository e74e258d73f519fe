import math

import pytest
import torch
from metric import effective_rank


def test_equal_directions_count_and_others_as_much_as_they_weigh():
    assert effective_rank(torch.eye(5)) == pytest.approx(5)
    assert effective_rank(torch.ones(7, 3)) == pytest.approx(1)
    p = [3 / 4, 1 / 4]
    expected = math.exp(-sum(q * math.log(q) for q in p))
    assert effective_rank(torch.tensor([[3.0, 0.0], [0.0, 1.0]])) == pytest.approx(expected)


def test_neither_scale_nor_rotation_matters():
    x = torch.randn(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rotation = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0]
    assert effective_rank(1e-3 * x @ rotation) == pytest.approx(effective_rank(x), rel=1e-12)
    assert 1 < effective_rank(x) < 4


def test_there_is_none_of_nothing():
    assert math.isnan(effective_rank(torch.zeros(3, 2)))


def test_features_are_checked():
    with pytest.raises(ValueError, match="x must be floating point"):
        effective_rank(torch.ones(3, 2, dtype=torch.int64))
