"""The CUDA kernels of sharpening and guessing, run on the CPU: values, gradients, no race."""

import math

import emulated_distributions as emulated
import emulation
import numpy as np
import pytest
import torch
from covering import covering
from distribution_samples import (
    DTYPES,
    INF,
    NAN,
    TEMPERATURES,
    assert_sharpened,
    exact,
    log_of,
    probabilities,
    upstream,
)
from torch import Tensor

from lelkern.reference import guess_labels as guess_reference
from lelkern.reference import sharpen as sharpen_reference

pytestmark = pytest.mark.slow

# On both sides of a warp's width, of what a warp takes by itself, and of a block's.
CLASSES = [1, 10, 31, 33, 512, 513, 1000]


def temperature_of(value: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(value, dtype=dtype)


def close(got: Tensor | None, want: Tensor, computed: torch.dtype, units: float = 100) -> None:
    """Compare gradients with the reference's in float64, but for units in the last place.

    Of the largest of them, in what they are computed in: they are sums and differences of values,
    of which each has some. What is stored is rounded.
    """
    assert got is not None
    numbers = torch.finfo(torch.promote_types(computed, torch.float32))
    stored = torch.finfo(got.dtype)
    atol = units * (numbers.eps * float(want.abs().max()) + numbers.tiny)
    atol += stored.tiny * stored.eps
    torch.testing.assert_close(got.double(), want, atol=atol, rtol=stored.eps)


@pytest.mark.parametrize(
    ("logits", "dtype", "temperature", "C", "order"),
    covering([False, True], DTYPES, TEMPERATURES, CLASSES, emulation.ORDERS),
    ids=str,
)
def test_sharpen(logits, dtype, temperature, C, order) -> None:
    p = probabilities(9, C, seed=C)  # more than a block has warps
    x = (p.log() if logits else p).to(dtype)
    with emulation.settings(order=order):
        q = emulated.sharpen(x, temperature_of(temperature), logits=logits)
    assert_sharpened(q, exact(x) if logits else log_of(exact(x)), temperature)


@pytest.mark.parametrize(
    ("logits", "dtype", "temperature", "C", "order"),
    covering([False, True], DTYPES, [0.3, 0.5, 1.0, 2.5], CLASSES, emulation.ORDERS),
    ids=str,
)
def test_gradients_of_sharpen(logits, dtype, temperature, C, order) -> None:
    p = probabilities(9, C, spread=1.0, seed=C)
    x, grad = (p.log() if logits else p).to(dtype), upstream(9, C).to(dtype)
    T = temperature_of(temperature, torch.float32)
    with emulation.settings(order=order):
        of_x, of_T = emulated.sharpen_backward(grad, x, T, logits=logits)
        alone, nothing = emulated.sharpen_backward(grad, x, T, -1, logits, False)
    given = grad.double(), x.double(), T.double()
    want, want_T = sharpen_reference.sharpen_backward(*given, logits=logits)
    close(of_x, want, dtype)
    close(of_T, want_T, dtype, 1000)
    assert torch.equal(of_x, alone)
    assert nothing is None


@pytest.mark.parametrize("shape", [(2, 5, 3), (1, 40, 7), (3, 2, 5000), (9000, 3, 2)])
def test_classes_that_are_not_side_by_side(shape) -> None:
    p = probabilities(shape[0], shape[2], shape[1]).movedim(-1, 1).contiguous().float()
    T = temperature_of(0.7)
    q = emulated.sharpen(p, T, 1)
    of_p, of_T = emulated.sharpen_backward(upstream(*shape).float(), p, T, 1)
    assert_sharpened(q.movedim(1, -1), log_of(exact(p.movedim(1, -1))), 0.7)
    grad = upstream(*shape).float().double()
    want, want_T = sharpen_reference.sharpen_backward(grad, p.double(), T, 1)
    close(of_p, want, torch.float32)
    close(of_T, want_T, torch.float32, 1000)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("temperature", [1e-300, 1e-30, 0.5, 1.0, 3.0, 1e30, 1e300])
def test_limits_and_hostile_numbers(temperature, dtype) -> None:
    T = temperature_of(temperature)
    p = torch.tensor([[0.125, 0.375, 0.375, 0.0], [0.25, 0.0, 0.25, 0.25]], dtype=dtype)
    z = torch.tensor([[-INF, 2.0, 2.0, -INF], [INF, 1.0, -INF, INF]], dtype=dtype)
    q, of_z = emulated.sharpen(p, T), emulated.sharpen(z, T, logits=True)
    assert (q[p == 0] == 0).all()
    assert q[0, 1] == q[0, 2]
    assert of_z.tolist() == [[0, 0.5, 0.5, 0], [0.5, 0, 0, 0.5]]
    if temperature < 1e-20:
        assert q[0].tolist() == [0, 0.5, 0.5, 0]
    for row in ([NAN, 0.5, 0.5], [-0.25, 0.5, 0.5], [INF, 0.5, 0], [-INF, 1, 0], [0, 0, 0]):
        assert emulated.sharpen(torch.tensor([row], dtype=dtype), T).isnan().all(), row
    for row in ([NAN, INF, 0.5], [-INF, -INF, -INF]):
        bad = torch.tensor([row], dtype=dtype)
        assert emulated.sharpen(bad, T, logits=True).isnan().all(), row
        assert emulated.guess_labels(torch.stack([torch.zeros_like(bad), bad]), T).isnan().all()
    # Of two augmentations: one that has nothing of a class, and one for which two are infinite.
    both = torch.stack([z[:1], torch.tensor([[-INF, INF, INF, 0.0]], dtype=dtype)])
    assert emulated.guess_labels(both, T).tolist() == [[0, 0.5, 0.5, 0]]
    of_both, of_T = emulated.guess_labels_backward(
        torch.ones(1, 4, dtype=torch.promote_types(dtype, torch.float32)), both, T
    )
    assert of_both.isfinite().all()
    assert of_T is not None
    assert of_T.isfinite()


@pytest.mark.parametrize("wrong", [0.0, -1.0, NAN, INF])
def test_a_temperature_that_is_none_gives_nan(wrong) -> None:
    T, p = temperature_of(wrong, torch.float32), probabilities(3, 5).float()
    assert emulated.sharpen(p, T).isnan().all()
    assert emulated.sharpen(p, T, logits=True).isnan().all()
    assert emulated.guess_labels(p.unsqueeze(0), T).isnan().all()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_gradient_at_a_probability_of_zero_is_the_limit(temperature) -> None:
    p, grad = torch.tensor([[0.25, 0.75, 0.0]]), torch.tensor([[1.0, -1.0, 0.0]])
    T = temperature_of(temperature)
    of_p, of_T = emulated.sharpen_backward(grad, p, T)
    want = {0.5: 0.0, 1.0: 0.5, 2.0: math.inf}[temperature]
    assert of_p[0, 2].item() == pytest.approx(want, rel=1e-6)
    assert of_T is not None
    assert of_T.isfinite()


@pytest.mark.parametrize(
    ("dtype", "K", "temperature", "C", "order"),
    covering(DTYPES, [1, 2, 3], TEMPERATURES, CLASSES, emulation.ORDERS),
    ids=str,
)
def test_guess(dtype, K, temperature, C, order) -> None:
    z = (3 * upstream(K, 9, C, seed=C)).to(dtype)
    with emulation.settings(order=order):
        guesses = emulated.guess_labels(z, temperature_of(temperature))
    x = exact(z)
    log_p = log_of(probabilities_of(x))
    below = (x.max(-1, keepdims=True) - x).max()
    # As CPU kernels are, which tests/ops/test_guess_labels.py says of each class by itself.
    assert_sharpened(guesses, log_p, temperature, 8 * below + 30 + C / 2)


def probabilities_of(z: np.ndarray) -> np.ndarray:
    powers = np.exp(z - z.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)).mean(0)


@pytest.mark.parametrize("temperature", [0.5, 2.0, 1e30])
def test_classes_far_below_any_number(temperature) -> None:
    T = temperature_of(temperature)
    for C in (5, 600):
        z = 300 * upstream(2, 2, C)
        got = emulated.guess_labels(z.float(), T)
        want = guess_reference.guess_labels(z.float().double(), T)
        # Logarithms of some thousands, of which float32 knows a ten-thousandth.
        torch.testing.assert_close(got.double(), want, rtol=2e-3, atol=1e-12)
        grad = upstream(2, C)
        of_z, of_T = emulated.guess_labels_backward(grad.float(), z.float(), T)
        of_logits = guess_reference.guess_labels_backward(
            grad.float().double(), z.float().double(), T
        )
        close(of_z, of_logits[0], torch.float32, 2e4)
        close(of_T, of_logits[1], torch.float32, 2e4)


@pytest.mark.parametrize(
    ("dtype", "K", "temperature", "C", "order"),
    covering(DTYPES, [1, 2, 3], [0.3, 0.5, 1.0, 2.5], CLASSES, emulation.ORDERS),
    ids=str,
)
def test_gradients_of_guess(dtype, K, temperature, C, order) -> None:
    z = upstream(K, 9, C, seed=C).to(dtype)
    T = temperature_of(temperature, torch.float32)
    grad = upstream(9, C).to(torch.promote_types(dtype, torch.float32))
    with emulation.settings(order=order):
        of_z, of_T = emulated.guess_labels_backward(grad, z, T)
        alone, nothing = emulated.guess_labels_backward(grad, z, T, False)
    given = grad.double(), z.double(), T.double()
    want, want_T = guess_reference.guess_labels_backward(*given)
    close(of_z, want, dtype)
    close(of_T, want_T, dtype, 1000)
    assert torch.equal(of_z, alone)
    assert nothing is None


@pytest.mark.parametrize("C", [20, 700])
def test_same_bits_in_every_order(C) -> None:
    p, grad = probabilities(9, C).float(), upstream(9, C).float()
    z, T = upstream(2, 9, C).float(), temperature_of(0.6)

    def run() -> list[Tensor]:
        found = [emulated.sharpen(p, T), emulated.guess_labels(z, T)]
        for gradients in (
            emulated.sharpen_backward(grad, p, T),
            emulated.guess_labels_backward(grad, z, T),
        ):
            found += [x.reshape(-1) for x in gradients if x is not None]
        return found

    emulation.in_every_order(run, seeds=1)


@pytest.mark.parametrize("C", [20, 700])
def test_every_barrier_is_needed(C) -> None:
    z, grad, T = upstream(2, 1, C).float(), upstream(1, C).float(), temperature_of(0.5)

    def run() -> None:
        emulated.guess_labels_backward(grad, z, T, False)

    for barrier in emulation.barriers_of(run):
        assert emulation.noticed_without(run, barrier), barrier
