from dataclasses import replace

import numpy as np
import pytest
import torch

from lelkern.config import ConfigError
from lelkern.data import DataConfig, DataError, DataSource


def load(name, **options):
    return DataSource(DataConfig(name=name, **options)).load()


def errors(data):
    """What the targets of all training samples are beyond X w."""
    return np.concatenate(
        [t.train_y - t.train_x @ w for t, w in zip(data.tasks, data.coefficients.T, strict=True)]
    )


@pytest.mark.parametrize(
    ("overlap", "common"), [(None, 12), (1.0, 12), (2 / 3, 8), (1 / 3, 4), (0.3, 4), (0.0, 0)]
)
def test_rows_overlap_as_far_as_wanted(overlap, common):
    data = load("planted-rows", overlap=overlap)
    used = data.coefficients != 0
    assert used.sum(axis=0).tolist() == [12, 12]
    assert used.all(axis=1).sum() == common
    assert set(data.coefficients[used]) == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("name", "noise"), [("planted-rows", 0.1), ("planted-rank", 0.5), ("planted-clusters", 0.5)]
)
def test_targets_are_linear_but_for_noise_of_the_wanted_size(name, noise):
    """A sample of n normal numbers has a standard deviation within 5 / sqrt(2 n) of the true."""
    found = errors(load(name))
    assert abs(found.std() / noise - 1) < 5 / np.sqrt(2 * found.size)
    assert np.abs(errors(load(name, noise=0.0))).max() < 1e-12  # rounding of values below 100
    louder = errors(load(name, noise=3 * noise))
    np.testing.assert_allclose(louder, 3 * found, atol=1e-12)


def test_the_rank_is_the_planted_one():
    values = np.linalg.svd(load("planted-rank").coefficients, compute_uv=False)
    assert values[2] > 1e-3 > 1e-12 > values[3]


def test_tasks_are_nearest_to_their_own_clusters():
    data = load("planted-clusters")
    w, clusters = data.coefficients, data.clusters
    assert np.bincount(clusters).tolist() == [8, 8, 8]
    centres = np.stack([w[:, clusters == k].mean(axis=1) for k in range(3)], axis=1)
    distances = ((w[:, :, None] - centres[:, None]) ** 2).sum(axis=0)
    assert (distances.argmin(axis=1) == clusters).all()


@pytest.mark.parametrize("name", ["planted-rank", "planted-clusters"])
def test_signals_have_unit_variance_on_average(name):
    """The mean of ||w||^2 over draws; its standard error over 100 is below 0.05."""
    energy = [(load(name, seed=seed).coefficients ** 2).sum(axis=0).mean() for seed in range(100)]
    assert abs(np.mean(energy) - 1) < 4 * np.std(energy) / 10


def test_an_overlap_means_nothing_where_no_rows_are_planted():
    with pytest.raises(ConfigError, match=r"data\.overlap: means nothing for 'planted-rank'"):
        load("planted-rank", overlap=0.5)


def test_fewer_samples_are_a_part_of_more():
    few, many = (load("planted-rank", samples_per_task=n) for n in (10, 30))
    for one, other in zip(few.tasks, many.tasks, strict=True):
        assert (len(one.train_x), len(other.train_x)) == (10, 30)
        rows = {tuple(row) for row in other.train_x}
        assert {tuple(row) for row in one.train_x} < rows
        assert np.array_equal(one.test_x, other.test_x)
    assert not np.array_equal(
        load("planted-rank", samples_per_task=10, seed=1).tasks[0].train_x, few.tasks[0].train_x
    )


def test_validation_samples_are_among_those_that_may_be_seen():
    data = load("planted-rank", samples_per_task=10, val_fraction=0.2)
    assert {(len(t.train_x), len(t.val_x)) for t in data.tasks} == {(8, 2)}
    whole = load("planted-rank", samples_per_task=10)
    for part, all_of_it in zip(data.tasks, whole.tasks, strict=True):
        together = sorted(map(tuple, np.concatenate([part.train_x, part.val_x])))
        assert together == sorted(map(tuple, all_of_it.train_x))


def test_tasks_over_the_same_samples_see_the_same_of_them():
    data = load("linnerud", samples_per_task=5)
    assert data.shared_inputs
    assert data.describe() == "3 tasks, 15 training and 12 test samples, 3 features"
    assert load("linnerud", samples_per_task=100).describe().startswith("3 tasks, 48 training")


def test_samples_are_drawn_with_the_seed_also_where_nothing_else_is(tmp_path):
    x = np.random.default_rng(0).normal(size=(9, 2))
    y = np.stack([x[:, 0], x[:, 1]], axis=1)
    np.savez(tmp_path / "t.npz", train_x=x, train_y=y, test_x=x, test_y=y)
    name = str(tmp_path / "t.npz")
    prints = {
        DataSource(DataConfig(name=name, samples_per_task=n, seed=seed)).fingerprint
        for n, seed in [(None, 0), (None, 1), (4, 0), (4, 1), (5, 0)]
    }
    assert len(prints) == 4
    one, other = (load(name, samples_per_task=4, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one.tasks[0].train_x, other.tasks[0].train_x)


def test_truths_that_do_not_fit_are_refused():
    data = load("planted-clusters")
    with pytest.raises(DataError, match=r"coefficients must be \(20, 24\), got \(24, 20\)"):
        replace(data, coefficients=data.coefficients.T)
    with pytest.raises(DataError, match=r"clusters must be \(24,\), got \(23,\)"):
        replace(data, clusters=data.clusters[1:])


def test_only_the_seed_decides():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = load("planted-rows", seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    again = load("planted-rows", seed=3)
    assert np.array_equal(first.coefficients, again.coefficients)
    assert np.array_equal(first.tasks[1].train_y, again.tasks[1].train_y)
    assert not np.array_equal(load("planted-rows", seed=4).coefficients, first.coefficients)
