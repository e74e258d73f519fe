import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lelkern.evaluate import contrastive_statistics


def oracle(z1, z2, temperature, normalize=True):
    """Loops over float64 numbers, with the logarithm of the sum taken around the maximum."""
    n = len(z1)
    z = torch.cat([z1, z2]).double()
    z = F.normalize(z, dim=1) if normalize else z
    s = (z @ z.T).tolist()
    correct, entropy = 0, 0.0
    for i in range(2 * n):
        positive = i + n if i < n else i - n
        others = [j for j in range(2 * n) if j != i]
        correct += all(s[i][positive] > s[i][j] for j in others if j != positive)
        top = max(s[i][j] for j in others)
        log_sum = math.log(sum(math.exp((s[i][j] - top) / temperature) for j in others))
        for j in others:
            log_p = (s[i][j] - top) / temperature - log_sum
            entropy -= math.exp(log_p) * log_p
    return correct / (2 * n), entropy / (2 * n)


def random_pair(n, d, noise=0.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z1 = torch.randn(n, d, generator=generator)
    return z1, z1 + noise * torch.randn(n, d, generator=generator)


@pytest.mark.parametrize("temperature", [0.001, 0.01, 0.1, 0.5, 1.0, 10.0, 100.0])
@pytest.mark.parametrize(("n", "d"), [(2, 1), (3, 4), (20, 8)])
def test_equals_the_loops(n, d, temperature):
    z1, z2 = random_pair(n, d, seed=n)
    if d == 1:  # all similarities are 1 or -1, and a tie is a tie on both sides
        z1, z2 = z1.abs(), -z2.abs()
    accuracy, entropy = contrastive_statistics(z1, z2, temperature)
    expected = oracle(z1, z2, temperature)
    assert accuracy == expected[0]
    # float32 similarities are off by 1e-7, which the temperature magnifies
    assert entropy == pytest.approx(expected[1], rel=1e-5, abs=1e-6 + 1e-6 / temperature)
    exact = contrastive_statistics(z1.double(), z2.double(), temperature)
    assert exact.entropy == pytest.approx(expected[1], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("temperature", [1.0, 10.0, 100.0])
def test_without_normalisation_rows_are_compared_by_dot_products(temperature):
    z1, z2 = random_pair(20, 8)
    z1[3] *= 30  # a long row is near many others by dot products, and near its own by cosines
    found = contrastive_statistics(z1.double(), z2.double(), temperature, normalize=False)
    accuracy, entropy = oracle(z1, z2, temperature, normalize=False)
    assert found.accuracy == accuracy < contrastive_statistics(z1, z2, temperature).accuracy
    assert found.entropy == pytest.approx(entropy, rel=1e-9, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(1, 30),
    d=st.integers(1, 10),
    exponent=st.floats(-3, 2),
    chunk_size=st.integers(1, 70),
    seed=st.integers(0, 1000),
)
def test_bounds_and_chunks(n, d, exponent, chunk_size, seed):
    z1, z2 = random_pair(n, d, seed=seed)
    result = contrastive_statistics(z1, z2, 10**exponent)
    assert 0 <= result.accuracy <= 1
    assert 0 <= result.entropy <= math.log(2 * n - 1) + 1e-5
    chunked = contrastive_statistics(z1.double(), z2.double(), 10**exponent, chunk_size=chunk_size)
    whole = contrastive_statistics(z1.double(), z2.double(), 10**exponent)
    assert chunked.entropy == pytest.approx(whole.entropy, abs=1e-9)
    if d > 1:  # in one dimension everything ties
        assert chunked.accuracy == whole.accuracy


def test_exact_small_example():
    """Two pairs on two axes: a row sees its positive at 1 and two negatives at 0."""
    z = torch.eye(2)
    accuracy, entropy = contrastive_statistics(z, z, 1.0)
    p, q = math.e / (math.e + 2), 1 / (math.e + 2)
    assert accuracy == 1.0
    assert entropy == pytest.approx(-p * math.log(p) - 2 * q * math.log(q), rel=1e-6)


def test_a_swapped_pair_is_wrong():
    z = torch.eye(4)
    swapped = z[[1, 0, 2, 3]]
    assert contrastive_statistics(z, swapped, 0.1).accuracy == 0.5


def test_one_pair_has_nothing_to_confuse():
    assert contrastive_statistics(torch.ones(1, 3), -torch.ones(1, 3), 0.1) == (1.0, 0.0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_collapsed_representation_scores_zero(value):
    z = torch.zeros(8, 4)
    z[:, 0] = value
    accuracy, entropy = contrastive_statistics(z, z, 0.1)
    assert accuracy == 0.0
    assert entropy == pytest.approx(math.log(15), rel=1e-6)


def test_limits_of_temperature():
    z1, z2 = random_pair(20, 8, noise=0.1)
    assert contrastive_statistics(z1, z2, 0.001).entropy < 1e-3
    assert contrastive_statistics(z1, z2, 100.0).entropy == pytest.approx(math.log(39), abs=1e-3)
    entropies = [contrastive_statistics(z1, z2, t).entropy for t in (0.01, 0.05, 0.2, 1.0, 5.0)]
    assert entropies == sorted(entropies)


def test_length_order_and_sides_do_not_matter():
    z1, z2 = random_pair(20, 8)
    expected = contrastive_statistics(z1, z2, 0.2)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    scale = torch.arange(1.0, 21)[:, None]
    for a, b in ((z2, z1), (z1[order], z2[order]), (z1 * scale, z2 / scale)):
        result = contrastive_statistics(a, b, 0.2)
        assert result.accuracy == expected.accuracy
        assert result.entropy == pytest.approx(expected.entropy, rel=1e-5)
