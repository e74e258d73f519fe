"""The compiled proximal ops, called as no front door does, and where results are large."""

import math
import re

import pytest
import torch
from prox_samples import normals

import lelkern
from lelkern.ops import library_path

pytestmark = pytest.mark.skipif(library_path() is None, reason="no compiled kernels here")

OPS = torch.ops.lelkern
INT = torch.int64


def matrix(*shape: int) -> torch.Tensor:
    return torch.ones(shape)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": matrix(2, 3)}, "w must be (A, N, B), got 2 dimensions"),
        ({"w": torch.ones(2, 3, 1, dtype=torch.int32)}, "tensors must be floating point"),
        ({"lam": matrix(3)}, "lam must have no dimensions or be (2,)"),
        ({"lam": torch.tensor(1.0).double()}, "lam must be Float, got Double"),
        ({"lam1": matrix(1, 2)}, "lam1 must have no dimensions or be (2,)"),
        ({"q": 1.0}, "q must be greater than 1, got 1"),
        ({"q": math.nan}, "q must be greater than 1, got nan"),
        ({"grad": matrix(2, 1, 3)}, "grad must have the shape of what it belongs to"),
        ({"grad": matrix(2, 3, 1).double()}, "grad must be Float, got Double"),
        ({"root": matrix(3)}, "root must have no dimensions or be (2,)"),
        ({"root": torch.tensor(1.0)}, "root must be (G,)"),
        (
            {"group_ptr": torch.tensor([0, 1])},
            "group_ptr and group_indices must be given together",
        ),
    ],
)
def test_a_direct_call_for_gradients_keeps_inside_its_memory(change, message) -> None:
    given = {
        "grad": matrix(2, 3, 1),
        "w": matrix(2, 3, 1),
        "lam1": None,
        "lam": torch.tensor(1.0),
        "group_ptr": None,
        "group_indices": None,
        "q": 2.0,
        "root": matrix(2),
    } | change
    with pytest.raises(RuntimeError, match=re.escape(message)):
        OPS.prox_group_backward(**given)


@pytest.mark.parametrize(
    ("ptr", "indices", "message"),
    [
        ([], [0], "group_ptr must be (G + 1,)"),
        ([0, 3], [0, 1], "group_ptr must rise from 0 to 2"),
        ([0, 2, 1, 2], [0, 1], "group_ptr must rise from 0 to 2"),
        ([1, 2], [0, 1], "group_ptr must rise from 0 to 2"),
        ([0, 2], [0, 6], "group_indices must be at least 0 and below 6"),
        ([0, 2], [-1, 0], "group_indices must be at least 0 and below 6"),
    ],
)
@pytest.mark.parametrize(
    "op", ["prox_group", "prox_group_backward", "prox_group_", "prox_sgd_", "prox_metric_"]
)
def test_listed_groups_stay_in_their_tensor(op, ptr, indices, message) -> None:
    w, lam = torch.ones(6), torch.tensor(1.0)
    ptr, indices = torch.tensor(ptr, dtype=INT), torch.tensor(indices, dtype=INT)
    lists = ([], [lam], [ptr], [indices], [0, 0], 2.0)
    calls = {
        "prox_group": lambda: OPS.prox_group(w, None, lam, ptr, indices, 2.0),
        "prox_group_backward": lambda: OPS.prox_group_backward(
            w, w, None, lam, ptr, indices, 2.0, torch.ones(max(0, len(ptr) - 1))
        ),
        "prox_group_": lambda: OPS.prox_group_([w], *lists, 1.0, None),
        "prox_sgd_": lambda: OPS.prox_sgd_(
            [w], [torch.ones(6)], [], *lists, 0.1, 0.0, 0.0, 0.0, False, False
        ),
        "prox_metric_": lambda: OPS.prox_metric_([w], [torch.ones(6)], *lists[:-1]),
    }
    with pytest.raises(RuntimeError, match=re.escape(message)):
        calls[op]()
    assert (w == 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": [3]}, "sizes must be two for each of params, got 1"),
        ({"sizes": [4, 1]}, "groups of 4 numbers, 1 of them interleaved"),
        ({"sizes": [3, 0]}, "sizes must be positive, or 0 and 0, got 3 and 0"),
        ({"sizes": [-3, -1]}, "sizes must be positive, or 0 and 0, got -3 and -1"),
        ({"sizes": [1 << 62, 4]}, "do not make up a tensor of 6"),
        ({"sizes": [0, 0]}, "group_ptr must have one for each 0, 0 in sizes"),
        ({"lam": []}, "lam must be one for each of params, got 0"),
        ({"lam": [matrix(3)]}, "lam must have no dimensions or be (2,)"),
        ({"lam1": [torch.tensor(1.0)] * 2}, "lam1 must be none, or one for each of params, got 2"),
        ({"grads": []}, "params and grads must have the same length, got 1 and 0"),
        ({"grads": [matrix(3, 2)]}, "grads[0] must have the shape of params[0]"),
        ({"grads": [matrix(2, 3).double()]}, "grads[0] must be Float for params of Float"),
        ({"buffers": []}, "buffers must be one for each of params, got 0"),
        ({"buffers": [matrix(3, 2).t()]}, "buffers[0] must be contiguous"),
        ({"params": [matrix(3, 2).t()]}, "params[0] must be contiguous"),
        ({"numbers": torch.zeros(3).double()}, "numbers must be (4,) float64 on the CPU"),
        ({"numbers": torch.zeros(4)}, "numbers must be (4,) float64 on the CPU"),
        ({"numbers": torch.full((4,), 0.5).double(), "buffers": []}, "buffers must be one for"),
        ({"group_ptr": [torch.tensor([0])]}, "group_ptr and group_indices must have the same"),
    ],
)
def test_a_direct_call_for_a_step_keeps_inside_its_memory(change, message) -> None:
    given = {
        "params": [matrix(2, 3)],
        "grads": [matrix(2, 3)],
        "buffers": [matrix(2, 3)],
        "lam1": [],
        "lam": [torch.tensor(1.0)],
        "group_ptr": [],
        "group_indices": [],
        "sizes": [3, 1],
        "q": 2.0,
        "lr": 0.1,
        "momentum": 0.9,
        "dampening": 0.0,
        "weight_decay": 0.0,
        "nesterov": False,
        "first": False,
    } | change
    with pytest.raises(RuntimeError, match=re.escape(message)):
        OPS.prox_sgd_(**given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": []}, "w and metric must have the same length, got 1 and 0"),
        ({"metric": [matrix(3, 2)]}, "metric[0] must have the shape of w[0]"),
        ({"metric": [matrix(2, 3).double()]}, "metric[0] must be Float for w of Float"),
        (
            {"w": [matrix(2, 3).bfloat16()], "metric": [matrix(2, 3).bfloat16()]},
            "metric[0] must be Float for w of BFloat16",
        ),
        ({"w": [matrix(2, 3).int()]}, "tensors must be floating point"),
        ({"w": [matrix(3, 2).t()]}, "w[0] must be contiguous"),
        ({"w": [matrix(2, 3)] * 2}, "sizes must be two for each of w, got 2"),
        ({"lam": [matrix(3)]}, "lam must have no dimensions or be (2,)"),
        ({"lam1": [matrix(3)]}, "lam1 must have no dimensions or be (2,)"),
        ({"sizes": [4, 1]}, "groups of 4 numbers, 1 of them interleaved"),
    ],
)
def test_a_direct_call_in_a_metric_keeps_inside_its_memory(change, message) -> None:
    given = {
        "w": [matrix(2, 3)],
        "metric": [matrix(2, 3)],
        "lam1": [],
        "lam": [torch.tensor(1.0)],
        "group_ptr": [],
        "group_indices": [],
        "sizes": [3, 1],
    } | change
    with pytest.raises(RuntimeError, match=re.escape(message)):
        OPS.prox_metric_(**given)


def test_a_metric_that_shares_memory_with_what_changes_is_refused() -> None:
    memory = matrix(3, 3)
    w, metric = memory[:2], memory[1:]
    with pytest.raises(RuntimeError, match="memory"):
        OPS.prox_metric_([w], [metric], [], [torch.tensor(0.5)], [], [], [3, 1])
    assert (memory == 1).all()


@pytest.mark.parametrize("q", [2.0, math.inf])
def test_large_results_are_those_of_their_parts(q) -> None:
    """What is written past the cache begins anywhere: rows of 1023 numbers are not aligned."""
    w = normals(2200, 1023).float()
    whole = lelkern.prox_group_lasso(w, 20.0, dim=1, q=q)
    parts = [lelkern.prox_group_lasso(part, 20.0, dim=1, q=q) for part in w.split(1000)]
    assert torch.equal(whole, torch.cat(parts))
    pieces = [lelkern.prox_l1(part, 0.5) for part in (w[:9], w[9:])]
    assert torch.equal(lelkern.prox_l1(w, 0.5), torch.cat(pieces))


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200], ids=str)
def test_columns_that_no_cache_holds_are_those_side_by_side(scale) -> None:
    """Their squares are added part by part, and norms that overflow column by column."""
    w = normals(700, 201) * scale
    w[:, 5] = 0
    lam = torch.linspace(0, 40, 201, dtype=torch.float64) * scale
    want = lelkern.prox_group_lasso(w.t().contiguous(), lam, dim=1).t()
    got = lelkern.prox_group_lasso(w, lam, dim=0)
    in_place = w.clone()
    lelkern.prox_group_lasso_(in_place, lam, dim=0)
    # Sums of 700 numbers in another order.
    torch.testing.assert_close(got, want, rtol=700 * torch.finfo(torch.float64).eps, atol=0)
    assert torch.equal(in_place, got)
