"""Guessed labels: values and gradients in every dtype, hostile logits, PyTorch's machinery."""

import math
import re

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
    gradients,
    upstream,
)
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import lelkern
from lelkern.ops import library_path


def logits(K: int, B: int, C: int, spread: float = 3.0) -> Tensor:
    return spread * upstream(K, B, C, seed=K + B + C)


def log_softmax(z: np.ndarray) -> np.ndarray:
    below = z - z.max(-1, keepdims=True)
    return below - np.log(np.exp(below).sum(-1, keepdims=True))


def log_mean(z: np.ndarray) -> np.ndarray:
    """Return log of the mean of the softmaxes of z, (K, B, C), in extended precision."""
    log_p = log_softmax(z)
    best = log_p.max(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        away = np.where(np.isinf(log_p), log_p, log_p - best)
        return best + np.log(np.exp(away).mean(0))


def check(guesses: Tensor, z: Tensor, temperature: float) -> None:
    """Compare with the mean in extended precision.

    The logarithm of a softmax is off by as many units in the last place of 1 as the logit is below
    the largest, and a few more, and by half of one for each number that a lane of its sum adds; and
    so is that of the class that has most.
    """
    z = exact(z)
    want = log_mean(z)
    below = z.max(-1, keepdims=True) - z
    below = np.where(np.isinf(below), 0, below).max(0)
    most = np.take_along_axis(below, want.argmax(-1)[:, None], -1)
    assert_sharpened(guesses, want, temperature, 4 * (below + most) + 30 + z.shape[-1] / 2)


@pytest.mark.parametrize(
    ("dtype", "K", "temperature", "C"),
    covering(DTYPES, [1, 2, 5], TEMPERATURES, [1, 3, 7, 8, 9, 10, 17, 33, 1000, 5000]),
    ids=str,
)
def test_values(dtype, K, temperature, C, device):
    z = logits(K, 4, C).to(device, dtype)
    guesses = lelkern.guess_labels(z, temperature)
    assert guesses.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    check(guesses, z, temperature)


def test_the_default_is_the_temperature_of_the_paper(device):
    z = logits(2, 5, 10).to(device)
    want = lelkern.sharpen(z.softmax(-1).mean(0), 0.5)
    torch.testing.assert_close(lelkern.guess_labels(z), want)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 2.0, 300.0, 1e30])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_classes_far_below_any_number(dtype, temperature, device):
    # exp(z) of some is 0 in all that is computed with, but not to the power of 1 / 300.
    for spread in (100, 1000, 30000):
        z = spread * logits(2, 6, 11, spread=1.0).to(device, dtype)
        z[0, 0, 1] = z[1, 0, 1] = -INF
        guesses = lelkern.guess_labels(z, temperature)
        check(guesses, z, temperature)
        assert guesses[0, 1] == 0


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("temperature", [1e-30, 0.3, 0.5, 1.0, 3.0])
def test_infinite_logits(temperature, dtype, device):
    def of(*z: list[float]) -> list[float]:
        image = torch.tensor(z, dtype=dtype, device=device).unsqueeze(1)
        return lelkern.guess_labels(image, temperature)[0].tolist()

    power = 2 ** (-1 / temperature)  # of half as much as another has
    few = [power / (1 + 2 * power), 1 / (1 + 2 * power)]
    assert of([-INF, 2.0, 2.0]) == [0, 0.5, 0.5]
    assert of([INF, 2.0, 3.0], [INF, 5.0, -INF]) == [1, 0, 0]
    assert of([0.0, INF, INF, -INF] + [0.0] * 20) == [0, 0.5, 0.5, 0] + [0] * 20
    got = of([INF, INF, 0.0], [0.0, INF, INF])
    assert got == pytest.approx([few[0], few[1], few[0]], rel=1e-6 + 1e-6 / temperature, abs=1e-37)
    assert of([3.0], [-2.0]) == of([INF], [INF]) == [1]
    for bad in ([NAN, 0.0, 1.0], [-INF, -INF, -INF], [INF, NAN, 0.0]):
        assert all(map(math.isnan, of([1.0, 2.0, 3.0], bad)))
        assert all(map(math.isnan, of(bad, [1.0, 2.0, 3.0])))


def test_what_is_bad_in_one_image_stays_there(device):
    z = logits(3, 5, 40).to(device)
    want = lelkern.guess_labels(z)
    z[1, 2, 17] = NAN
    got = lelkern.guess_labels(z)
    assert got[2].isnan().all()
    keep = [0, 1, 3, 4]
    assert torch.equal(got[keep], want[keep])


def test_ties_are_shared_and_all_goes_to_the_largest(device):
    z = torch.tensor([[[1.0, 3.0, 3.0, 2.0]], [[0.0, 4.0, 4.0, 9.0]]], device=device)
    assert lelkern.guess_labels(z[:1], 1e-30).tolist() == [[0, 0.5, 0.5, 0]]
    assert lelkern.guess_labels(z, 1e-30).tolist() == [[0, 0, 0, 1]]
    torch.testing.assert_close(
        lelkern.guess_labels(z, 1e30), torch.full((1, 4), 0.25, device=device)
    )


@pytest.mark.parametrize("shape", [(2, 0, 3), (1, 1, 1), (1, 0, 1)])
def test_hardly_anything(shape, device):
    guesses = lelkern.guess_labels(torch.zeros(shape, device=device))
    assert guesses.shape == shape[1:]
    assert (guesses == 1).all()


def test_permuting_classes_or_images_permutes_guesses(device):
    z = logits(2, 6, 64).to(device)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0)).to(device)
    assert torch.equal(lelkern.guess_labels(z[:, order]), lelkern.guess_labels(z)[order])
    classes = torch.randperm(64, generator=torch.Generator().manual_seed(0)).to(device)
    torch.testing.assert_close(
        lelkern.guess_labels(z[..., classes]), lelkern.guess_labels(z)[:, classes]
    )


def test_any_strides(device):
    z = logits(3, 5, 12).float().to(device)
    want = lelkern.guess_labels(z)
    apart = z.new_zeros(3, 5, 24)[..., ::2].copy_(z)
    for x in (apart, z.permute(2, 0, 1).contiguous().permute(1, 2, 0)):
        assert torch.equal(lelkern.guess_labels(x), want)
    one = z[:1].expand(4, 5, 12)  # as many augmentations as one likes, of one answer
    torch.testing.assert_close(lelkern.guess_labels(one), lelkern.guess_labels(z[:1]))


@pytest.mark.once
def test_same_bits_for_any_number_of_threads():
    z = logits(2, 700, 33).float().requires_grad_()
    T = torch.tensor(0.6, requires_grad=True)
    results = []
    before = torch.get_num_threads()
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        try:
            guesses = lelkern.guess_labels(z, T, gradient=True)
            grads = torch.autograd.grad(guesses, (z, T), upstream(700, 33).float())
            results.append([guesses, *grads])
        finally:
            torch.set_num_threads(before)
    for one, *others in zip(*results, strict=True):
        assert all(torch.equal(one, other) for other in others)


# ----- gradients -----


def parameter(value: float, device: str, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(value, dtype=dtype, device=device, requires_grad=True)


def test_there_is_no_gradient_unless_it_is_asked_for(device):
    z = logits(2, 3, 4).to(device).requires_grad_()
    T = parameter(0.5, device)
    guesses = lelkern.guess_labels(z, T)
    assert not guesses.requires_grad
    asked = lelkern.guess_labels(z, T, gradient=True)
    assert asked.requires_grad
    assert torch.equal(guesses, asked.detach())
    of_z = torch.func.grad(lambda z: lelkern.guess_labels(z).square().sum())(z.detach())
    assert (of_z == 0).all()


@pytest.mark.parametrize(
    ("temperature", "shape"),
    covering([0.3, 1.0, 2.5], [(1, 2, 3), (2, 1, 9), (2, 2, 1)]),
)
def test_gradcheck_also_in_the_temperature(temperature, shape, device):
    z = logits(*shape, spread=1.0).to(device).requires_grad_()
    T = parameter(temperature, device)

    def function(z, T):
        return lelkern.guess_labels(z, T, gradient=True)

    assert gradcheck(function, (z, T))
    assert gradgradcheck(function, (z, T))


@pytest.mark.parametrize(
    ("dtype", "K", "temperature", "C"),
    covering(DTYPES, [1, 2, 5], [0.2, 0.5, 1.0, 2.0, 50.0], [1, 4, 9, 33, 1000]),
    ids=str,
)
@pytest.mark.parametrize("spread", [2.0, 200.0])
def test_gradients(dtype, K, temperature, C, spread, device):
    z = logits(K, 3, C, spread).to(device, dtype).requires_grad_()
    T = parameter(temperature, device)
    guesses = lelkern.guess_labels(z, T, gradient=True)
    grad = upstream(3, C).to(device, guesses.dtype)
    got, got_T = torch.autograd.grad(guesses, (z, T), grad)
    assert got.dtype == dtype
    x, g = exact(z), exact(grad)
    logs = log_mean(x)
    of_logs, want_T = gradients(logs, g, temperature)
    log_p = log_softmax(x)
    part = np.exp(log_p - logs) / K
    want = part * of_logs - np.exp(log_p) * (part * of_logs).sum(-1, keepdims=True)
    # Each number of these sums is off as far as those of the guess are, see check, for classes
    # that it does not leave at 0; a part that is no number beside the others may be left out.
    computed = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32)
    q, eps = exact(guesses), computed.eps
    below = logs.max(-1, keepdims=True) - logs
    counts = q > eps**2
    deepest = np.where(counts, below + (x.max(-1, keepdims=True) - x).max(0), 0).max()
    off = (4 * deepest * (1 + 1 / temperature) + 60 + C) * (1 + 1 / temperature) * eps
    size = np.abs(g) + (np.abs(g) * q).sum(-1, keepdims=True)
    size = size * (q + eps**2) / temperature
    parts = (off * part + eps) * size
    bound = parts + np.exp(log_p) * parts.sum(-1, keepdims=True)
    stored = torch.finfo(dtype)
    bound += computed.tiny + stored.eps / 2 * np.abs(want) + stored.tiny * stored.eps
    assert (np.abs(exact(got) - want) <= bound).all()
    off_T = off * (size * (1 + np.where(counts, below, 0))).sum() / temperature
    assert abs(exact(got_T) - want_T) <= off_T + computed.tiny


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("temperature", [1e-30, 1e-3, 0.5, 1.0, 2.0, 1e30])
def test_gradients_are_finite_at_every_temperature(temperature, dtype, device):
    z = torch.tensor([[[1.0, 2.0, -INF, 2.0, -60.0]], [[INF, 0.0, -INF, -INF, 1.0]]])
    z = z.to(device, dtype).requires_grad_()
    T = parameter(temperature, device)
    guesses = lelkern.guess_labels(z, T, gradient=True)
    for grad in (torch.ones_like(guesses), torch.zeros_like(guesses)):
        of_z, of_T = torch.autograd.grad(guesses, (z, T), grad, retain_graph=True)
        assert of_z.isfinite().all()
        assert of_T.isfinite()
    assert of_z.eq(0).all()


def test_nobody_asks_for_the_gradient_of_the_temperature(device):
    op = torch.ops.lelkern.guess_labels_backward
    z, T = logits(2, 3, 4).to(device), torch.tensor(0.5, device=device)
    grad = upstream(3, 4).to(device)
    of_z, of_T = op(grad, z, T, False)
    assert of_z.shape == (2, 3, 4)
    assert of_T.shape == (0, 3, 4)
    assert torch.equal(op(grad, z, T, True)[0], of_z)


# ----- among PyTorch's machinery -----


# Tracing sees schemas and fake functions, the same for every implementation behind.
QUICK = ("test_schema", "test_autograd_registration", "test_faketensor")
SLOW = ("test_aot_dispatch_dynamic",)


@pytest.mark.once
@pytest.mark.parametrize(
    ("dtype", "shape", "tests"),
    [
        (torch.float64, (2, 3, 4), QUICK),
        (torch.float16, (1, 0, 2), QUICK),
        pytest.param(torch.bfloat16, (2, 3, 4), SLOW, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_opcheck(dtype, shape, tests, device):
    T = parameter(0.5, device, torch.float32)
    z = logits(*shape).to(device, dtype).requires_grad_()
    ops = torch.ops.lelkern
    torch.library.opcheck(ops.guess_labels.default, (z, T), test_utils=tests)
    grad = torch.ones_like(lelkern.guess_labels(z), requires_grad=True)
    for needed in (False, True):
        given = (grad, z, T, needed)
        torch.library.opcheck(ops.guess_labels_backward.default, given, test_utils=tests)


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("gradient", [False, True])
def test_compile(gradient, device):
    def step(z, T):
        return (lelkern.guess_labels(2 * z, T, gradient=gradient) * z[0]).square().sum()

    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, dynamic=True, backend="aot_eager")
    for B in (4, 7):
        results = []
        for function in (step, compiled):
            z = logits(2, B, 3).float().to(device).requires_grad_()
            y = function(z, 0.7)
            results.append([y, *torch.autograd.grad(y, z)])
        torch.testing.assert_close(*results)


@pytest.mark.once
@pytest.mark.slow
def test_a_wrong_temperature_inside_compile_gives_nan():
    compiled = torch.compile(lelkern.guess_labels, fullgraph=True, backend="aot_eager")
    for wrong in (-1.0, 0.0, NAN, INF):
        assert compiled(logits(2, 3, 20), torch.tensor(wrong)).isnan().all()


@pytest.mark.once
def test_vmap(device):
    z = logits(2, 12, 4).reshape(2, 4, 3, 4).to(device)
    T = torch.tensor([0.2, 0.5, 1.0, 2.0], device=device)
    got = torch.func.vmap(lelkern.guess_labels, in_dims=(1, 0))(z, T)
    want = torch.stack([lelkern.guess_labels(z[:, i], T[i]) for i in range(4)])
    torch.testing.assert_close(got, want)


@pytest.mark.once
def test_functional_transforms(device):
    z = logits(2, 3, 4).to(device).requires_grad_()
    T = parameter(0.6, device)
    grad = upstream(3, 4).to(device)

    def function(z, T):
        return (lelkern.guess_labels(z, T, gradient=True) * grad).sum()

    want = torch.autograd.grad(function(z, T), (z, T))
    leaves = (z.detach(), T.detach())
    torch.testing.assert_close(torch.func.grad(function, (0, 1))(*leaves), want)
    torch.testing.assert_close(torch.func.jacfwd(function, (0, 1))(*leaves), want)


@pytest.mark.once
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(dtype, device):
    z = logits(2, 3, 40).to(device, dtype)
    with torch.autocast(device, dtype):
        guesses = lelkern.guess_labels(z)
    assert guesses.dtype == torch.float32
    check(guesses, z, 0.5)


# ----- errors -----


@pytest.mark.once
def test_what_does_not_fit_is_refused():
    z = logits(2, 3, 4)
    few = "logits must have at least one augmentation and one class, (K, B, C), got "
    for call, error, message in (
        (lambda: lelkern.guess_labels([z]), TypeError, "logits must be a tensor, got list"),
        (
            lambda: lelkern.guess_labels(z.long()),
            TypeError,
            "logits must be float64, float32, bfloat16 or float16, got torch.int64",
        ),
        (lambda: lelkern.guess_labels(z[0]), ValueError, "logits must be (K, B, C), got (3, 4)"),
        (lambda: lelkern.guess_labels(z[:0]), ValueError, f"{few}(0, 3, 4)"),
        (lambda: lelkern.guess_labels(z[..., :0]), ValueError, f"{few}(2, 3, 0)"),
        (lambda: lelkern.guess_labels(z, -1), ValueError, "temperature must be > 0, got -1"),
        (lambda: lelkern.guess_labels(z, INF), ValueError, "temperature must be finite, got inf"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            call()


@pytest.mark.skipif(library_path() is None, reason="no compiled kernels here")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": torch.ones(1)}, "temperature must have no dimensions, got 1"),
        ({"logits": torch.ones(3, 4)}, "logits must be (K, B, C), with at least one"),
        ({"logits": torch.ones(0, 3, 4)}, "logits must be (K, B, C), with at least one"),
        ({"grad": torch.ones(3, 5)}, "grad must have the shape, dtype and device of the result"),
        ({"grad": torch.ones(3, 4).half()}, "grad must have the shape, dtype and device of the"),
    ],
)
def test_a_direct_call_of_the_op_keeps_inside_its_memory(change, message):
    given = {
        "grad": torch.ones(3, 4),
        "logits": torch.ones(2, 3, 4),
        "temperature": torch.tensor(1.0),
        "temperature_needs_grad": True,
    } | change
    with pytest.raises(RuntimeError, match=re.escape(message)):
        torch.ops.lelkern.guess_labels_backward(**given)
