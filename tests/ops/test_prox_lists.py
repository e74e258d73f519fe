"""Proximal operators in place, over lists of tensors, and in one pass with a step of SGD."""

import itertools
import re

import pytest
import torch
from covering import covering
from ema_samples import LAYOUTS, around, contiguous, rows_with_gaps, tensor
from prox_samples import DTYPES, INF, as_csr, normals, off, same_bits, stored
from torch import nn

import lelkern
from lelkern import prox_group_lasso_, prox_l1_, prox_sparse_group_lasso_
from lelkern.ops import prox_sgd_
from lelkern.ops._prox import elementwise_lists, group_lists
from lelkern.ops._prox_lists import prox_lists_

# Filters of a network, and what is around vectors.
SHAPES = [(4, 3, 3, 3), (8, 17), (1, 1), (5, 0), (0, 5), (3, 1000), (2, 3, 1, 4), (16, 9)]


def named(value):
    """Name a parameter of a test: every process that collects tests has to find the same name."""
    return getattr(value, "__name__", str(value))


def check_list(in_place, out_of_place, dtype, layout, device):
    """Compare tensors changed in place with what is returned for each, and what is around them."""
    values = [normals(*shape, seed=i).to(device, dtype) for i, shape in enumerate(SHAPES)]
    w = [tensor(x, layout) for x in values]
    surroundings = [around(x) for x in w]
    assert in_place(w) is None
    for x, value, surrounding in zip(w, values, surroundings, strict=True):
        want = out_of_place(value)
        N = max(value[0].numel(), 1) if value.numel() else 1
        bound = off(dtype, N) * (value.double().norm() + 1) + 2 * stored(want.double(), dtype)
        assert ((x.double() - want.double()).abs() <= bound).all()
        assert torch.equal(around(x), surrounding)


@pytest.mark.parametrize(
    ("dtype", "layout", "q"), covering(DTYPES, LAYOUTS, (2.0, INF, 3.0)), ids=named
)
def test_groups(dtype, layout, q, device):
    lam1, lam = 0.1, torch.tensor(0.7, device=device)
    check_list(
        lambda w: (
            [prox_group_lasso_(x, lam, dim=tuple(range(1, x.dim())), q=q) for x in w] and None
        ),
        lambda x: lelkern.prox_group_lasso(x, lam, dim=tuple(range(1, x.dim())), q=q),
        dtype,
        layout,
        device,
    )
    check_list(
        lambda w: prox_sparse_group_lasso_(w, lam1, lam, dim=0, weights="sqrt_size", q=q),
        lambda x: lelkern.prox_sparse_group_lasso(x, lam1, lam, dim=0, weights="sqrt_size", q=q),
        dtype,
        layout,
        device,
    )


@pytest.mark.parametrize(("dtype", "layout"), covering(DTYPES, LAYOUTS), ids=named)
def test_elements(dtype, layout, device):
    check_list(lambda w: prox_l1_(w, 0.3), lambda x: lelkern.prox_l1(x, 0.3), dtype, layout, device)
    each = [normals(*shape, seed=9).abs().to(device) for shape in SHAPES]
    of_shape = dict(zip(SHAPES, each, strict=True))
    check_list(
        lambda w: prox_l1_(w, each),
        lambda x: lelkern.prox_l1(x, of_shape[tuple(x.shape)]),
        dtype,
        layout,
        device,
    )


def test_each_tensor_may_have_its_own_thresholds(device):
    w = [normals(3, 4).to(device), normals(2, 5).float().to(device), normals(4, 2).to(device)]
    lam = [0.5, torch.tensor([0.1, 2.0], device=device), torch.tensor(0.2)]
    weights = [None, "sqrt_size", torch.tensor([1.0, 0.0, INF, 2.0], device=device)]
    want = [lelkern.prox_group_lasso(x, lam[i], dim=1, weights=weights[i]) for i, x in enumerate(w)]
    prox_group_lasso_(w, lam, dim=1, weights=weights)
    for x, y in zip(w, want, strict=True):
        torch.testing.assert_close(x, y)


def test_csr_and_dense_tensors_in_one_list(device):
    w = [normals(5, 4, seed=i).to(device) for i in range(4)]
    groups = as_csr(w[0])
    dense = group_lists("w", w[:2], lam=("lam", 0.4), lam1=0.1, dim=1, groups=None, weights=None)
    csr = group_lists("w", w[2:], lam=("lam", 0.6), lam1=0.1, dim=None, groups=groups, weights=None)
    both = type(dense)(*(a + b for a, b in zip(csr, dense, strict=True)))
    want = [lelkern.prox_sparse_group_lasso(x, 0.1, 0.4, dim=1) for x in w[:2]]
    want += [lelkern.prox_sparse_group_lasso(x, 0.1, 0.6, groups=groups) for x in w[2:]]
    prox_lists_("w", both, 2.0)
    for x, y in zip(w, want, strict=True):
        torch.testing.assert_close(x, y)


@pytest.mark.parametrize("scale", [0.0, 0.25, 2.0])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_thresholds_are_scaled(scale, as_tensor, device):
    w = normals(4, 6).to(device)
    weights = torch.tensor([0.0, INF, 1.0, 3.0], device=device)
    scale_tensor = torch.tensor(scale, dtype=torch.float64, device=device) if as_tensor else None
    want = lelkern.prox_sparse_group_lasso(w, 0.2 * scale, 0.4 * scale, dim=1, weights=weights)
    lists = group_lists("w", [w], lam=("lam", 0.4), lam1=0.2, dim=1, groups=None, weights=weights)
    prox_lists_("w", lists, 2.0, 1.0 if as_tensor else scale, scale_tensor)
    torch.testing.assert_close(w, want)


# ----- what PyTorch has to know -----


def test_autograd_sees_that_tensors_change(device):
    for change in (lambda w: prox_l1_(w, 0.5), lambda w: prox_group_lasso_([w], 0.5, dim=0)):
        weight = torch.ones(3, device=device)
        x = torch.ones(3, device=device, requires_grad=True)
        loss = (weight * x).sum()
        change(weight)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_parameters_and_inference_tensors(device):
    parameter = nn.Parameter(torch.full((2, 3), 2.0, device=device))
    prox_l1_([parameter], 0.5)
    assert (parameter == 1.5).all()
    assert parameter.is_leaf
    assert parameter.requires_grad
    with torch.inference_mode():
        w = torch.full((2, 3), 2.0, device=device)
        prox_l1_(w, 0.5)
        assert (w == 1.5).all()


@pytest.mark.once
@pytest.mark.parametrize("compiled", [False, True])
def test_autocast_sees_that_tensors_change(compiled, device):
    layer = nn.Linear(4, 4, bias=False).to(device)
    x = torch.randn(2, 4, device=device)

    def update(w):
        prox_group_lasso_([w], 1e9, dim=1)

    if compiled:
        torch._dynamo.reset()
        update = torch.compile(update, backend="aot_eager", fullgraph=True)
    with torch.autocast(device, torch.bfloat16):
        layer(x)  # after which autocast keeps the weight in bfloat16
        update(layer.weight)
        assert (layer(x) == 0).all()


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("layout", [contiguous, rows_with_gaps])
def test_compiled(layout, device):
    def step(w, lam):
        prox_group_lasso_(w, lam, dim=1)
        prox_l1_(w, lam)

    torch._dynamo.reset()
    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    results = []
    for function in (step, compiled):
        w = [tensor(normals(3, 4, seed=i).to(device), layout) for i in range(3)]
        for lam in (0.1, 0.2, 0.3):
            function(w, lam)
        results.append(w)
    assert all(same_bits(*pair) for pair in zip(*results, strict=True))


@pytest.mark.once
def test_opcheck(device):
    w = [normals(3, 4).to(device), normals(7).float().to(device)]
    lam = [torch.tensor(0.5, dtype=torch.float64, device=device), torch.tensor(0.5, device=device)]
    csr = as_csr(normals(1, 7).to(device))
    index = ([csr.group_ptr], [csr.group_indices], [4, 1, 0, 0])
    op = torch.ops.lelkern.prox_group_.default
    torch.library.opcheck(op, (w, [], lam, *index, 2.0, 0.5, None))
    scale = torch.tensor(0.5, dtype=torch.float64, device=device)
    torch.library.opcheck(op, (w, lam, lam, *index, 3.0, 1.0, scale))
    step = (0.1, 0.9, 0.0, 0.0, False, True)
    others = ([x.clone() for x in w], [x.clone() for x in w])
    op = torch.ops.lelkern.prox_sgd_.default
    torch.library.opcheck(op, (w, *others, [], lam, *index, 2.0, *step))
    numbers = torch.tensor([0.1, 0.9, 0.0, 0.01], dtype=torch.float64)
    nothing = (0.0, 0.0, 0.0, 0.0, False, True)
    torch.library.opcheck(op, (w, *others, [], lam, *index, 2.0, *nothing, numbers))


def test_numbers_of_a_step_may_come_as_a_tensor(device):
    numbers = (0.1, 0.9, 0.25, 0.01)
    results = []
    for as_tensor in (False, True):
        w, grad, buffer = (normals(3, 4, seed=i).to(device) for i in range(3))
        lam = torch.tensor(0.5, dtype=torch.float64, device=device)
        lists = ([w], [grad], [buffer], [], [lam], [], [], [4, 1], 2.0)
        given = (0.0,) * 4 if as_tensor else numbers
        more = torch.tensor(numbers, dtype=torch.float64) if as_tensor else None
        torch.ops.lelkern.prox_sgd_(*lists, *given, False, False, more)
        results.append((w, buffer))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert not torch.equal(results[0][0], normals(3, 4).to(device))


# ----- a step and the operator -----


@pytest.mark.parametrize(
    ("dtype", "layout", "momentum", "decay", "penalty"),
    covering(
        DTYPES,
        LAYOUTS,
        ((0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.5, False), (0.8, 0.0, True)),
        (0.0, 0.1),
        ("l1", "group", "sparse", "csr"),
    ),
    ids=named,
)
def test_sgd(dtype, layout, momentum, decay, penalty, device):
    m, dampening, nesterov = momentum
    lr, lam = 0.1, 0.3
    shapes = [(8, 9), (5, 0), (3, 33)]
    k = 1.0
    if m:
        k = (1 - dampening) / (1 - m)
        k = 1 + m * k if nesterov else k
    params = [tensor(normals(*s).to(device, dtype), layout) for s in shapes]
    buffers = [tensor(torch.zeros(s, dtype=dtype, device=device), layout) for s in shapes]
    if not m:
        buffers = []
    for step in range(2):
        grads = [normals(*s, seed=5 + step).to(device, dtype) for s in shapes]
        wants = []
        for i, x in enumerate(params):
            w = nn.Parameter(x.detach().double().clone())
            w.grad = grads[i].double()
            sgd = torch.optim.SGD(
                [w], lr=lr, momentum=m, dampening=dampening, weight_decay=decay, nesterov=nesterov
            )
            if m and step:
                sgd.state[w]["momentum_buffer"] = buffers[i].double().clone()
            sgd.step()
            buffer = sgd.state[w]["momentum_buffer"] if m else None
            moved, t = w.detach(), lr * k * lam
            if penalty == "l1":
                want = lelkern.prox_l1(moved, t)
            elif penalty == "sparse":
                want = lelkern.prox_sparse_group_lasso(moved, t / 4, t, dim=1)
            else:
                want = lelkern.prox_group_lasso(moved, t, dim=1)
            wants.append((want, buffer, moved))
        for indices in ([0, 1], [2]) if penalty == "csr" else ([0, 1, 2],):
            part = [params[i] for i in indices]
            if penalty == "l1":
                lists = elementwise_lists(part, lam)
            else:
                how = {"dim": 1, "groups": None}
                if penalty == "csr":
                    part = [x for x in part if x.numel()]
                    indices = [i for i in indices if params[i].numel()]
                    how = {"dim": None, "groups": as_csr(part[0])}
                lam1 = lam / 4 if penalty == "sparse" else None
                lists = group_lists("w", part, lam=("lam", lam), lam1=lam1, weights=None, **how)
            prox_sgd_(
                lists,
                [grads[i] for i in indices],
                [buffers[i] for i in indices] if m else [],
                2.0,
                lr=lr,
                momentum=m,
                dampening=dampening,
                weight_decay=decay,
                nesterov=nesterov,
                first=step == 0,
            )
        for x, (want, buffer, moved), i in zip(params, wants, itertools.count(), strict=False):
            # A step is a few sums and products, and of 16 bits each tensor is rounded once.
            size = moved.norm() + 1
            bound = off(dtype, 33) * size + 2 * stored(want, dtype)
            assert ((x.double() - want).abs() <= bound).all()
            if m:
                bound = 8 * off(dtype, 1) * (buffer.norm() + 1) + 2 * stored(buffer, dtype)
                assert ((buffers[i].double() - buffer).abs() <= bound).all()


@pytest.mark.parametrize("arrangement", ["rows", "columns", "csr"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sixteen_bits_are_not_rounded_between_the_step_and_the_operator(dtype, arrangement, device):
    w, grad = (normals(40, 30, seed=i).to(device, dtype) for i in range(2))
    exact = lelkern.prox_group_lasso(w.double() - 0.1 * grad.double(), 0.05, dim=1)
    how = {"dim": 1, "groups": None}
    if arrangement == "columns":
        w, grad, how["dim"] = w.t().contiguous(), grad.t().contiguous(), 0
    if arrangement == "csr":
        how = {"dim": None, "groups": as_csr(w)}
    lists = group_lists("w", [w], lam=("lam", 0.5), weights=None, **how)
    prox_sgd_(lists, [grad], [], 2.0, lr=0.1)
    x = (w.t() if arrangement == "columns" else w).double()
    # With two roundings one number in four would be off by more than half a unit.
    assert ((x - exact).abs() <= stored(exact, dtype) + off(dtype, 30) * exact.abs()).all()


def test_the_learning_rate_may_be_a_tensor(device):
    results = []
    for lr in (0.1, torch.tensor([0.1], dtype=torch.float64, device=device)):
        w = normals(3, 4).to(device)
        prox_sgd_(elementwise_lists([w], 0.5), [torch.ones_like(w)], [], 2.0, lr=lr)
        results.append(w)
    assert torch.equal(*results)


@pytest.mark.parametrize("m", [0.0, 0.9])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sgd_moves_infinite_weights_as_sgd_does(dtype, m, device):
    w = normals(3, 35).to(device, dtype)
    w[0, 0], w[1, 34] = float("inf"), -float("inf")
    grad = normals(3, 35, seed=1).to(device, dtype)
    buffer, before = torch.zeros_like(w), w.clone()
    lists = elementwise_lists([w], 0.0)
    prox_sgd_(lists, [grad], [buffer] if m else [], 2.0, lr=0.1, momentum=m, first=True)
    assert torch.equal(w.isinf(), before.isinf())
    assert torch.equal(w[w.isinf()], before[before.isinf()])
    assert torch.equal(buffer, grad if m else torch.zeros_like(w))


def test_sgd_without_a_penalty_is_sgd(device):
    w = normals(6, 7).float().to(device)
    parameter = nn.Parameter(w.clone())
    sgd = torch.optim.SGD([parameter], lr=0.1, momentum=0.9, nesterov=True)
    buffer = torch.full_like(w, float("nan"))  # holds nothing yet
    for step in range(3):
        grad = normals(6, 7, seed=step).float().to(device)
        parameter.grad = grad.clone()  # which Nesterov's step adds to on a GPU
        sgd.step()
        lists = group_lists("w", [w], lam=("lam", 0.0), dim=0, groups=None, weights=None)
        prox_sgd_(
            lists, [grad], [buffer], 2.0, lr=0.1, momentum=0.9, nesterov=True, first=step == 0,
        )  # fmt: skip
        torch.testing.assert_close(w, parameter.detach())


def test_autograd_sees_what_sgd_changes(device):
    w, buffer = torch.ones(2, 3, device=device), torch.zeros(2, 3, device=device)
    versions = w._version, buffer._version
    lists = group_lists("w", [w], lam=("lam", 0.1), dim=1, groups=None, weights=None)
    prox_sgd_(lists, [torch.ones_like(w)], [buffer], 2.0, lr=0.1, momentum=0.9, first=True)
    assert w._version > versions[0]
    assert buffer._version > versions[1]


# ----- errors -----


@pytest.mark.once
def test_what_does_not_fit_is_refused_and_changes_nothing(device):
    w = torch.ones(2, 4, device=device)
    for call, error, message in (
        (lambda: prox_l1_([w, [1.0]], 1), TypeError, "w[1] must be a tensor, got list"),
        (lambda: prox_l1_([w, w.long()], 1), TypeError, "w[1] must be float64"),
        (lambda: prox_l1_([w, w.to_sparse()], 1), TypeError, "w[1] must be dense"),
        (
            lambda: prox_l1_([w], [1, 2]),
            ValueError,
            "lam must have 1 elements, one a tensor, got 2",
        ),
        (lambda: prox_l1_([w, w.clone()], [0.5, -1]), ValueError, "lam[1] must be >= 0, got -1"),
        (
            lambda: prox_group_lasso_([w, w.clone()], [0.5, -1], dim=0),
            ValueError,
            "lam[1] must be >= 0, got -1",
        ),
        (lambda: prox_group_lasso_([w, w.clone()], -1, dim=0), ValueError, "lam must be >= 0"),
        (lambda: prox_l1_([w, w], 0.5), ValueError, "w[0] must not share memory with w[1]"),
        (
            lambda: prox_l1_([w[:, :3], w[:, 1:]], 0.5),
            ValueError,
            "w[0] must not share memory with w[1]",
        ),
        (
            lambda: prox_group_lasso_([w, w[0, 0]], 0.5, dim=0),
            ValueError,
            "w[1] must have a dimension",
        ),
        (lambda: prox_group_lasso_([w, w.clone()], 0.5, dim=2), ValueError, "for w[0] of shape"),
        (lambda: prox_group_lasso_(w, 0.5, dim=0, q=1), ValueError, "q must be > 1"),
        (
            lambda: prox_l1_(torch.ones(1, device=device).expand(3), 0.5),
            ValueError,
            "w[0] must have an element of its own in every place",
        ),
    ):
        with pytest.raises(error, match=re.escape(message)):
            call()
        assert (w == 1).all()
    prox_l1_([], 0.5)
    prox_group_lasso_([], 0.5, dim=0)


def test_thresholds_change_inside_a_cuda_graph(device):
    if device != "cuda":
        pytest.skip("graphs are CUDA's")
    w = [normals(50, 20).to(device, dtype) for dtype in DTYPES]
    lam = torch.tensor(0.0, device=device)
    for x in w:
        prox_group_lasso_(x.clone(), lam, dim=1)  # warm-up
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        prox_group_lasso_(w, lam, dim=1)
    graph.replay()
    assert all((x != 0).any() for x in w)
    lam.fill_(1e4)
    graph.replay()
    assert all((x == 0).all() for x in w)
