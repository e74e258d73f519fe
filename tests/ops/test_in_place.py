"""Proximal operators and projections in place that have no kernel for it."""

import re
from functools import partial

import pytest
import torch
from covering import covering
from ema_samples import LAYOUTS, around, contiguous, rows_with_gaps, tensor
from prox_samples import DTYPES, normals
from torch import nn

import lelkern

NAMES = ("prox_nuclear", "project_simplex", "project_l1_ball", "project_l1inf_ball")
BOTH = {name: (getattr(lelkern, f"{name}_"), getattr(lelkern, name)) for name in NAMES}
VALUE = {name: "lam" if name == "prox_nuclear" else "radius" for name in NAMES}
SHAPES = [(4, 3), (8, 17), (1, 1), (0, 5), (2, 3, 4), (2, 3, 2, 5)]


def named(value):
    return getattr(value, "__name__", str(value))


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.mark.parametrize(
    ("name", "dtype", "layout"), covering(NAMES, DTYPES, LAYOUTS), ids=named, indirect=["name"]
)
def test_each_becomes_what_is_returned_for_it(name, dtype, layout, device):
    in_place, returned = BOTH[name]
    values = [normals(*shape, seed=i).to(device, dtype) for i, shape in enumerate(SHAPES)]
    tensors = [tensor(x, layout) for x in values]
    surroundings = [around(x) for x in tensors]
    sizes = [0.3, torch.tensor(0.7, device=device), 2.0, 0.1, 1.0, 0.5]
    assert in_place(tensors, sizes) is None
    for x, value, size, surrounding in zip(tensors, values, sizes, surroundings, strict=True):
        torch.testing.assert_close(x, returned(value, size).to(dtype))
        assert torch.equal(around(x), surrounding)


def test_one_tensor_and_one_value_for_all(name, device):
    in_place, returned = BOTH[name]
    x = normals(3, 4).to(device)
    want = returned(x, 0.4)
    in_place(x, 0.4)
    torch.testing.assert_close(x, want)
    several = [normals(3, 4).to(device), normals(2, 5, seed=1).to(device)]
    want = [returned(y, 0.4) for y in several]
    in_place(iter(several), 0.4)
    torch.testing.assert_close(several, want)
    in_place([], 0.4)


@pytest.mark.parametrize("name", ["project_simplex", "project_l1_ball"], indirect=True)
def test_along_another_dimension(name, device):
    in_place, returned = BOTH[name]
    x = normals(3, 4).to(device)
    want = returned(x, 0.4, 0)
    assert not torch.allclose(want, returned(x, 0.4))
    in_place(x, 0.4, 0)
    torch.testing.assert_close(x, want)


@pytest.mark.once
def test_pytorch_knows_that_tensors_change(name, device):
    in_place = partial(BOTH[name][0], **{VALUE[name]: 0.5})
    weight = torch.ones(3, 3, device=device)
    x = torch.ones(3, 3, device=device, requires_grad=True)
    loss = (weight * x).sum()
    in_place(weight)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    layer = nn.Linear(4, 4, bias=False).to(device)
    with torch.autocast(device, torch.bfloat16):
        layer(torch.ones(2, 4, device=device))  # after which autocast keeps the weight in bfloat16
        in_place([layer.weight])
        want = layer.weight.to(torch.bfloat16).float().sum(1)
        got = layer(torch.ones(2, 4, device=device))[0].float()
        torch.testing.assert_close(got, want, rtol=2**-7, atol=2**-7)
    assert layer.weight.is_leaf
    assert layer.weight.requires_grad


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.parametrize("layout", [contiguous, rows_with_gaps], ids=named)
def test_compiled(name, layout, device):
    def step(tensors):
        BOTH[name][0](tensors, 0.5)

    torch._dynamo.reset()
    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    results = []
    for function in (step, compiled):
        tensors = [tensor(normals(3, 4, seed=i).to(device), layout) for i in range(2)]
        function(tensors)
        results.append(tensors)
    torch.testing.assert_close(*results)


@pytest.mark.once
@pytest.mark.parametrize(
    ("tensors", "value", "error", "message"),
    [
        (lambda x: [x, [1.0]], 1, TypeError, "[1] must be a tensor, got list"),
        (lambda x: [x, x.long()], 1, TypeError, "[1] must be float64"),
        (lambda x: [x, x.to_sparse()], 1, TypeError, "[1] must be dense"),
        (lambda x: [x, x.clone()], [1], ValueError, "must have 2 elements, one a tensor, got 1"),
        (lambda x: [x, x.clone()], [0.5, -1], ValueError, "must be >= 0, got -1"),
        (lambda x: [x, x.clone()], [0.5, -1], ValueError, "[1]: "),
        (lambda x: [x, x], 1, ValueError, "[0] must not share memory with "),
        (lambda x: [x, x.new_ones(())], 1, ValueError, "[1]: "),
        (lambda x: 3.0, 1, TypeError, " must be a tensor or several, got float"),
        (lambda x: x[:, :1].expand(3, 3), 1, ValueError, "an element of its own in every place"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_changes(
    name, tensors, value, error, message, device
):
    x = normals(3, 4).to(device)
    with pytest.raises(error, match=re.escape(message)):
        BOTH[name][0](tensors(x), value)
    assert torch.equal(x, normals(3, 4).to(device))
