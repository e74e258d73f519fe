import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from lelkern.data import DataConfig, DataError, DataSource, FunctionFamily


@pytest.fixture(scope="module")
def family():
    data = DataSource(DataConfig(name="sine-waves")).load()
    assert isinstance(data, FunctionFamily)
    return data


def sample(family, tasks, shots, seed=0):
    return family.sample(tasks, shots, torch.Generator().manual_seed(seed))


def test_samples_have_the_shapes_of_the_paper(family):
    x, y = sample(family, 3, 10)
    assert x.shape == (3, 10, family.inputs) == (3, 10, 1)
    assert y.shape == (3, 10, family.outputs) == (3, 10, 1)
    assert x.dtype == y.dtype == torch.float32


def test_amplitudes_and_phases_are_uniform(family):
    """A sin(x - p) = a sin x + b cos x, so that least squares gives back what was drawn."""
    x, y = (values[..., 0].double().numpy() for values in sample(family, 2000, 20))
    fits = [
        np.linalg.lstsq(np.stack([np.sin(u), np.cos(u)], axis=1), v, rcond=None)
        for u, v in zip(x, y, strict=True)
    ]
    residuals = np.array([fit[1][0] for fit in fits])
    assert residuals.max() < 20 * (5 * 2**-22) ** 2  # float32 of values up to 5
    a, b = np.array([fit[0] for fit in fits]).T
    amplitude, phase = np.hypot(a, b), np.arctan2(-b, a)
    # One in 10,000 fair draws would fail each of these, and the seed is fixed.
    for drawn, low, high in ((amplitude, 0.1, 5), (phase, 0, math.pi), (x.ravel(), -5, 5)):
        assert low - 1e-5 < drawn.min() < drawn.max() < high + 1e-5
        assert kstest(drawn, "uniform", args=(low, high - low)).pvalue > 1e-4
    assert abs(np.corrcoef(amplitude, phase)[0, 1]) < 4 / math.sqrt(2000)


def test_only_the_generator_decides(family):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = sample(family, 2, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    for a, b in zip(first, sample(family, 2, 5), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first[0], sample(family, 2, 5, seed=1)[0])


@pytest.mark.parametrize(("tasks", "shots", "name"), [(0, 1, "tasks"), (1, 0, "shots")])
def test_too_few_are_refused(family, tasks, shots, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        sample(family, tasks, shots)


def test_a_family_that_nobody_could_load_is_not_saved(family, tmp_path):
    lone = FunctionFamily("lines", "y = a x", 1, 1, family.draw)
    with pytest.raises(DataError, match="registered as 'lines'"):
        lone.save(tmp_path / "file")
    assert not list(tmp_path.iterdir())
