"""Proximal operators and projections beside those of pyproximal and SPAMS.

pyproximal is right where it is asked here. It is not at a threshold of 0: of a group that is zero
L21 and L21_plus_L1 make nan there, 0 / 0, where lelkern leaves what is given. And L21_plus_L1 takes
columns as groups only.
"""

import warnings

import numpy as np
import pytest
import torch
from prox_samples import INF, normals

from lelkern import (
    CSRGroups,
    project_l1_ball,
    project_simplex,
    prox_group_lasso,
    prox_l1,
    prox_nuclear,
    prox_sparse_group_lasso,
)

# Of the extra dev; on a machine with a GPU there may be less.
pyproximal = pytest.importorskip("pyproximal")
spams = pytest.importorskip("spams")

G, N = 7, 5
T = 0.8
"""A threshold that shrinks some rows and columns of the sample, and makes others zero."""

# Both sides are right to some roundings of numbers around 3: those of a norm, or of singular
# vectors. What pyproximal finds by bisection ends at a tolerance that is below them, too.
CLOSE = {"rtol": 0, "atol": 100 * torch.finfo(torch.float64).eps}


@pytest.fixture
def v():
    """G rows of N numbers, one of them of nothing but zeros; a row and a column are small."""
    x = normals(G, N)
    x[2] = 0
    x[3] *= 0.05
    x[:, 4] *= 0.1
    return x


def by_pyproximal(operator, v, tau=T):
    """The proximal operator of tau times what an operator stands for, at v, in its own order."""
    return torch.from_numpy(operator.prox(v.flatten().numpy().copy(), tau)).reshape(v.shape)


def by_spams(regul, v, **settings):
    found = spams.proximalFlat(
        np.asfortranarray(v.numpy()), False, regul=regul, lambda1=T, numThreads=1, **settings
    )
    return torch.from_numpy(found)


def test_elements(v):
    torch.testing.assert_close(prox_l1(v, T), by_pyproximal(pyproximal.L1(), v), **CLOSE)
    torch.testing.assert_close(prox_l1(v, T), by_spams("l1", v), **CLOSE)
    each = normals(G, N, seed=1).abs()
    want = by_pyproximal(pyproximal.L1(each.flatten().numpy()), v)
    torch.testing.assert_close(prox_l1(v, T * each), want, **CLOSE)


def test_columns_and_rows(v):
    columns, rows = prox_group_lasso(v, T, dim=0), prox_group_lasso(v, T, dim=1)
    for groups in (columns.mT, rows):
        assert 0 < groups.any(1).sum() < len(groups)
    torch.testing.assert_close(columns, by_pyproximal(pyproximal.L21(G), v), **CLOSE)
    torch.testing.assert_close(rows, by_pyproximal(pyproximal.L21(N), v.mT).mT, **CLOSE)
    torch.testing.assert_close(rows, by_spams("l1l2", v), **CLOSE)
    whole = prox_group_lasso(v, T, dim=(0, 1))
    norm = pyproximal.Euclidean()
    torch.testing.assert_close(whole, by_pyproximal(norm, v), **CLOSE)


def test_rows_by_their_largest_numbers(v):
    got = prox_group_lasso(v, T, dim=1, q=INF)
    torch.testing.assert_close(got, by_spams("l1linf", v), **CLOSE)


def test_columns_of_which_not_every_number_is_left(v):
    got = prox_sparse_group_lasso(v, 0.3 * T, 0.7 * T, dim=0)
    with warnings.catch_warnings(action="ignore"):  # it divides zeros, and mends what comes of it
        want = torch.from_numpy(pyproximal.L21_plus_L1(rho=0.3).prox(v.numpy(), T))
    torch.testing.assert_close(got, want, **CLOSE)


@pytest.mark.parametrize(("q", "norm"), [(2.0, "l2"), (INF, "linf")])
def test_groups_of_many_sizes_in_no_order(v, q, norm):
    sizes = torch.tensor([1, 2, 3, 9, 20])
    order = torch.randperm(G * N, generator=torch.Generator().manual_seed(0))
    ptr = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    groups = CSRGroups(ptr, order)
    numbers = np.empty(G * N, dtype=np.int32)  # of the group that an element is in, from 1
    numbers[order] = torch.arange(1, 6).repeat_interleave(sizes)
    column = v.flatten().unsqueeze(1)
    want = by_spams(f"group-lasso-{norm}", column, groups=numbers).reshape(v.shape)
    torch.testing.assert_close(prox_group_lasso(v, T, groups=groups, q=q), want, **CLOSE)
    want = by_spams(f"sparse-group-lasso-{norm}", column, groups=numbers, lambda2=0.3)
    got = prox_sparse_group_lasso(v, 0.3, T, groups=groups, q=q)
    torch.testing.assert_close(got, want.reshape(v.shape), **CLOSE)


def test_singular_values(v):
    got = prox_nuclear(v, T)
    assert torch.linalg.matrix_rank(got) < N
    torch.testing.assert_close(got, by_pyproximal(pyproximal.Nuclear((G, N)), v), **CLOSE)
    torch.testing.assert_close(got, by_spams("trace-norm", v), **CLOSE)


def test_simplices_and_balls(v):
    radius, tolerance = 1.5, {"xtol": 1e-14}
    simplices = pyproximal.Simplex(G * N, radius, dims=(G, N), axis=1, **tolerance)
    torch.testing.assert_close(project_simplex(v, radius), by_pyproximal(simplices, v), **CLOSE)
    ball = pyproximal.L1Ball(N, radius, **tolerance)
    balls = torch.stack([by_pyproximal(ball, row) for row in v])
    inside = (balls == v).all(1)
    assert inside.any()
    assert not inside.all()
    torch.testing.assert_close(project_l1_ball(v, radius), balls, **CLOSE)
    columns = np.asfortranarray(v.mT.numpy())
    found = spams.sparseProject(columns, thrs=radius, mode=1, pos=False, numThreads=1)
    torch.testing.assert_close(project_l1_ball(v, radius).mT, torch.from_numpy(found), **CLOSE)
