"""What FISTA finds of a penalised regression beside what SPAMS does, for the same objective.

min_W 1/2 ||X W - Y||^2 + lam penalty(W)
"""

import math

import numpy as np
import pytest
import torch

from lelkern import (
    CSRGroups,
    prox_group_lasso,
    prox_l1,
    prox_nuclear,
    prox_sparse_group_lasso,
)
from lelkern.optim import fista

spams = pytest.importorskip("spams")  # of the extra dev

SIZES = torch.tensor([1, 2, 3, 4, 5, 6, 7, 12])
FEATURES, SAMPLES = int(SIZES.sum()), 60
LAM, LAM1 = 0.4, 0.05


def normals(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


X = normals(SAMPLES, FEATURES) / math.sqrt(SAMPLES)
# Of each group the features are anywhere.
ORDER = torch.randperm(FEATURES, generator=torch.Generator().manual_seed(1))
GROUPS = CSRGroups(torch.cat([torch.zeros(1, dtype=torch.int64), SIZES.cumsum(0)]), ORDER)
NUMBERS = torch.empty(FEATURES, dtype=torch.int64)  # of a feature's group
NUMBERS[ORDER] = torch.arange(len(SIZES)).repeat_interleave(SIZES)


def target(tasks, seed=2):
    """What three of the groups say of each task, and noise."""
    w = normals(FEATURES, tasks, seed=seed)
    w[~torch.isin(NUMBERS, torch.tensor([1, 4, 6]))] = 0
    return X @ w + 0.1 * normals(SAMPLES, tasks, seed=seed + 1)


def by_spams(y, regul, **settings):
    found = spams.fistaFlat(
        np.asfortranarray(y.numpy()),
        np.asfortranarray(X.numpy()),
        np.zeros((FEATURES, y.shape[1]), order="F"),
        False,
        loss="square",
        regul=regul,
        lambda1=LAM,
        tol=1e-15,
        max_it=10_000,
        numThreads=1,
        **settings,
    )
    return torch.from_numpy(found)


def minimised(y, prox):
    start = torch.zeros(FEATURES, y.shape[1], dtype=torch.float64)
    found = fista(lambda w: (X @ w - y).square().sum() / 2, prox, start, tol=1e-13)
    assert found.converged
    return found.x


@pytest.mark.parametrize("q", [2.0, math.inf])
@pytest.mark.parametrize("lam1", [0.0, LAM1])
def test_a_group_lasso_with_groups_of_many_sizes(q, lam1):
    y = target(1)

    def prox(v, step):
        if lam1 == 0:
            return prox_group_lasso(v, step * LAM, groups=GROUPS, q=q)
        return prox_sparse_group_lasso(v, step * lam1, step * LAM, groups=GROUPS, q=q)

    got = minimised(y, prox)
    kind = ("" if lam1 == 0 else "sparse-") + f"group-lasso-{'l2' if q == 2 else 'linf'}"
    want = by_spams(y, kind, groups=(1 + NUMBERS).numpy().astype(np.int32), lambda2=lam1)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-6)
    alive = {int(g) for g in NUMBERS[got[:, 0] != 0]}
    assert alive == {int(g) for g in NUMBERS[want[:, 0] != 0]}
    assert 0 < len(alive) < len(SIZES)


PENALTIES = {
    "l1": lambda v, step: prox_l1(v, step * LAM),
    "l1l2": lambda v, step: prox_group_lasso(v, step * LAM, dim=1),
    "l1linf": lambda v, step: prox_group_lasso(v, step * LAM, dim=1, q=math.inf),
    "trace-norm": lambda v, step: prox_nuclear(v, step * LAM),
}


@pytest.mark.parametrize("regul", PENALTIES)
def test_several_tasks(regul):
    y = target(4)
    got, want = minimised(y, PENALTIES[regul]), by_spams(y, regul)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-6)
    if regul == "trace-norm":
        assert torch.linalg.matrix_rank(got, atol=1e-9) == torch.linalg.matrix_rank(want, atol=1e-9)
    else:
        assert torch.equal(got == 0, want == 0)
        assert 0 < got.any(1).sum() < FEATURES
