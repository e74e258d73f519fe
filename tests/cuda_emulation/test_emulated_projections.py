"""The CUDA kernels of the projections, run on the CPU: values, gradients, no race."""

import math

import emulated_prox as emulated
import emulation
import pytest
import torch
from covering import covering
from torch import Tensor

from lelkern.reference import project_l1inf as ball_reference
from lelkern.reference import project_simplex as row_reference

pytestmark = pytest.mark.slow

DTYPES = emulated.ELEMENTS
INF, NAN = math.inf, math.nan


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_close(got: Tensor, want: Tensor, error: float) -> None:
    """Compare but for an error and for what rounding to the type of `got` takes away."""
    stored = torch.finfo(got.dtype)
    atol = error + stored.tiny * stored.eps
    torch.testing.assert_close(got.double(), want, atol=atol, rtol=stored.eps, equal_nan=True)


def radii(x: Tensor, each: bool) -> Tensor:
    numbers = 1 + draw(len(x), seed=5).abs() if each else torch.tensor(1.5)
    return numbers.to(emulated.computed_in(x))


@pytest.mark.parametrize(
    ("shape", "dtype", "l1", "each", "offset", "order"),
    covering(
        [(70, 1), (13, 10), (9, 64), (3, 1000), (2, 1032), (1, 8200)],
        DTYPES,
        [False, True],
        [False, True],
        [0, 100],
        emulation.ORDERS,
    ),
    ids=str,
)
def test_rows(shape, dtype, l1, each, offset, order) -> None:
    x = (draw(*shape) + offset).to(dtype)
    radius, grad = radii(x, each), draw(*shape, seed=2).to(dtype)
    computed = emulated.computed_in(x)
    with emulation.settings(order=order):
        y, theta = emulated.project_simplex(x, radius, l1)
        of_x, of_radius = emulated.project_simplex_backward(grad, radius, l1, y, theta)
    want, want_theta = row_reference.project_simplex(x.double(), radius.double(), l1)
    eps = torch.finfo(computed).eps
    # Numbers are compared with the largest: errors are those of a sum of the radius.
    assert_close(y, want, 8 * eps * float(radius.max()))
    assert_close(theta, want_theta, 8 * eps * float(x.double().abs().max()))
    # Results of 16 bits that are rounded to 0 say less of what is cut.
    if dtype in (torch.float64, torch.float32) or bool(((y != 0) == (want != 0)).all()):
        given = grad.double(), x.double(), radius.double(), l1
        want_x, want_radius = row_reference.project_simplex_backward(*given)
        length = math.sqrt(shape[0])
        assert_close(of_x, want_x, 8 * eps * float(grad.double().abs().max()))
        assert_close(of_radius, want_radius, 8 * eps * length * float(grad.double().abs().max()))


def test_hostile_rows() -> None:
    rows = [[3.0, -1, 4], [NAN, 1, 2], [INF, -1, 0], [INF, INF, 0], [0, 0, 0], [-INF, 1, -2]]
    x = torch.tensor([*rows, [-INF, -INF, -INF], [1e38, 3e38, -3e38], [1e-42, 0, 2e-42]])
    for l1 in (False, True):
        for r in (0.0, 1e-42, 1.0, 1e38, INF, NAN, -1.0):
            radius = torch.tensor(r)
            y, theta = emulated.project_simplex(x, radius, l1)
            want, _ = row_reference.project_simplex(x.double(), radius.double(), l1)
            error = 8 * 2.0**-23 * (max(r, 0) if math.isfinite(r) else 0) + 2.0**-148
            assert_close(y, want, error)
            assert torch.equal(theta.isnan(), want.isnan().all(1))
            grad = draw(*x.shape, seed=1).float()
            found = emulated.project_simplex_backward(grad, radius, l1, y, theta)
            assert torch.equal(found[0].isnan().any(1), want.isnan().any(1))


@pytest.mark.parametrize(
    ("shape", "dtype", "each", "order"),
    covering(
        [(3, 1, 7), (2, 5, 1), (2, 20, 16), (1, 3, 1100), (2, 9, 33)],
        DTYPES,
        [False, True],
        emulation.ORDERS,
    ),
    ids=str,
)
def test_balls(shape, dtype, each, order) -> None:
    x, grad = draw(*shape).to(dtype), draw(*shape, seed=2).to(dtype)
    radius = radii(x, each)
    with emulation.settings(order=order):
        y, levels = emulated.project_l1inf(x, radius)
        of_x, of_radius = emulated.project_l1inf_backward(grad, x, radius, levels)
    want, want_levels = ball_reference.project_l1inf(x.double(), radius.double())
    eps = torch.finfo(emulated.computed_in(x)).eps
    # A level is what is left of the largest number, with some of its roundings for each group.
    error = 8 * shape[1] * eps * float(x.double().abs().max())
    assert_close(y, want, error)
    assert_close(levels, want_levels, error)
    given = grad.double(), x.double(), radius.double()
    want_x, want_radius = ball_reference.project_l1inf_backward(*given)
    largest = 8 * eps * float(grad.double().abs().max()) * math.sqrt(x.numel())
    assert_close(of_x, want_x, largest)
    assert_close(of_radius, want_radius, largest)


def test_hostile_balls() -> None:
    rows = [[[1.0, -2], [0, 3]], [[NAN, 1], [2, 3]], [[INF, 1], [2, 3]], [[0, 0], [0, 0]]]
    x = torch.tensor(rows)
    for r in (0.0, 1.0, 5.0, INF, NAN, -1.0):
        radius = torch.tensor(r)
        y, levels = emulated.project_l1inf(x, radius)
        want, want_levels = ball_reference.project_l1inf(x.double(), radius.double())
        error = 1e-6 if r > 0 else 0.0  # nothing is left of it, and nothing rounded
        assert_close(y, want, error)
        assert_close(levels, want_levels, error)
        grad = draw(*x.shape, seed=1).float()
        found = emulated.project_l1inf_backward(grad, x, radius, levels)
        given = grad.double(), x.double(), radius.double()
        wanted = ball_reference.project_l1inf_backward(*given)
        for got, of in zip(found, wanted, strict=True):
            assert_close(got, of, 1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_sums_that_overflow(dtype) -> None:
    huge = torch.finfo(dtype).max
    x, one = torch.tensor([[huge, -huge, huge / 2]], dtype=dtype), torch.ones((), dtype=dtype)
    assert emulated.project_simplex(x, one, False)[0].tolist() == [[1, 0, 0]]
    assert emulated.project_simplex(x, one, True)[0].tolist() == [[0.5, -0.5, 0]]
    # Rows lose the same, 3 / 8 of twice the largest number.
    x = torch.tensor([[[huge, huge / 2], [huge, -huge / 2]]], dtype=dtype)
    for signs in (1, -1):
        y, levels = emulated.project_l1inf(x * signs, torch.tensor(huge, dtype=dtype))
        assert_close(y / huge, (x * signs).sign().double() / 2, 1e-6)
        assert_close(levels / huge, torch.full((1, 2), 0.5).double(), 1e-6)
    # What is infinite is not what overflows.
    x[0, 0, 1] = INF
    assert emulated.project_l1inf(x, one)[0].isnan().all()
    assert torch.equal(emulated.project_l1inf(x, one * INF)[0], x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_many_of_the_largest_numbers(dtype) -> None:
    """Sums of which even what one thread adds up overflows; each is a power of 2 of one near 1."""
    x = (draw(2, 1032).clamp(-1, 1) * 2**20).round().div(2**20)
    e = {torch.float64: 1023, torch.float32: 127}[dtype]
    huge = (x * 2.0**e).to(dtype)
    radius = torch.tensor(0.75 * 2.0**e, dtype=dtype)
    eps = torch.finfo(dtype).eps
    for l1 in (False, True):
        y = emulated.project_simplex(huge, radius, l1)[0].double() * 2.0**-e
        want = row_reference.project_simplex(x, torch.tensor(0.75).double(), l1)[0]
        torch.testing.assert_close(y, want, rtol=0, atol=16 * eps)
    y = emulated.project_l1inf(huge[None], radius)[0].double() * 2.0**-e
    want = ball_reference.project_l1inf(x[None], torch.tensor(0.75).double())[0]
    torch.testing.assert_close(y, want, rtol=0, atol=64 * eps)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_ball_of_radius_0_leaves_nothing(dtype) -> None:
    # Sums that a rounding makes larger or less than what the rows lose.
    x = draw(20, 3, 4).to(dtype)
    y, levels = emulated.project_l1inf(x, torch.zeros((), dtype=emulated.computed_in(x)))
    assert (y == 0).all()
    assert (levels == 0).all()


@pytest.mark.parametrize("shape", [(13, 10), (1, 1032)], ids=str)
def test_same_bits_of_rows_in_every_order(shape) -> None:
    x, grad, radius = draw(*shape).float(), draw(*shape, seed=2).float(), torch.tensor(1.0)

    def run() -> list[Tensor]:
        y, theta = emulated.project_simplex(x, radius, True)
        of_x, of_radius = emulated.project_simplex_backward(grad, radius, True, y, theta)
        return [y, theta, of_x, of_radius.reshape(1)]

    emulation.in_every_order(run, seeds=1)


def test_same_bits_of_balls_in_every_order() -> None:
    x, grad, radius = draw(2, 20, 33).float(), draw(2, 20, 33, seed=2).float(), torch.tensor(3.0)

    def run() -> list[Tensor]:
        y, levels = emulated.project_l1inf(x, radius)
        of_x, of_radius = emulated.project_l1inf_backward(grad, x, radius, levels)
        return [y, levels, of_x, of_radius.reshape(1)]

    emulation.in_every_order(run, seeds=1)
