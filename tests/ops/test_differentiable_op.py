"""A pair of ops that has nothing to do with any family: what the machinery gives to all."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.overrides import TorchFunctionMode

from lelkern.ops._differentiable_op import DifferentiableOp, Skippable

# ----- the toy: scale * x[index] * (weight or 1), and the sums of its rows, without gradient -----


def picked(x: Tensor, index: Tensor, weight: Tensor | None, scale: Tensor, squared: bool):
    y = scale * x[index] * (1 if weight is None else weight)
    return (y**2 if squared else y), y.detach().sum(dim=1)


def picked_backward(
    grad: Tensor, x: Tensor, index: Tensor, weight: Tensor | None, scale: Tensor, squared: bool
):
    w = 1 if weight is None else weight
    if squared:
        grad = 2 * grad * scale * x[index] * w
    grad_x = torch.zeros_like(x).index_add(0, index, (grad * scale * w).to(x.dtype))
    grad_weight = None if weight is None else (grad * scale * x[index]).to(weight.dtype)
    return grad_x, grad_weight, (grad * x[index] * w).sum().to(scale.dtype)


PICK = DifferentiableOp(
    "test_pick",
    inputs="Tensor x, Tensor index, Tensor? weight, Tensor scale",
    differentiable=("x", "weight", "scale"),
    options="bool squared",
    outputs="Tensor y, Tensor sums",
    reference=picked,
    reference_backward=picked_backward,
    fake=lambda x, index, *_: (x.new_empty(len(index), x.shape[1]), x.new_empty(len(index))),
    float32_under_autocast=True,
)

# ----- what all ops have -----


def inputs(with_weight: bool, dtype=torch.float64, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
    index = torch.tensor([2, 0, 2, 3], device=device)
    leaves = [t.to(device, dtype).requires_grad_() for t in (x, weight, torch.tensor(1.5))]
    return leaves[0], index, leaves[1] if with_weight else None, leaves[2]


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("with_weight", [False, True])
def test_gradients(with_weight, squared, device):
    x, index, weight, scale = inputs(with_weight, device=device)

    def function(x, scale, *weight):
        return PICK((x, index, *(weight or (None,)), scale), (squared,))[0]

    leaves = (x, scale) if weight is None else (x, scale, weight)
    assert gradcheck(function, leaves)
    assert gradgradcheck(function, leaves)
    y, sums = PICK((x, index, weight, scale), (squared,))
    assert y.requires_grad
    assert not sums.requires_grad


@pytest.mark.parametrize("with_weight", [False, True])
def test_opcheck(with_weight, device):
    given = inputs(with_weight, device=device)
    torch.library.opcheck(torch.ops.lelkern.test_pick.default, (*given, True))
    grad = torch.ones(4, 3, dtype=torch.float64, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.lelkern.test_pick_backward.default, (grad, *given, True))


def test_compile(device):
    x, index, weight, scale = inputs(True, device=device)

    def function(x, weight, scale):
        y, sums = PICK((2 * x, index, weight, scale), (True,))
        return y.sum() + sums.sum()

    results = []
    for f in (function, torch.compile(function, backend="aot_eager", fullgraph=True)):
        y = f(x, weight, scale)
        results.append([y, *torch.autograd.grad(y, (x, weight, scale))])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("size", [0, 3])
def test_vmap(size, device):
    x, index, weight, scale = inputs(True, device=device)
    many = torch.stack([x.detach() + i for i in range(size)], 1) if size else x.new_empty(4, 0, 3)
    many.requires_grad_()

    def function(x, weight):
        return PICK((x, index, weight, scale), (False,))

    y, sums = torch.func.vmap(function, in_dims=(1, None))(many, weight)
    assert y.shape == (size, 4, 3)
    assert sums.shape == (size, 4)
    gradient, of_weight = torch.autograd.grad(y.sum(), (many, weight))
    assert of_weight.any() == (size > 0)
    for i in range(size):
        torch.testing.assert_close(y[i], function(many[:, i], weight)[0])
        own = torch.autograd.grad(function(many[:, i], weight)[0].sum(), many)[0]
        torch.testing.assert_close(gradient[:, i], own[:, i])


def test_functional_and_forward_mode(device):
    x, index, weight, scale = (
        t.detach() if t is not None else None for t in inputs(True, device=device)
    )

    def function(x):
        return PICK((x, index, weight, scale), (True,))[0].sum()

    leaf = x.clone().requires_grad_()
    want = torch.autograd.grad(function(leaf), leaf)[0]
    torch.testing.assert_close(torch.func.grad(function)(x), want)
    torch.testing.assert_close(torch.func.jacfwd(function)(x), want)


def test_autocast(device):
    given = inputs(True, torch.bfloat16, device)
    with torch.autocast(device, torch.bfloat16):
        y, _ = PICK(given, (False,))
    assert y.dtype == torch.float32
    y.sum().backward()
    assert given[0].grad.dtype == torch.bfloat16


def test_without_gradient(device):
    given = inputs(True, device=device)
    y, _ = PICK.without_gradient(given, (True,))
    assert not y.requires_grad
    assert torch.equal(y, PICK(given, (True,))[0].detach())
    x, *others = (t.detach() for t in given)
    of_x = torch.func.grad(lambda x: PICK.without_gradient((x, *others), (True,))[0].sum())(x)
    assert (of_x == 0).all()
    _, of_tangent = torch.func.jvp(
        lambda x: PICK.without_gradient((x, *others), (True,))[0], (x,), (x,)
    )
    assert (of_tangent == 0).all()


def test_autocast_where_nothing_has_a_gradient(device):
    given = tuple(t.detach() for t in inputs(True, torch.bfloat16, device))
    with torch.autocast(device, torch.bfloat16):
        for call in (PICK, PICK.without_gradient):
            assert call(given, (False,))[0].dtype == torch.float32


def test_a_tensor_put_in_place_of_another_gets_its_gradient(device):
    """What ``__torch_function__`` does to an input is not known before the op is called."""

    class Swap(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            swapped = tuple(leaf if arg is first else arg for arg in args)
            return function(*swapped, **(kwargs or {}))

    first, *others = (t.detach() for t in inputs(True, torch.float64, device))
    leaf = first.clone().requires_grad_()
    with Swap():
        y = PICK((first, *others), (False,))[0]
    assert torch.autograd.grad(y.sum(), leaf)[0].abs().sum() > 0


def test_one_output_one_gradient_and_nothing_else(device):
    op = DifferentiableOp(
        "test_double",
        inputs="Tensor x",
        differentiable=("x",),
        reference=lambda x: 2 * x,
        reference_backward=lambda grad, x: 2 * grad,
        fake=lambda x: x.new_empty(x.shape),
    )
    x = torch.ones(3, dtype=torch.float64, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.lelkern.test_double.default, (x,))
    assert gradgradcheck(lambda x: op((x,)), x)
    assert torch.func.vmap(lambda x: op((x,)))(x.reshape(3, 1)).shape == (3, 1)


def test_what_nobody_asks_for_is_skipped(device):
    asked = []

    def backward(grad, a, b):
        asked.append(True)
        return grad * b, grad * a

    op = DifferentiableOp(
        "test_product",
        inputs="Tensor a, Tensor b",
        differentiable=("a", "b"),
        reference=lambda a, b: a * b,
        reference_backward=backward,
        fake=lambda a, b: a.new_empty(a.shape),
        skippable=Skippable("b_needs_grad", lambda inputs: 1),
    )
    a, b = torch.rand(2, 3, dtype=torch.float64, device=device)
    product = torch.ops.lelkern.test_product_backward
    assert product(a, a, b, False)[1].shape == (0,)
    assert product(a, a, b, True)[1].shape == (3,)
    torch.library.opcheck(product.default, (a, a, b, False))
    a.requires_grad_()
    assert gradgradcheck(lambda a: op((a, b)), a)
    assert gradgradcheck(lambda a, b: op((a, b)), (a, b.requires_grad_()))
    assert asked


def test_names_that_are_not_declared_are_refused():
    with pytest.raises(ValueError, match=r"differentiable must be among \['x'\], got \['y'\]"):
        DifferentiableOp(
            "test_wrong",
            inputs="Tensor x",
            differentiable=("y",),
            reference=lambda x: x,
            reference_backward=lambda grad, x: grad,
            fake=lambda x: x,
        )
