import math

import pytest
import torch
import torch.nn.functional as F
from largest_tensor import LargestTensor

from lelkern.evaluate import knn


def oracle(train_x, train_y, test_x, test_y, k, temperature):
    """Loops over float64 lists; Python's sort is stable, so ties fall to the first."""
    train = F.normalize(train_x.double(), dim=1).tolist()
    correct = 0
    for x, y in zip(F.normalize(test_x.double(), dim=1).tolist(), test_y.tolist(), strict=True):
        similarity = [sum(a * b for a, b in zip(x, row, strict=True)) for row in train]
        nearest = sorted(range(len(train)), key=lambda i: -similarity[i])[:k]
        votes = {}
        for i in nearest:
            label = int(train_y[i])
            votes[label] = votes.get(label, 0.0) + math.exp(similarity[i] / temperature)
        best = max(votes.values())
        correct += min(label for label, vote in votes.items() if vote == best) == y
    return correct / len(test_x)


@pytest.mark.parametrize("k", [1, 2, 5, 20, 1000])
@pytest.mark.parametrize("temperature", [0.07, 1.0, 100.0])
def test_equals_the_loops(k, temperature):
    generator = torch.Generator().manual_seed(k)
    train_x = torch.randn(60, 4, generator=generator)
    train_y = torch.randint(5, (60,), generator=generator)
    test_x = torch.randn(50, 4, generator=generator)
    test_y = torch.randint(5, (50,), generator=generator)
    ours = knn(train_x, train_y, test_x, test_y, k=k, temperature=temperature)
    assert ours == oracle(train_x, train_y, test_x, test_y, k, temperature)


def test_defaults_are_k_20_and_temperature_007():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 5, generator=generator)
    y = (x[:, 0] > 0.3).long() + 2 * (x[:, 1] > 0).long()
    args = x[:200], y[:200], x[200:], y[200:]
    assert knn(*args) == oracle(*args, k=20, temperature=0.07)


def test_weights_decide_between_one_near_and_two_far():
    train_x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])  # similarities 1, 0.71, 0.71
    train_y = torch.tensor([0, 1, 1])
    test_x, test_y = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    assert knn(train_x, train_y, test_x, test_y, temperature=0.07) == 1.0
    assert knn(train_x, train_y, test_x, test_y, temperature=1.0) == 0.0  # e^1 < 2 e^0.71


def test_only_the_nearest_k_vote():
    train_x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    train_y = torch.tensor([0, 1, 1])
    test_x, test_y = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
    for k, expected in ((1, 1.0), (2, 1.0), (3, 0.0)):
        assert knn(train_x, train_y, test_x, test_y, k=k, temperature=1.0) == expected


def test_length_does_not_matter():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(80, 4, generator=generator), torch.arange(80) % 3
    scale = torch.rand(80, 1, generator=generator) * 100 + 0.01
    assert knn(x * scale, y, x + 0.5, y) == knn(x, y, (x + 0.5) * scale, y)


@pytest.mark.parametrize("n", [5, 300])
def test_equally_near_samples_are_taken_in_order(n):
    x = torch.ones(n, 1)
    y = torch.zeros(n, dtype=torch.long)
    y[0] = 3
    y[1:4] = 2
    for k, winner in ((1, 3), (2, 2), (3, 2), (4, 2)):  # at k = 2 one vote each: the lowest
        assert knn(x, y, x[:1], torch.tensor([winner]), k=k) == 1.0


def test_ties_at_the_edge_leave_the_nearer_samples_in():
    x = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    y = torch.tensor([2, 1, 0, 1])
    query = torch.tensor([[1.0, 0.5]])
    # Nearest is row 2; of the three equal ones row 0 comes first, so that class 1 has no vote.
    for temperature in (0.07, 100.0):
        assert knn(x, y, query, torch.tensor([0]), k=2, temperature=temperature) == 1.0
    assert knn(x, y, query, torch.tensor([1]), k=4, temperature=100.0) == 1.0


@pytest.mark.parametrize("chunk_size", [1, 7, 50, 1000])
def test_chunks_do_not_show(chunk_size):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(50, 4, generator=generator), torch.arange(50) % 3
    q = torch.randn(50, 4, generator=generator)
    assert knn(x, y, q, y, chunk_size=chunk_size) == knn(x, y, q, y)


def test_one_sample_and_one_class():
    x, y = torch.ones(1, 3), torch.tensor([5])
    assert knn(x, y, x, y) == 1.0
    assert knn(x, y, x, y + 1) == 0.0  # a class that the training set lacks


def test_zero_rows_and_extreme_temperatures_are_harmless():
    x, y = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])
    for temperature in (1e-6, 0.07, 1e6):
        assert knn(x, y, x[1:], y[1:], temperature=temperature, k=1) == 1.0
        assert knn(x, y, x[1:], y[1:], temperature=temperature) == 1.0
        assert knn(x, y, x[:1], y[:1], temperature=temperature) == 1.0  # all equal: the lowest


def test_memory_does_not_grow_with_classes_or_with_neighbours():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(600, 4, generator=generator), torch.arange(600) * 10**12
    expected = knn(x, y, x[:50], y[:50], k=300)
    assert expected == oracle(x, y, x[:50], y[:50], 300, 0.07)
    with LargestTensor() as largest:
        assert knn(x, y, x[:50], y[:50], k=300, chunk_size=10) == expected
    assert largest.numel <= 10 * 600
