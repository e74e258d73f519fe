"""Sharpening: values and gradients in every dtype, exact limits, PyTorch's machinery, errors."""

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
    generator,
    gradients,
    log_of,
    probabilities,
    softmax,
    upstream,
)
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import lelkern
from lelkern.ops import library_path

FUNCTIONS = {"p": lelkern.sharpen, "logits": lelkern.sharpen_logits}


def log_p(kind: str, x: Tensor) -> np.ndarray:
    return log_of(exact(x)) if kind == "p" else exact(x)


# Around the vectors, of 2 to 16 numbers, and far beyond.
CLASSES = [1, 2, 3, 7, 8, 9, 17, 33, 1000, 5000]


@pytest.mark.parametrize(
    ("kind", "dtype", "temperature", "C"),
    covering(list(FUNCTIONS), DTYPES, TEMPERATURES, CLASSES),
    ids=str,
)
def test_values(kind, dtype, temperature, C, device):
    p = probabilities(5, C, seed=C)
    x = (p if kind == "p" else p.log()).to(device, dtype)
    q = FUNCTIONS[kind](x, temperature)
    assert q.dtype == dtype
    assert_sharpened(q, log_p(kind, x), temperature)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_values_over_the_whole_range_of_numbers(dtype, temperature, device):
    least = {torch.float32: -149, torch.float64: -950}[dtype]  # powers of 2
    whole = torch.rand(40, 40, generator=generator(), dtype=torch.float64)
    for most in (1.0, 1e-3, 1e20):  # unlike probabilities, weights need not be small
        p = (most * 2 ** (least * whole)).to(device, dtype)
        p[:, 0] = most * torch.tensor([1.0, 2.0**least] * 20, dtype=dtype)
        p[1] *= 2.0**-120
        p[:, 3] = 0
        assert_sharpened(lelkern.sharpen(p, temperature), log_of(exact(p)), temperature)


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_neighbouring_numbers_are_told_apart(dtype, kind, device):
    # The largest and those just below it, from which they differ by some units in the last place.
    for largest in (1e-3, 0.5, 0.7, 1.0):
        steps = torch.arange(9, device=device)
        x = torch.tensor(largest, dtype=dtype, device=device).expand(9)
        for k in range(1, 9):
            x = torch.where(steps >= k, torch.nextafter(x, torch.zeros_like(x)), x)
        assert (x.diff() < 0).all()
        distance = -log_p(kind, x[:2])
        nearest = float(distance[1] - distance[0])
        for temperature in (nearest / 100, nearest, 3 * nearest):
            q = FUNCTIONS[kind](x, temperature)
            assert_sharpened(q, log_p(kind, x), temperature)
        assert FUNCTIONS[kind](x, nearest / 1000).tolist() == [1, *[0] * 8]


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("temperature", [1e-300, 1e-30, 1e-3, 1.0, 7.0, 1e30, 1e300])
def test_limits(temperature, dtype, kind, device):
    x = torch.tensor([[0.125, 0.375, 0.375, 0.0], [0.25, 0.0, 0.25, 0.25]]).to(device, dtype)
    q = FUNCTIONS[kind](x if kind == "p" else x.log(), temperature)
    if temperature < 0.01:
        third = torch.tensor(1 / 3, dtype=dtype).item()
        assert q.tolist() == [[0, 0.5, 0.5, 0], [third, 0, third, third]]
    elif temperature > 1e20:
        torch.testing.assert_close(q, (x > 0).to(dtype) / 3)
    assert (q[x == 0] == 0).all()  # at every temperature
    assert q[0, 1] == q[0, 2]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_temperature_of_one_changes_nothing_but_the_sum(dtype, device):
    p = probabilities(7, 50).to(device, dtype)
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    # The sum, of 50 numbers that sum to 1, and a division, which round; and the result.
    want = p.double() / p.double().sum(-1, keepdim=True)
    bound = 20 * torch.finfo(computed).eps * want + torch.finfo(dtype).eps / 2 * want
    assert ((lelkern.sharpen(p, 1).double() - want).abs() <= bound).all()


def test_1000_classes_in_float16_at_a_quarter(device):
    p = probabilities(16, 1000, spread=1.0).to(device, torch.float16)
    assert (p**4).sum(-1).eq(0).any()  # why it is computed in logarithms
    q = lelkern.sharpen(p, 0.25)
    assert q.isfinite().all()
    assert_sharpened(q, log_of(exact(p)), 0.25)


def test_of_logits_it_is_that_of_their_softmax(device):
    z = upstream(6, 11).to(device)
    for temperature in (0.1, 0.5, 1.0, 4.0):
        want = lelkern.sharpen(z.softmax(-1), temperature)
        torch.testing.assert_close(lelkern.sharpen_logits(z, temperature), want)
    torch.testing.assert_close(lelkern.sharpen_logits(z, 1), z.softmax(-1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("temperature", [0.01, 0.5, 1.0, 3.0])
def test_what_is_no_distribution_is_nan_and_nothing_else(temperature, dtype, device):
    for bad in (NAN, -0.25, INF, -INF):
        for C in (1, 3, 9, 40):
            for place in {0, C // 2, C - 1}:
                p = probabilities(3, C).to(device, dtype)
                p[1, place] = bad
                q = lelkern.sharpen(p, temperature)
                assert q[1].isnan().all(), (bad, C, place)
                assert q[[0, 2]].isfinite().all()
    assert (
        lelkern.sharpen(torch.zeros(2, 20, device=device, dtype=dtype), temperature).isnan().all()
    )
    assert lelkern.sharpen(-p, temperature).isnan().all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("temperature", [1e-30, 0.5, 1.0, 3.0, 1e30])
def test_infinite_logits(temperature, dtype, device):
    def of(*z: float) -> list[float]:
        return lelkern.sharpen_logits(
            torch.tensor(z, dtype=dtype, device=device), temperature
        ).tolist()

    assert of(-INF, 2.0) == [0, 1]
    assert of(-INF, 2.0, 2.0) == [0, 0.5, 0.5]
    assert of(1.0, INF, -INF, *range(20)) == [0, 1, 0, *[0] * 20]
    assert of(INF, 1.0, INF, -INF) == [0.5, 0, 0.5, 0]
    assert of(INF) == of(-3.0) == [1]
    assert all(map(math.isnan, of(-INF, -INF)))
    assert all(map(math.isnan, of(INF, NAN)))
    assert all(map(math.isnan, of(*range(30), NAN)))


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize(
    ("shape", "dim"),
    [
        ((0, 3), -1),
        ((3, 0, 5), 0),
        ((1,), 0),
        ((17,), -1),
        ((4, 6), 0),
        ((3, 5, 7), 1),
        ((2, 10, 5, 6), 1),
        ((2, 3, 1, 4), -2),
        ((50, 37), 0),
    ],
)
def test_any_dimension(shape, dim, kind, device):
    moved = [*shape]
    moved.append(moved.pop(dim))
    p = probabilities(*moved).movedim(-1, dim).to(device)
    x = (p if kind == "p" else p.log()).float()
    q = FUNCTIONS[kind](x, 0.7, dim)
    assert q.shape == shape
    assert q.is_contiguous()
    if q.numel():
        assert_sharpened(q.movedim(dim, -1), log_p(kind, x.movedim(dim, -1)), 0.7)
    # As does the gradient.
    x64 = x.double().requires_grad_()
    grad = upstream(*shape).to(device)
    got = torch.autograd.grad(FUNCTIONS[kind](x64, 0.7, dim), x64, grad)[0]
    beside = x64.movedim(dim, -1).contiguous()
    want = torch.autograd.grad(FUNCTIONS[kind](beside, 0.7), x64, grad.movedim(dim, -1))[0]
    torch.testing.assert_close(got, want)


def test_any_strides(device):
    p = probabilities(6, 8, 10).float().to(device)
    want = lelkern.sharpen(p, 0.5)
    apart = p.new_zeros(6, 8, 20)[..., ::2].copy_(p)
    turned = p.transpose(0, 1).contiguous().transpose(0, 1)
    for x in (apart, turned, torch.stack([p, p])[1]):
        assert torch.equal(lelkern.sharpen(x, 0.5), want)
    assert torch.equal(lelkern.sharpen(p[:1].expand(6, 8, 10), 0.5), want[:1].expand(6, 8, 10))
    images = p.reshape(6, 8, 2, 5).contiguous(memory_format=torch.channels_last)
    assert torch.equal(
        lelkern.sharpen(images, 0.5, 1), lelkern.sharpen(images.contiguous(), 0.5, 1)
    )


@pytest.mark.once
def test_same_bits_for_any_number_of_threads():
    p = probabilities(700, 33, spread=1.0).float().requires_grad_()
    T = torch.tensor(0.6, requires_grad=True)
    results = []
    before = torch.get_num_threads()
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        try:
            q = lelkern.sharpen(p, T, 1)
            results.append([q, *torch.autograd.grad(q, (p, T), upstream(700, 33).float())])
        finally:
            torch.set_num_threads(before)
    for one, *others in zip(*results, strict=True):
        assert all(torch.equal(one, other) for other in others)


# ----- gradients -----


def parameter(value: float, device: str, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(value, dtype=dtype, device=device, requires_grad=True)


@pytest.mark.parametrize(
    ("kind", "temperature", "shape", "dim"),
    covering(list(FUNCTIONS), [0.3, 1.0, 2.5], [(2, 3), (1, 9), (5, 1)], [0, 1]),
)
def test_gradcheck_also_in_the_temperature(kind, temperature, shape, dim, device):
    p = probabilities(*shape, spread=1.0).to(device)
    leaf = (p if kind == "p" else p.log()).requires_grad_()
    T = parameter(temperature, device)
    assert gradcheck(lambda x, T: FUNCTIONS[kind](x, T, dim), (leaf, T))
    assert gradgradcheck(lambda x, T: FUNCTIONS[kind](x, T, dim), (leaf, T))


@pytest.mark.parametrize(
    ("kind", "dtype", "temperature", "C"),
    covering(list(FUNCTIONS), DTYPES, [0.05, 0.5, 1.0, 3.0, 50.0], [1, 4, 9, 33, 1000]),
    ids=str,
)
def test_gradients(kind, dtype, temperature, C, device):
    p = probabilities(6, C, spread=2.0, seed=C)
    x = (p if kind == "p" else p.log()).to(device, dtype).requires_grad_()
    T = parameter(temperature, device)
    grad = upstream(6, C).to(device, dtype)
    got, got_T = torch.autograd.grad(FUNCTIONS[kind](x, T), (x, T), grad)
    assert got.dtype == dtype
    logs, g = log_p(kind, x), exact(grad)
    of_logs, want_T = gradients(logs, g, temperature)
    q = softmax(logs, temperature)
    slope = q / exact(x) if kind == "p" else q
    want = of_logs / np.where(q > 0, q, 1) * slope
    # A gradient is a slope times the difference of numbers as large as |g| and their mean, each off
    # as far as q is; see assert_sharpened.
    computed = torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32)
    exponent = (logs.max(-1, keepdims=True) - logs) * (1 + 1 / temperature)
    off = (8 * exponent.max() + 40 + C / 2) * computed.eps
    size = (np.abs(g) + (np.abs(g) * q).sum(-1, keepdims=True)) / temperature
    bound = size * (off * slope + computed.tiny) + computed.tiny
    stored = torch.finfo(dtype)
    bound = bound + stored.eps / 2 * np.abs(want) + stored.tiny * stored.eps
    assert (np.abs(exact(got) - want) <= bound).all()
    below = logs.max(-1, keepdims=True) - logs
    size_T = (size * q * below).sum() / temperature
    assert abs(exact(got_T) - want_T) <= off * size_T + computed.tiny


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_gradient_at_a_probability_of_zero_is_the_limit(dtype, device):
    for temperature, limit in ((0.5, 0.0), (0.9, 0.0), (1.0, 1.0), (2.0, math.inf)):
        for zeros in (1, 12):
            p = torch.tensor([0.25, 0.75, *[0] * zeros], dtype=dtype, device=device)
            T = parameter(temperature, device, dtype)
            p.requires_grad_()
            q = lelkern.sharpen(p, T)
            of_p, of_T = torch.autograd.grad(q[0] - q[1], (p, T))
            difference = (q[1] - q[0]).item()  # the gradient of q_0 - q_1 along a zero's share
            want = [limit * difference if limit else 0.0] * zeros
            # A few roundings in float32, and one of the result.
            eps = max(torch.finfo(dtype).eps, 1e-6)
            assert of_p[2:].tolist() == pytest.approx(want, rel=eps, abs=0)
            assert of_p[:2].isfinite().all()
            assert of_T.isfinite()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("temperature", [1e-30, 1e-3, 0.5, 1.0, 2.0, 1e30])
def test_gradients_are_finite_at_every_temperature(temperature, dtype, device):
    z = torch.tensor([[1.0, 2.0, -INF, 2.0, -20.0], [INF, 0.0, 3.0, -INF, 1.0]])
    z = z.to(device, dtype).requires_grad_()
    T = parameter(temperature, device)
    q = lelkern.sharpen_logits(z, T)
    for grad in (torch.ones_like(q), (z == 2.0).to(dtype)):  # what ties share, they share
        of_z, of_T = torch.autograd.grad(q, (z, T), grad, retain_graph=True)
        assert of_z.isfinite().all()
        assert of_T.isfinite()
    with torch.no_grad():
        p = torch.tensor([[0.1, 0.3, 0.3, 0.2, 0.1]]).to(device, dtype)
    p.requires_grad_()
    q = lelkern.sharpen(p, T)
    for found in torch.autograd.grad(q, (p, T), torch.ones_like(q)):
        assert found.isfinite().all()


def test_nobody_asks_for_the_gradient_of_the_temperature(device):
    op = torch.ops.lelkern.sharpen_backward
    p, T = probabilities(3, 4).to(device), torch.tensor(0.5, device=device)
    of_p, of_T = op(p, p, T, 1, False, False)
    assert of_p.shape == (3, 4)
    assert of_T.shape == (0, 4)
    assert torch.equal(op(p, p, T, 1, False, True)[0], of_p)


# ----- among PyTorch's machinery -----


# Tracing sees schemas and fake functions, the same for every implementation behind.
QUICK = ("test_schema", "test_autograd_registration", "test_faketensor")
SLOW = ("test_aot_dispatch_dynamic",)


@pytest.mark.once
@pytest.mark.parametrize(
    ("dtype", "shape", "dim", "logits", "tests"),
    [
        (torch.float64, (3, 4), 1, False, QUICK),
        (torch.float16, (2, 3, 4), 1, True, QUICK),
        (torch.bfloat16, (0, 3), 1, False, QUICK),
        pytest.param(torch.float64, (3, 4), 0, False, SLOW, marks=pytest.mark.slow),
        pytest.param(torch.float16, (2, 3, 4), 2, True, SLOW, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_opcheck(dtype, shape, dim, logits, tests, device):
    T = parameter(0.5, device, torch.float32)
    x = probabilities(*shape).to(device, dtype).requires_grad_()
    ops = torch.ops.lelkern
    torch.library.opcheck(ops.sharpen.default, (x, T, dim, logits), test_utils=tests)
    grad = torch.ones_like(x, requires_grad=True)
    for needed in (False, True):
        given = (grad, x, T, dim, logits, needed)
        torch.library.opcheck(ops.sharpen_backward.default, given, test_utils=tests)


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_compile(kind, device):
    def step(x, T):
        return (FUNCTIONS[kind](2 * x, T, 0) * 3).square().sum()

    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, dynamic=True, backend="aot_eager")
    for C in (4, 7):
        results = []
        for function in (step, compiled):
            x = probabilities(C, 3).float().to(device).requires_grad_()
            T = parameter(0.7, device, torch.float32)
            y = function(x, T)
            results.append([y, *torch.autograd.grad(y, (x, T))])
        torch.testing.assert_close(*results)


@pytest.mark.once
@pytest.mark.slow
def test_a_wrong_temperature_inside_compile_gives_nan():
    compiled = torch.compile(lelkern.sharpen, fullgraph=True, backend="aot_eager")
    p = probabilities(2, 20)
    for wrong in (-1.0, 0.0, NAN, INF):
        assert compiled(p, torch.tensor(wrong)).isnan().all()


@pytest.mark.once
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_vmap(kind, device):
    x = probabilities(5, 3, 4).to(device)
    T = torch.tensor([0.2, 0.5, 1.0, 2.0, 7.0], device=device)
    got = torch.func.vmap(lambda x, T: FUNCTIONS[kind](x, T, -2))(x, T)
    want = torch.stack([FUNCTIONS[kind](x[i], T[i], 0) for i in range(5)])
    torch.testing.assert_close(got, want)
    assert torch.func.vmap(lambda x: FUNCTIONS[kind](x, 0.5))(x[:0]).shape == (0, 3, 4)


@pytest.mark.once
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_functional_transforms(kind, device):
    x = probabilities(3, 4).to(device).requires_grad_()
    T = parameter(0.6, device)
    grad = upstream(3, 4).to(device)

    def function(x, T):
        return (FUNCTIONS[kind](x, T) * grad).sum()

    want = torch.autograd.grad(function(x, T), (x, T))
    leaves = (x.detach(), T.detach())
    torch.testing.assert_close(torch.func.grad(function, (0, 1))(*leaves), want)
    torch.testing.assert_close(torch.func.jacfwd(function, (0, 1))(*leaves), want)


@pytest.mark.once
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast(dtype, device):
    p = probabilities(3, 40).to(device, dtype).requires_grad_()
    with torch.autocast(device, dtype):
        q = lelkern.sharpen(p, 0.5)
    assert q.dtype == torch.float32
    assert_sharpened(q, log_of(exact(p)), 0.5)
    q.sum().backward()
    assert p.grad.dtype == dtype


# ----- errors -----


@pytest.mark.once
def test_what_does_not_fit_is_refused():
    p = probabilities(2, 3)
    for function, name in ((lelkern.sharpen, "p"), (lelkern.sharpen_logits, "logits")):
        for call, error, message in (
            (lambda f: f([0.5, 0.5], 1), TypeError, f"{name} must be a tensor, got list"),
            (
                lambda f: f(torch.ones(2, dtype=torch.int64), 1),
                TypeError,
                f"{name} must be float64, float32, bfloat16 or float16, got torch.int64",
            ),
            (
                lambda f: f(torch.tensor(1.0), 1),
                ValueError,
                f"{name} must have a dimension of classes, got shape ()",
            ),
            (
                lambda f: f(torch.ones(2, 0), 1),
                ValueError,
                f"{name} must have at least one class, got shape (2, 0)",
            ),
            (lambda f: f(p, 1, 2), ValueError, "dim must be from -2 to 1, got 2"),
            (lambda f: f(p, 1, -3), ValueError, "dim must be from -2 to 1, got -3"),
            (lambda f: f(p, 0), ValueError, "temperature must be > 0, got 0"),
            (lambda f: f(p, NAN), ValueError, "temperature must be > 0, got nan"),
            (lambda f: f(p, INF), ValueError, "temperature must be finite, got inf"),
            (
                lambda f: f(p, torch.ones(2)),
                ValueError,
                "temperature must have one element, got (2,)",
            ),
            (
                lambda f: f(p, torch.tensor(1)),
                TypeError,
                "temperature must be floating point, got torch.int64",
            ),
        ):
            with pytest.raises(error, match=re.escape(message)):
                call(function)


@pytest.mark.skipif(library_path() is None, reason="no compiled kernels here")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": torch.ones(1)}, "temperature must have no dimensions, got 1"),
        ({"x": torch.ones(2, 3, dtype=torch.int32)}, "tensors must be floating point"),
        ({"dim": 2}, "dim must be from 0 to 1, got 2"),
        ({"x": torch.ones(2, 0)}, "x must have at least one class"),
        ({"grad": torch.ones(3, 2)}, "grad must have the shape, dtype and device of the result"),
        ({"grad": torch.ones(2, 3).double()}, "grad must have the shape, dtype and device of"),
    ],
)
def test_a_direct_call_of_the_op_keeps_inside_its_memory(change, message):
    given = {
        "grad": torch.ones(2, 3),
        "x": torch.ones(2, 3),
        "temperature": torch.tensor(1.0),
        "dim": 1,
        "logits": False,
        "temperature_needs_grad": True,
    } | change
    with pytest.raises(RuntimeError, match=re.escape(message)):
        torch.ops.lelkern.sharpen_backward(**given)
