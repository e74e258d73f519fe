import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lelkern.evaluate import alignment, tolerance, uniformity


def unit_lists(z):
    return F.normalize(z.double(), dim=1).tolist()


def distance(a, b):
    return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def alignment_oracle(z1, z2, alpha):
    pairs = zip(unit_lists(z1), unit_lists(z2), strict=True)
    return sum(distance(a, b) ** alpha for a, b in pairs) / len(z1)


def uniformity_oracle(z, t):
    z = unit_lists(z)
    values = [
        math.exp(-t * distance(z[i], z[j]) ** 2)
        for i in range(len(z))
        for j in range(len(z))
        if i < j
    ]
    return math.log(sum(values) / len(values))


def tolerance_oracle(z, labels):
    z, labels = unit_lists(z), labels.tolist()
    values = [
        dot(z[i], z[j])
        for i in range(len(z))
        for j in range(len(z))
        if i != j and labels[i] == labels[j]
    ]
    return sum(values) / len(values)


def draw(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def rotation(d):
    q, _ = torch.linalg.qr(draw(d, d, seed=77).double())
    return q


SIZES = {"n": st.integers(2, 25), "d": st.integers(1, 8), "seed": st.integers(0, 1000)}


@settings(max_examples=40, deadline=None)
@given(**SIZES, alpha=st.floats(0.5, 4))
def test_alignment_equals_the_loops(n, d, seed, alpha):
    z1, z2 = draw(n, d, seed), draw(n, d, seed + 1)
    expected = alignment_oracle(z1, z2, alpha)
    assert alignment(z1, z2, alpha=alpha) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(**SIZES, t=st.floats(0.1, 10), chunk_size=st.integers(1, 30))
def test_uniformity_equals_the_loops(n, d, seed, t, chunk_size):
    z = draw(n, d, seed)
    expected = uniformity_oracle(z, t)
    ours = uniformity(z, t=t, chunk_size=chunk_size)
    assert ours == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert -4 * t - 1e-4 <= ours <= 1e-6


@settings(max_examples=40, deadline=None)
@given(**SIZES, classes=st.integers(1, 4))
def test_tolerance_equals_the_loops(n, d, seed, classes):
    z = draw(n, d, seed)
    labels = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed)) * 3
    labels[1] = labels[0]
    assert tolerance(z, labels) == pytest.approx(tolerance_oracle(z, labels), abs=1e-6)


def test_defaults_are_those_of_the_papers():
    z1, z2 = draw(20, 5, 0), draw(20, 5, 1)
    assert alignment(z1, z2) == alignment(z1, z2, alpha=2)
    assert uniformity(z1) == uniformity(z1, t=2)


def test_exact_values():
    square = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])  # 4 sides of sqrt 2, 2 diagonals
    assert alignment(square, square) == 0.0
    assert alignment(square, -square) == 4.0
    assert alignment(square, square.roll(1, 0)) == pytest.approx(2.0)
    expected = math.log((4 * math.exp(-4) + 2 * math.exp(-8)) / 6)
    assert uniformity(square) == pytest.approx(expected, rel=1e-6)
    assert tolerance(square, torch.tensor([0, 0, 1, 1])) == pytest.approx(0.0, abs=1e-9)
    assert tolerance(square, torch.tensor([0, 1, 0, 1])) == pytest.approx(-1.0)
    assert tolerance(square, torch.tensor([0, 0, 0, 1])) == pytest.approx(-1 / 3)
    assert tolerance(torch.ones(3, 4), torch.tensor([5, 5, 7])) == pytest.approx(1.0)


def test_rotation_length_and_order_do_not_matter():
    z1, z2, labels = draw(30, 6, 0).double(), draw(30, 6, 1).double(), torch.arange(30) % 4
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    scale = torch.arange(1, 31)[:, None]
    for a, b, y in (
        (z1 @ rotation(6), z2 @ rotation(6), labels),
        (z1 * scale, z2 / scale, labels),
        (z1[order], z2[order], labels[order]),
    ):
        assert alignment(a, b) == pytest.approx(alignment(z1, z2), rel=1e-9)
        assert uniformity(a) == pytest.approx(uniformity(z1), rel=1e-9)
        assert tolerance(a, y) == pytest.approx(tolerance(z1, labels), rel=1e-9)


def test_uniformity_orders_point_cap_and_sphere():
    point = torch.ones(200, 16) + 1e-4 * draw(200, 16, 0)
    cap = torch.ones(200, 16) + 0.5 * draw(200, 16, 0)
    sphere = draw(200, 16, 0)
    assert 0 >= uniformity(point) > -1e-4
    assert uniformity(point) > uniformity(cap) > uniformity(sphere)
    assert uniformity(draw(500, 512, 0)) == pytest.approx(-4, abs=0.05)


def test_uniformity_does_not_underflow():
    opposite = torch.tensor([[1.0, 0], [-1, 0]])
    assert uniformity(opposite, t=1000.0) == pytest.approx(-4000.0)  # exp(-4000) is 0


def test_zero_rows_stay_zero():
    z = torch.tensor([[0.0, 0], [3, 0]])
    assert alignment(z, z.flip(0)) == pytest.approx(1.0)
    assert uniformity(z, t=1.0) == pytest.approx(-1.0)
    assert tolerance(z, torch.tensor([0, 0])) == 0.0


def test_no_pair_is_refused():
    with pytest.raises(ValueError, match="z must have at least 2 rows, got 1"):
        uniformity(torch.ones(1, 3))
    message = "labels must have two samples in some class, got 3 classes of one"
    with pytest.raises(ValueError, match=message):
        tolerance(torch.eye(3), torch.arange(3))
    assert alignment(torch.ones(1, 3), torch.ones(1, 3)) == 0.0
