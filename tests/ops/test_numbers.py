"""Numbers under torch.compile: none goes stale, and none makes it compile again for every value."""

import functools
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from contrastive_samples import classes, pairs
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

import lelkern
from lelkern.nn import ModelEMA, cosine_momentum, get_ema_multi_avg_fn

VALUES = [0.1 + 0.05 * i for i in range(12)]
INTS = list(range(1, 13))
Q, K = (z.float() for z in pairs(6, 5))
Q.requires_grad_()
LABELS = classes(6, 3)
ORDER = torch.arange(6).flip(0)
PICTURES = torch.arange(6 * 3 * 4 * 4.0).reshape(6, 3, 4, 4)
BOXES = torch.tensor([[1, 1, 2, 2]] * 6)


def check(
    function: Callable[..., Tensor], values: Iterable[object], backend: str = "aot_eager", **options
) -> None:
    """Compare values and gradients with those of eager, over at most two compilations.

    PyTorch takes the first value of a number for a constant, and at the second makes it an input.
    """
    torch._dynamo.reset()
    counter = CompileCounterWithBackend(backend)
    compiled = torch.compile(function, backend=counter, **{"fullgraph": True, **options})
    for value in values:
        compare(compiled(value), function(value))
    assert counter.frame_count <= 2


def compare(got: Tensor, want: Tensor) -> None:
    # A few roundings may differ: the arithmetic around the ops is PyTorch's.
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-7)
    assert got.requires_grad == want.requires_grad
    if want.requires_grad:
        gradients = (torch.autograd.grad(x, Q)[0] for x in (got, want))
        torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-7)


def scaled_info_nce(t):
    return 2 * t * lelkern.info_nce(Q, K, temperature=t)


def updated(decay):
    average = torch.zeros(3)
    lelkern.ema_update_([average], [torch.ones(3)], decay)
    return average


def mixed(t):
    return lelkern.mixmatch(
        Q, LABELS, K[None], K[None, :, :3], temperature=t, lam=t, perm=torch.arange(12).flip(0)
    )


FUNCTIONS = [
    scaled_info_nce,
    lambda t: lelkern.nt_xent(Q, K, 1 / t) * t**2,
    lambda t: lelkern.sup_con(Q, LABELS, t),
    updated,
    lambda decay: updated(1 - decay / 2) * decay,
    lambda t: (lelkern.sharpen_logits(Q, t) * K).sum() * t,
    lambda t: (lelkern.guess_labels(Q.expand(2, 6, 5), t, gradient=True) * K).sum(),
    lambda t: lelkern.siglip(Q, K, 10 * t, -t),
    lambda t: lelkern.mixup(Q, None, t, ORDER, scale=t, offset=1 - t)[0].sum(),
    lambda t: (
        lelkern.cutmix(PICTURES, None, BOXES, ORDER, scale=t, offset=1 - t)[0].sum() + Q.sum()
    ),
    lambda t: mixed(t).images.sum() + mixed(t).targets.square().sum(),
    lambda t: (lelkern.project_simplex(Q, t) * K).sum(),
    lambda t: (lelkern.project_l1_ball(Q, t) * K).sum(),
    lambda t: (lelkern.project_l1inf_ball(Q, t) * K).sum(),
    lambda t: (lelkern.prox_l1(Q, t) * K).sum(),
    lambda t: (lelkern.prox_group_lasso(Q, t, dim=1) * K).sum(),
    lambda t: (lelkern.prox_sparse_group_lasso(Q, t, t / 2, dim=1) * K).sum(),
    lambda t: (lelkern.prox_nuclear(Q, t) * K).sum(),
]


@pytest.mark.parametrize(
    "function",
    [
        function
        if function in (scaled_info_nce, updated)
        else pytest.param(function, marks=pytest.mark.slow)
        for function in FUNCTIONS
    ],
)
def test_floats(function):
    check(function, VALUES)


@pytest.mark.slow
@pytest.mark.parametrize("function", [scaled_info_nce, updated])
@pytest.mark.parametrize("dynamic", [None, True])
def test_floats_before_any_lowering(function, dynamic):
    check(function, VALUES, backend="eager", dynamic=dynamic)


@pytest.mark.slow
@pytest.mark.parametrize("function", [scaled_info_nce, updated])
def test_without_dynamic_numbers_values_are_right(function):
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="aot_eager", dynamic=False)
    for value in VALUES[:4]:  # which compiles for each, as PyTorch's own functions do
        compare(compiled(value), function(value))


@pytest.mark.slow
@pytest.mark.parametrize(
    "function",
    # A loss and an update in place; the others are losses by the same machinery.
    [
        scaled_info_nce,
        updated,
        *(pytest.param(function, marks=pytest.mark.thorough) for function in FUNCTIONS[1:3]),
    ],
)
def test_floats_in_inductor(function):
    check(function, VALUES, backend="inductor")


@pytest.mark.slow
def test_whole_numbers():
    check(scaled_info_nce, INTS)
    check(updated, [0, 1, 0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_numbers_of_numpy(kind):
    for function in (lambda t: lelkern.info_nce(Q, K, temperature=t), updated):
        for value in VALUES[:2]:
            torch.testing.assert_close(function(kind(value)), function(value))
        check(function, map(kind, VALUES))
    assert ModelEMA(nn.Linear(2, 2), kind(0.5)).momentum(0) == 0.5


@pytest.mark.parametrize("kind", [np.array, Fraction, Decimal])
def test_numbers_of_other_types(kind):
    for function in (lambda t: lelkern.info_nce(Q, K, temperature=t), updated):
        assert torch.equal(function(kind(0.5)), function(0.5))
    assert torch.equal(lelkern.prox_l1(K, kind(0.5)), lelkern.prox_l1(K, 0.5))


@pytest.mark.parametrize("value", ["0.5", None, 0.5j, np.array([0.1, 0.2]), [0.5]])
def test_what_is_no_number_is_named(value):
    with pytest.raises(TypeError, match="temperature must be a number or a tensor, got"):
        lelkern.info_nce(Q, K, temperature=value)


@pytest.mark.slow
def test_numbers_in_attributes_and_closures():
    class Scaled(nn.Module):
        t = 0.5

        def forward(self, q):
            return 2 * self.t * lelkern.info_nce(q, K, temperature=self.t)

    module, t = Scaled(), 0.5

    def by_attribute(value):
        return module(Q)

    def by_closure(value):
        return scaled_info_nce(t)

    for function in (by_attribute, by_closure):
        torch._dynamo.reset()
        counter = CompileCounterWithBackend("aot_eager")
        compiled = torch.compile(function, backend=counter, fullgraph=True)
        for t in VALUES:
            module.t = t
            compare(compiled(None), scaled_info_nce(t))
        assert counter.frame_count <= 2


@pytest.mark.slow
def test_modules_that_differ_in_their_temperature():
    check(lambda module: module(Q, K), map(lelkern.nn.NTXentLoss, VALUES))


COSINE = functools.partial(cosine_momentum, total_steps=20, start=0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("decay", "warmup", "gives_steps"),
    [
        (0.75, False, False),
        (torch.tensor(0.75), False, False),
        (0.75, True, True),
        (COSINE, False, True),
        (lambda step: step / 20, False, True),
    ],
)
def test_updates_of_a_model(decay, warmup, gives_steps):
    model = nn.Linear(3, 3)
    # Averages of one model, updated at once, one of them compiled.
    compiled, plain = (ModelEMA(model, decay, warmup=warmup) for _ in range(2))
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    update = torch.compile(compiled.update, backend=counter, fullgraph=True)
    for step in range(12):
        with torch.no_grad():
            model.weight.add_(1)
        given = (step,) if gives_steps else ()
        update(model, *given)
        plain.update(model, *given)
        assert torch.equal(compiled.module.weight, plain.module.weight)
        assert compiled.steps == plain.steps == step + 1
    assert counter.frame_count <= 2


@pytest.mark.slow
def test_a_decay_that_is_set_anew():
    model = nn.Linear(3, 3)
    compiled, plain = ModelEMA(model), ModelEMA(model)
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    update = torch.compile(compiled.update, backend=counter, fullgraph=True)
    for compiled.decay in VALUES:
        plain.decay = compiled.decay
        with torch.no_grad():
            model.weight.add_(1)
        update(model)
        plain.update(model)
        assert torch.equal(compiled.module.weight, plain.module.weight)
    assert counter.frame_count <= 2


def test_the_function_for_averaged_models():
    def update(decay):
        average = [torch.zeros(3)]
        get_ema_multi_avg_fn(decay)(average, [torch.ones(3)], 1)
        return average[0]

    check(update, VALUES)


def test_no_q_goes_stale():
    """It decides how the result is found: each is compiled for itself."""

    def function(q):
        return q * lelkern.prox_group_lasso(Q, 0.3, dim=1, q=q).square().sum()

    torch._dynamo.reset()
    compiled = torch.compile(function, backend="eager", fullgraph=True)
    for q in (1.5, 3.0, 2.5, 2.0, 1.25, 4.0):
        compare(compiled(q), function(q))


@pytest.mark.parametrize("value", ["0.5", None, 1j])
def test_what_is_no_number_is_refused(value):
    for name, call in (
        ("temperature", lambda: lelkern.nt_xent(Q, K, value)),
        ("temperature", lambda: lelkern.nn.NTXentLoss(value)),
        ("decay", lambda: updated(value)),
        ("decay", lambda: ModelEMA(nn.Linear(2, 2), value)),
    ):
        message = f"{name} must be a number or a tensor, got {type(value).__name__}"
        with pytest.raises(TypeError, match=message):
            call()
