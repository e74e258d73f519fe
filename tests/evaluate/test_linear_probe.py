import importlib
import time
import warnings

import numpy as np
import pytest
import scipy.optimize
import torch
from largest_tensor import LargestTensor
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

from lelkern.evaluate import linear_probe


def blobs(n, d, classes, spread, seed=0):
    """Features around one random centre per class."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, d, generator=torch.Generator().manual_seed(99))
    y = torch.randint(classes, (n,), generator=generator)
    return centres[y] + spread * torch.randn(n, d, generator=generator), y


def oracle(train_x, train_y, test_x, test_y, C):
    """The same objective, written out and minimised by another optimiser (Newton-CG)."""
    x, t = train_x.double().numpy(), test_x.double().numpy()
    mean, std = x.mean(axis=0), x.std(axis=0)
    x, t = (x - mean) / std, (t - mean) / std
    classes = sorted(set(train_y.tolist()))
    hot = np.array([[float(y == c) for c in classes] for y in train_y.tolist()])
    k, d = len(classes), x.shape[1]

    def objective(w):
        weight, bias = w[: k * d].reshape(k, d), w[k * d :]
        logits = x @ weight.T + bias
        logits -= logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        residual = C * (np.exp(log_p) - hot)
        gradient = np.concatenate([(residual.T @ x + weight).ravel(), residual.sum(axis=0)])
        return 0.5 * (weight**2).sum() - C * (log_p * hot).sum(), gradient

    best = scipy.optimize.minimize(
        objective, np.zeros(k * d + k), jac=True, method="Newton-CG", options={"xtol": 1e-10}
    ).x
    predicted = (t @ best[: k * d].reshape(k, d).T + best[k * d :]).argmax(axis=1)
    return np.mean([classes[p] == y for p, y in zip(predicted, test_y.tolist(), strict=True)])


@pytest.mark.parametrize("C", [0.001, 0.1, 10])
def test_equals_the_written_out_objective(C):
    train, test = blobs(200, 5, 4, 1.5, seed=1), blobs(300, 5, 4, 1.5, seed=2)
    expected = oracle(*train, *test, C)
    assert 0.3 < expected < 0.95
    assert linear_probe(*train, *test, C=C) == pytest.approx(expected, abs=1 / 300)


def test_separable_classes_are_told_apart_and_noise_is_not():
    train, test = blobs(500, 8, 5, 0.1, seed=1), blobs(500, 8, 5, 0.1, seed=2)
    assert linear_probe(*train, *test) == 1.0
    noise = torch.randn(500, 8, generator=torch.Generator().manual_seed(3))
    assert linear_probe(noise, train[1], noise.flip(0), test[1]) < 0.35


def test_scale_and_shift_of_a_feature_do_not_matter():
    (a, y), (b, t) = blobs(300, 6, 4, 1.5, seed=1), blobs(300, 6, 4, 1.5, seed=2)
    scale = torch.tensor([1e-3, 1, 10, 1e3, 0.1, 1])
    shift = torch.tensor([0, 1e-2, 5, 1e3, 0, -7])
    moved = linear_probe(a * scale + shift, y, b * scale + shift, t)
    assert moved == pytest.approx(linear_probe(a, y, b, t), abs=1 / 300)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_a_dead_unit_does_not_matter(constant):
    """Its train deviation is zero or rounding; a test value beside it must not blow up."""
    (a, y), (b, t) = blobs(300, 6, 4, 1.5, seed=1), blobs(300, 6, 4, 1.5, seed=2)
    dead_a, dead_b = torch.full((300, 1), constant), torch.full((300, 1), constant)
    dead_a[::2] = torch.nextafter(dead_a[::2], torch.tensor(2e6)) if constant else 0.0
    dead_b[::2] += 0.01
    dead = linear_probe(torch.cat([a, dead_a], 1), y, torch.cat([b, dead_b], 1), t)
    assert dead == linear_probe(a, y, b, t)


def test_labels_may_have_gaps_and_new_classes_count_as_wrong():
    train, (b, t) = blobs(300, 6, 3, 0.1, seed=1), blobs(300, 6, 3, 0.1, seed=2)
    train = (train[0], train[1] * 10 + 2)
    assert linear_probe(*train, b, t * 10 + 2) == 1.0
    t = t * 10 + 2
    t[:30] = 7
    assert linear_probe(*train, b, t) == pytest.approx(0.9)


def test_smallest_training_set():
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
    assert linear_probe(x, y, x, y) == 1.0
    assert linear_probe(x, y, x[:1], y[1:]) == 0.0


def test_one_class_is_refused():
    x, y = torch.eye(3), torch.full((3,), 4)
    with pytest.raises(ValueError, match="train_y must hold at least 2 classes, got only 4"):
        linear_probe(x, y, x, y)


def test_is_silent_when_it_stops_early():
    train, test = blobs(300, 6, 4, 1.5, seed=1), blobs(300, 6, 4, 1.5, seed=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        linear_probe(*train, *test, max_iter=1)


def test_keeps_to_the_threads_of_torch(monkeypatch):
    seen = []
    fit = LogisticRegression.fit

    def spy(self, *args):
        seen.extend(pool["num_threads"] for pool in threadpool_info())
        return fit(self, *args)

    monkeypatch.setattr(LogisticRegression, "fit", spy)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        before = threadpool_info()
        train = blobs(50, 3, 2, 1.0)
        linear_probe(*train, *train)
        assert threadpool_info() == before
    finally:
        torch.set_num_threads(threads)
    assert seen
    assert set(seen) == {1}


def test_it_tells_how_many_iterations_are_done_and_stays_the_same():
    if not hasattr(LogisticRegression, "set_callbacks"):
        pytest.skip("this scikit-learn does not tell")
    train, test = blobs(300, 6, 4, 1.5, seed=1), blobs(300, 6, 4, 1.5, seed=2)
    done = []
    assert linear_probe(*train, *test, progress=done.append) == linear_probe(*train, *test)
    assert done == list(range(1, len(done) + 1))
    done.clear()
    linear_probe(*train, *test, max_iter=3, progress=done.append)
    assert done == [1, 2, 3]


@pytest.mark.slow
def test_a_few_seconds_suffice(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    for n, d, limit in ((1297, 64, 5), (10_000, 256, 30)):  # 0.03 s and 2 s, but for imports
        train, test = blobs(n, d, 10, 4.0, seed=1), blobs(1000, d, 10, 4.0, seed=2)
        start = time.process_time()  # of this process alone, whatever else the machine does
        linear_probe(*train, *test)
        assert time.process_time() - start < limit


def test_features_are_copied_in_parts(monkeypatch):
    module = importlib.import_module("lelkern.evaluate.linear_probe")
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, 5, generator=generator), torch.arange(60) % 3
    expected = linear_probe(x, y, x, y)
    monkeypatch.setattr(module, "_NUMBERS", 100)
    with LargestTensor() as largest:
        mean, scale = module._statistics(x)
        standardised = module._standardise(x, mean, scale)
    assert largest.numel <= 100
    assert standardised.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert standardised.std(axis=0) == pytest.approx(1)
    assert linear_probe(x, y, x, y) == expected
