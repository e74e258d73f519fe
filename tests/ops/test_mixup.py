from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from covering import covering
from hypothesis import given, settings
from mixing_samples import (
    FLOATING,
    LAYOUTS,
    bytes_of,
    compiled,
    images,
    lambdas,
    mixed,
    normals,
    permuted,
    same_bits,
)
from torch.autograd import gradcheck, gradgradcheck
from torch.fx.experimental.proxy_tensor import make_fx

import lelkern
from lelkern.reference import mixup as reference

# From a type to that of its mixes.
TYPES = [(dtype, dtype) for dtype in FLOATING] + [(torch.uint8, dtype) for dtype in FLOATING]
# Nothing, one number, and around vectors and pieces of rows that the kernels take at a time.
SHAPES = [
    (0, 3),
    (1, 1),
    (2, 0),
    (5,),
    (3, 17),
    (9, 3, 5, 7),
    (4, 2047),
    (3, 4, 33, 32),
    (33, 2, 3),
]
AFFINE = ["none", "numbers", "a channel each", "scale", "offset"]


def affine(how: str, channels: int):
    """Scale and offset."""
    scales = torch.linspace(-1.5, 0.3, channels) / 3
    offsets = torch.linspace(-2, 1, channels) / 7
    return {
        "none": (None, None),
        "numbers": (1 / 255, -0.3),
        "a channel each": (scales, offsets),
        "scale": (scales, None),
        "offset": (None, 0.1),
    }[how]


@pytest.mark.parametrize(("types", "shape", "how"), covering(TYPES, SHAPES, AFFINE), ids=str)
def test_every_sample_as_a_loop_has_it(types, shape, how, device):
    x, n = images(types[0], *shape), shape[0]
    scale, offset = affine(how, shape[1] if len(shape) > 1 else 1)
    lam, perm = lambdas(n), permuted(n)
    got, none = lelkern.mixup(
        x.to(device),
        None,
        lam.to(device),
        perm.to(device),
        scale=scale,
        offset=offset,
        dtype=types[1],
    )
    assert none is None
    assert same_bits(got, mixed(x, lam, perm, scale, offset, types[1]))


@pytest.mark.parametrize(("layout", "types", "how"), covering(LAYOUTS, TYPES, AFFINE), ids=str)
def test_every_layout(layout, types, how, device):
    x, (scale, offset) = images(types[0], 6, 3, 5, 8), affine(how, 3)
    lam, perm = lambdas(6), permuted(6)
    given = layout.of(x.to(device))
    before = given.clone()
    options = {"scale": scale, "offset": offset, "dtype": types[1]}
    got, _ = lelkern.mixup(given, None, lam.to(device), perm.to(device), **options)
    assert same_bits(got, mixed(x, lam, perm, **options))
    assert torch.equal(given, before)
    channels_last = layout.name == "channels_last"
    form = torch.channels_last if channels_last else torch.contiguous_format
    assert got.is_contiguous(memory_format=form)


def test_an_expanded_batch(device):
    x = normals(1, 3, 4, 4).to(device).expand(5, 3, 4, 4)
    got, _ = lelkern.mixup(x, None, 0.3, permuted(5).to(device))
    lam = torch.full((5,), 0.3, dtype=torch.float64)
    assert same_bits(got, mixed(x.cpu(), lam, permuted(5)))


@pytest.mark.parametrize("lam", [0.3, torch.tensor(0.3), torch.tensor([0.3]), np.float64(0.3)])
def test_one_lambda_for_all(lam, device):
    x, perm = images(torch.float32, 7, 3), permuted(7)
    got, _ = lelkern.mixup(x.to(device), None, lam, perm.to(device))
    assert same_bits(got, mixed(x, torch.full((7,), float(lam), dtype=torch.float64), perm))


def test_lambda_multiplies_the_sample_that_keeps_its_place(device):
    x, perm = torch.eye(3, device=device), torch.tensor([1, 2, 0], device=device)
    got, _ = lelkern.mixup(x, None, 0.75, perm)
    assert torch.equal(got, 0.75 * x + 0.25 * x[perm])


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
def test_a_lambda_of_one_changes_nothing(dtype, device):
    x, y = images(dtype, 9, 4, 3).to(device), torch.arange(9, device=device)
    for seed in range(3):
        got, targets = lelkern.mixup(x, y, 1.0, permuted(9, seed).to(device), num_classes=9)
        assert torch.equal(got, x)
        assert torch.equal(targets, torch.eye(9, device=device))


def test_infinities_and_nan_stay_where_they_are_mixed(device):
    x = images(torch.float32, 6, 40)
    x[0, 3], x[1, 4], x[2, 5], x[3, 6:9] = (
        np.nan,
        np.inf,
        -np.inf,
        torch.tensor([-0.0, 3e38, 1e-45]),
    )
    lam, perm = torch.tensor([0.5, 1.0, 0.0, 0.3, 0.9, 0.6]), torch.tensor([5, 0, 1, 3, 2, 4])
    got, _ = lelkern.mixup(x.to(device), None, lam.to(device), perm.to(device))
    want = mixed(x, lam, perm)
    assert same_bits(got, want)
    assert want.isnan().sum() == 3  # nan in two mixes, in one times 0, and -inf times 0


# ----- labels -----


def test_classes_are_one_hot_and_mixed(device):
    y, lam, perm = torch.tensor([2, 0, 1, 1]), lambdas(4), permuted(4)
    for dtype in (torch.int64, torch.int32, torch.uint8):
        x = torch.zeros(4, 1, device=device)
        targets = lelkern.mixup(
            x, y.to(device, dtype), lam.to(device), perm.to(device), num_classes=3
        )[1]
        assert same_bits(targets, mixed(torch.eye(3)[y], lam, perm))


@pytest.mark.parametrize("dtype", FLOATING, ids=str)
def test_distributions_are_mixed_in_their_dtype(dtype, device):
    y, lam, perm = normals(5, 4).softmax(1).to(dtype), lambdas(5), permuted(5)
    x = torch.zeros(5, 2, device=device)
    _, targets = lelkern.mixup(x, y.to(device), lam.to(device), perm.to(device))
    assert same_bits(targets, mixed(y, lam, perm))


def test_one_class(device):
    x, y = torch.ones(3, 2, device=device), torch.zeros(3, dtype=torch.int64, device=device)
    _, targets = lelkern.mixup(x, y, 0.7, num_classes=1)
    # 0.7 + fl(1 - 0.7), rounded: within one unit in the last place of 1.
    torch.testing.assert_close(targets, torch.ones(3, 1, device=device), rtol=2**-23, atol=0)


def test_permuting_the_classes_permutes_the_targets(device):
    y, lam, perm = normals(6, 5).softmax(1).float().to(device), lambdas(6), permuted(6)
    classes = torch.tensor([3, 1, 4, 0, 2], device=device)
    x = torch.zeros(6, 1, device=device)
    mix = [lelkern.mixup(x, z, lam.to(device), perm.to(device))[1] for z in (y, y[:, classes])]
    assert torch.equal(mix[0][:, classes], mix[1])


# ----- the permutation -----


def test_a_generator_gives_the_permutation(device):
    x = torch.eye(20, device=device)
    for where in {"cpu", device}:
        generators = [torch.Generator(where).manual_seed(3) for _ in range(2)]
        perm = torch.randperm(20, generator=generators[0], device=where).to(device)
        got, _ = lelkern.mixup(x, None, 0.0, generator=generators[1])
        assert torch.equal(got, x[perm])
    torch.manual_seed(0)
    first, second = (lelkern.mixup(x, None, 0.0)[0] for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.once
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_kernels_and_reference_agree_to_the_bit(data):
    n, m = data.draw(st.integers(0, 9)), data.draw(st.none() | st.integers(0, 9))
    channels, inner = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 40))
    features = channels * inner * data.draw(st.integers(0, 3))
    source, dtype = data.draw(st.sampled_from(TYPES))
    rows = n + (m or 0)
    first = images(source, n, features)
    second = None if m is None else images(source, m, features, seed=1)
    number = torch.float64 if torch.float64 in (source, dtype) else torch.float32
    scale, offset = (
        data.draw(st.sampled_from([None, normals(channels, seed=s).to(number)])) for s in (5, 6)
    )
    order = permuted(rows, 7) if data.draw(st.booleans()) else None
    arguments = (
        *(first, second, lambdas(rows).to(number), permuted(rows)),
        *(order, scale, offset, inner, dtype),
    )
    got = torch.ops.lelkern.mix_rows(*arguments)
    assert same_bits(got, reference.mix_rows(*arguments))
    grad = images(dtype, rows, features, seed=9)
    grads = torch.ops.lelkern.mix_rows_backward(grad, *arguments, True)
    wanted = reference.mix_rows_backward(grad, *arguments)
    if source != torch.uint8:
        assert same_bits(grads[0], wanted[0])
        assert second is None or same_bits(grads[1], wanted[1])
    # A sum of D products of rounded differences in another order: each is off by at most half a
    # unit in the last place of a sum that is at most that of the magnitudes.
    exact = reference.mix_rows_backward(
        *(z.double() if isinstance(z, torch.Tensor) and z.is_floating_point() else z
          for z in (grad, *arguments[:-1])), torch.float64
    )[2]  # fmt: skip
    largest = reference.rescaled(
        first if second is None else torch.cat((first, second)), scale, offset, inner, number
    )
    of_rows = grad if order is None else grad[order.argsort()]
    bound = largest.abs().amax().item() if largest.numel() else 0
    bound *= 4 * of_rows.double().abs().sum(1) * torch.finfo(number).eps * (features + 4)
    assert ((grads[2].double() - exact).abs() <= bound).all()


# As large as results must be to go past the cache: rows of whole vectors, and others, of which some
# do not begin where a vector may.
@pytest.mark.parametrize("source", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("features", [2**19, 2**19 + 5])
def test_large_results(source, features):
    number = torch.float64 if source == torch.float64 else torch.float32
    rows = -(-(2**23) // (features * source.itemsize))
    x = images(source, rows, features)
    arguments = (x, None, lambdas(rows).to(number), permuted(rows), *[None] * 3, 1, source)
    mix = torch.ops.lelkern.mix_rows(*arguments)
    assert mix.nbytes >= 2**23
    assert same_bits(mix, reference.mix_rows(*arguments))
    got, *_ = torch.ops.lelkern.mix_rows_backward(x, *arguments, False)
    assert same_bits(got, reference.mix_rows_backward(x, *arguments)[0])


# ----- gradients, and PyTorch's ways of calling -----


def leaves(device):
    x, y = normals(4, 2, 3), normals(4, 3, seed=1)
    lam = torch.tensor([0.5, 0.9, 0.2, 0.7], dtype=torch.float64)
    return [z.to(device).requires_grad_() for z in (x, y, lam)]


def test_gradients(device):
    scale, offset = affine("a channel each", 2)
    perm = torch.tensor([2, 1, 3, 0], device=device)

    def mix(x, y, lam):
        return lelkern.mixup(x, y, lam, perm, scale=scale, offset=offset)

    assert gradcheck(mix, leaves(device))
    assert gradgradcheck(mix, leaves(device))
    x, y, lam = leaves(device)
    assert gradcheck(
        lambda one: mix(x.detach(), y.detach(), one), lam[:1].detach().requires_grad_()
    )
    assert gradgradcheck(lambda x: lelkern.mixup(x, None, 0.3, perm)[0], x)


def test_the_gradient_is_what_the_rows_contributed(device):
    x, _, lam = leaves(device)
    perm = torch.tensor([2, 1, 3, 0], device=device)
    grad = normals(4, 2, 3, seed=5).to(device)
    mix, _ = lelkern.mixup(x, None, lam, perm)
    grad_x, grad_lam = torch.autograd.grad(mix, (x, lam), grad)
    for j in range(4):
        (i,) = (k for k in range(4) if perm[k] == j)
        want = lam[j] * grad[j] + (1 - lam[i]) * grad[i]
        torch.testing.assert_close(grad_x[j], want)
        torch.testing.assert_close(grad_lam[j], (grad[j] * (x[j] - x[perm[j]])).sum())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_gradients_of_16_bits_are_rounded_once(dtype, device):
    x = images(dtype, 5, 33).to(device).requires_grad_()
    grad = images(dtype, 5, 33, seed=3).to(device)
    lam, perm = lambdas(5).float().to(device), permuted(5).to(device)
    mix, _ = lelkern.mixup(x, None, lam, perm)
    (got,) = torch.autograd.grad(mix, x, grad)
    w, g = lam.unsqueeze(1), grad.float()
    assert same_bits(got, (w * g + ((1 - w) * g)[perm.argsort()]).to(dtype))


def test_lambda_has_a_gradient_for_bytes(device):
    x = bytes_of(4, 3, 5).to(device)
    lam = torch.tensor([0.5, 0.9, 0.2, 0.7], device=device, requires_grad=True)
    perm = torch.tensor([2, 1, 3, 0], device=device)
    mix, _ = lelkern.mixup(x, None, lam, perm, scale=1 / 255)
    (got,) = torch.autograd.grad(mix.sum(), lam)
    want = (x.double() - x[perm].double()).sum((1, 2)) / 255
    # 15 terms of at most 1.
    torch.testing.assert_close(got.double(), want, rtol=0, atol=15 * 15 * 2**-23)


SAID = ("test_schema", "test_autograd_registration", "test_faketensor")
TRACED = ("test_aot_dispatch_dynamic",)


# Tracing sees schemas and fake functions, the same for every implementation behind.
@pytest.mark.once
@pytest.mark.parametrize("asked", [SAID, pytest.param(TRACED, marks=pytest.mark.slow)])
@pytest.mark.parametrize("source", [torch.float64, torch.bfloat16, torch.uint8], ids=str)
@pytest.mark.parametrize("with_second", [False, True])
def test_opcheck(source, with_second, asked, device):
    first = images(source, 4, 6).to(device)
    rows = 6 if with_second else 4
    second = images(source, 2, 6, seed=1).to(device) if with_second else None
    if source != torch.uint8:
        first.requires_grad_()
        if with_second:
            second.requires_grad_()
    dtype = torch.float32 if source == torch.uint8 else source
    number = torch.float64 if source == torch.float64 else torch.float32
    lam = lambdas(rows).to(device, number).requires_grad_()
    order = permuted(rows, 7).to(device) if with_second else None
    scale = torch.tensor([0.5, 2.0], dtype=number, device=device)
    arguments = (first, second, lam, permuted(rows).to(device), order, scale, None, 3, dtype)
    torch.library.opcheck(torch.ops.lelkern.mix_rows.default, arguments, test_utils=asked)
    grad = torch.ones(rows, 6, dtype=dtype, device=device, requires_grad=True)
    for lam_needs_grad in (False, True):
        op, given = torch.ops.lelkern.mix_rows_backward.default, (grad, *arguments, lam_needs_grad)
        torch.library.opcheck(op, given, test_utils=asked)


@pytest.mark.once
@pytest.mark.parametrize(
    ("layout", "dynamic"),
    [(LAYOUTS[0], False), pytest.param(LAYOUTS[1], True, marks=pytest.mark.slow)],
    ids=str,
)
def test_compile_without_graph_breaks(layout, dynamic, device):
    def step(x, y, lam, perm):
        mix, targets = lelkern.mixup(2 * x, y, lam, perm, scale=0.5)
        return mix.square().sum() + targets.square().sum()

    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for n in (4, 7) if dynamic else (4,):
        results = []
        for function in (step, compiled):
            x = layout.of(normals(n, 3, 4, 2).to(device)).detach().requires_grad_()
            y, lam = (z.to(device).requires_grad_() for z in (normals(n, 3), lambdas(n)))
            total = function(x, y, lam, permuted(n).to(device))
            results.append([total, *torch.autograd.grad(total, (x, y, lam))])
        torch.testing.assert_close(*results)


@pytest.mark.once
def test_numbers_that_change_under_compile(device):
    x, perm = normals(3, 2).to(device), permuted(3).to(device)

    def mix(lam):
        return lelkern.mixup(x, None, lam, perm, scale=lam)[0]

    torch._dynamo.reset()
    compiled = torch.compile(mix, fullgraph=True, backend="aot_eager")
    for lam in (0.1, 0.7):
        assert torch.equal(compiled(lam), mix(lam))


@pytest.mark.once
def test_the_permutation_is_drawn_under_compile(device):
    x = torch.eye(9, device=device)
    compiled = torch.compile(lambda x: lelkern.mixup(x, None, 0.0)[0], fullgraph=True,
                             backend="aot_eager")  # fmt: skip
    got = compiled(x)
    assert torch.equal(got.sum(0), torch.ones(9, device=device))
    assert torch.equal(got.sum(1), torch.ones(9, device=device))


@pytest.mark.once
@pytest.mark.parametrize("mode", ["fake", "symbolic"])
def test_values_that_a_tracer_does_not_know_are_not_asked_for(mode):
    def mix(x, y, lam, perm, boxes):
        mixed = lelkern.mixup(x, y, lam, perm, num_classes=3)
        return *mixed, *lelkern.cutmix(x, y, boxes, perm, num_classes=3)

    boxes = torch.tensor([[0, 1, 2, 1]]).expand(4, 4)
    given = (normals(4, 2, 3, 3), torch.tensor([0, 2, 1, 1]), lambdas(4), permuted(4), boxes)
    traced = make_fx(mix, tracing_mode=mode)(*given)
    assert all(map(torch.equal, traced(*given), mix(*given)))


def test_a_check_keeps_nothing_for_gradients():
    x, lam = torch.ones(4, 6), torch.full((4,), 0.5, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda z: kept.append(z.shape) or z, lambda z: z):
        lelkern.mixup(x, None, lam, permuted(4))
        assert sorted(kept) == [(4,), (4,), (4, 6)]  # lam, perm, x: what the op needs
        with pytest.raises(ValueError, match=r"lam must be in \[0, 1\], got 1.5"):
            lelkern.mixup(x, None, 3 * lam, permuted(4))


@pytest.mark.once
def test_vmap(device):
    x, lam = normals(3, 5, 2, 4).to(device), lambdas(15).reshape(3, 5).to(device)
    perms = torch.stack([permuted(5, seed) for seed in range(3)]).to(device)

    def mix(x, lam, perm):
        return lelkern.mixup(x, None, lam, perm)[0]

    got = torch.func.vmap(mix)(x, lam, perms)
    assert torch.equal(got, torch.stack([mix(*z) for z in zip(x, lam, perms, strict=True)]))
    shared = torch.func.vmap(mix, in_dims=(1, None, None))(x.transpose(0, 1), lam[0], perms[0])
    assert torch.equal(shared, torch.stack([mix(z, lam[0], perms[0]) for z in x]))


@pytest.mark.once
def test_functional_and_forward_mode(device):
    x, _, lam = (z.detach() for z in leaves(device))
    perm = torch.tensor([2, 1, 3, 0], device=device)

    def total(x, lam):
        return lelkern.mixup(x, None, lam, perm)[0].square().sum()

    leaf = [z.clone().requires_grad_() for z in (x, lam)]
    want = torch.autograd.grad(total(*leaf), leaf)
    torch.testing.assert_close(torch.func.grad(total, argnums=(0, 1))(x, lam), want)
    torch.testing.assert_close(torch.func.jacfwd(total, argnums=(0, 1))(x, lam), want)


@pytest.mark.once
@pytest.mark.parametrize("dtype", FLOATING, ids=str)
def test_autocast_changes_nothing(dtype, device):
    x, lam, perm = (z.to(device) for z in (images(dtype, 5, 3), lambdas(5), permuted(5)))
    want, _ = lelkern.mixup(x, None, lam, perm)
    with torch.autocast(device, torch.bfloat16):
        got, _ = lelkern.mixup(x, None, lam, perm)
    assert same_bits(got, want)


@pytest.mark.once
@pytest.mark.parametrize("layout", LAYOUTS[:2], ids=str)
def test_any_number_of_threads_gives_the_same_bits(layout):
    x = layout.of(images(torch.float32, 40, 3, 40, 40)).requires_grad_()
    lam = lambdas(40).requires_grad_()
    results, threads = [], torch.get_num_threads()
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        try:
            mix, _ = lelkern.mixup(x, None, lam, permuted(40), scale=torch.tensor([1.0, 2, 3]))
            results.append([mix, *torch.autograd.grad(mix.square().sum(), (x, lam))])
        finally:
            torch.set_num_threads(threads)
    for others in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], others, strict=True))


# ----- errors -----


X, Y, P = torch.zeros(3, 2), torch.tensor([0, 1, 2]), torch.tensor([1, 2, 0])
WRONG = [
    (TypeError, {"x": [1.0]}, "x must be a tensor, got list"),
    (TypeError, {"x": Y}, "x must be float64, .* or uint8, got torch.int64"),
    (ValueError, {"x": torch.tensor(1.0)}, r"x must be \(N, ...\), a batch"),
    (TypeError, {"dtype": torch.float64}, "dtype must be that of x, torch.float32, unless it is"),
    (TypeError, {"x": X.byte(), "dtype": torch.int32}, "dtype must be floating point, got"),
    (ValueError, {"lam": 1.5}, r"lam must be in \[0, 1\], got 1.5"),
    (ValueError, {"lam": float("nan")}, r"lam must be in \[0, 1\], got nan"),
    (ValueError, {"lam": torch.tensor([0.5, -0.25, 0.5])}, r"lam must be in \[0, 1\], got -0.25"),
    (ValueError, {"lam": torch.zeros(2)}, r"lam must be a number or \(3,\), one a sample, got \(2"),
    (TypeError, {"lam": Y}, "lam must be floating point, got torch.int64"),
    (TypeError, {"lam": "0.5"}, "lam must be a number or a tensor, got str"),
    (TypeError, {"perm": P.int()}, "perm must be int64, got torch.int32"),
    (TypeError, {"perm": [1, 2, 0]}, "perm must be int64, got list"),
    (ValueError, {"perm": P[:2]}, r"perm must be \(3,\), one a sample, got \(2,\)"),
    (ValueError, {"perm": torch.tensor([0, 1, 1])}, r"permutation of 0 to 2, got \[0, 1, 1\]"),
    (ValueError, {"perm": torch.tensor([0, 1, 3])}, r"permutation of 0 to 2, got \[0, 1, 3\]"),
    (ValueError, {"y": Y, "num_classes": None}, "num_classes must be given for y of whole numbers"),
    (TypeError, {"y": Y, "num_classes": 3.0}, "num_classes must be a whole number, got 3.0"),
    (ValueError, {"y": Y, "num_classes": 0}, "num_classes must be at least 1, got 0"),
    (ValueError, {"y": Y, "num_classes": 2}, r"y must be classes in \[0, 2\), got 2"),
    (ValueError, {"y": Y - 1}, r"y must be classes in \[0, 3\), got -1"),
    (ValueError, {"y": Y[:2]}, r"y must be \(3,\) classes, got \(2,\)"),
    (ValueError, {"y": torch.ones(2, 3)}, r"y must be \(3, C\) distributions, got \(2, 3\)"),
    (ValueError, {"y": torch.ones(3, 4)}, "num_classes must be 4, as y has it, got 3"),
    (TypeError, {"y": Y.bool()}, "y must be classes or distributions over them, got torch.bool"),
    (TypeError, {"y": 3}, "y must be a tensor, got int"),
    (ValueError, {"y": Y.to("meta")}, "y must be on cpu, got meta"),
    (TypeError, {"scale": torch.tensor(2)}, "scale must be floating point, got torch.int64"),
    (ValueError, {"offset": torch.ones(3)}, r"offset must be a number or \(2,\), one a channel"),
]  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize(("error", "changes", "message"), WRONG)
def test_wrong_arguments_are_named(error, changes, message):
    given = {"x": X, "y": None, "lam": 0.5, "perm": P, "num_classes": 3, **changes}
    with pytest.raises(error, match=message):
        lelkern.mixup(**given)


@pytest.mark.skipif(not compiled("mix_rows"), reason="PyTorch itself counts from the end")
@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        *product((3, 4), (torch.tensor([0, 1, 3]), torch.tensor([0, -1, 1]))),
        *((place, torch.zeros(2, dtype=torch.int64)) for place in (3, 4)),
        (1, torch.zeros(1, 3)),
        (2, torch.zeros(2)),
        (5, torch.zeros(0)),
    ],
)
def test_the_op_itself_reads_nothing_that_is_not_there(place, wrong):
    arguments = [X, None, torch.ones(3), P, P, torch.ones(2), None, 1, torch.float32]
    torch.ops.lelkern.mix_rows(*arguments)
    arguments[place] = wrong
    with pytest.raises((RuntimeError, IndexError)):
        torch.ops.lelkern.mix_rows(*arguments)
