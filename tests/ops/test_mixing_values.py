"""The check of all that is mixed with, against what each value is allowed to be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lelkern  # noqa: F401  # which defines the op
from lelkern.ops._dtypes import DTYPES
from lelkern.ops._mixing import Labels
from lelkern.ops._mixing_values import check_values

OP = torch.ops.lelkern.mixing_values
INTEGERS = st.lists(st.integers(-2, 6), max_size=6)
INF, NAN = float("inf"), float("nan")
SIDES = st.sampled_from((0, 1, 2, 3, 4, -1, 2**63 - 1))
WEIGHTS = st.lists(st.sampled_from((0.0, -0.0, 0.25, 1.0, 1.25, -0.25, INF, -INF, NAN)), max_size=6)


@given(
    lam=st.none() | WEIGHTS,
    perm=st.none() | INTEGERS | st.integers(0, 6).flatmap(lambda n: st.permutations(range(n))),
    classes=st.none() | INTEGERS,
    boxes=st.none() | st.lists(st.tuples(*[SIDES] * 4), max_size=3),
    num_classes=st.integers(1, 6),
    dtype=st.sampled_from(DTYPES),
    apart=st.booleans(),
)
def test_everything_that_is_given_has_to_be_right(
    lam, perm, classes, boxes, num_classes, dtype, apart
):
    height, width = 3, 2
    wanted = (
        all(0 <= x <= 1 for x in lam or ())
        and sorted(perm or ()) == list(range(len(perm or ())))
        and all(0 <= c < num_classes for c in classes or ())
        and all(
            min(box) >= 0 and box[0] + box[2] <= height and box[1] + box[3] <= width
            for box in boxes or ()
        )
    )

    def tensor(values, dtype):
        if values is None:
            return None
        made = torch.tensor(values, dtype=dtype)
        return torch.stack((made, made - 9), dim=-1)[..., 0] if apart else made

    whole = [tensor(values, torch.int64) for values in (perm, classes, boxes)]
    tensors = tensor(lam, dtype), *whole[:2], None if boxes is None else whole[2].reshape(-1, 4)
    if any(x is not None for x in tensors):
        assert OP(*tensors, num_classes, height, width).item() is wanted


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("missing", ["none", "lam", "perm", "labels", "boxes"])
def test_right_values_pass(dtype, n, missing):
    arguments = {
        "lam": torch.linspace(0, 1, n, dtype=dtype, requires_grad=True),
        "perm": torch.arange(n).flip(0),
        "labels": Labels(torch.arange(n) % 3, 3, torch.float32),
        "boxes": torch.tensor((1, 0, 3, 5)).expand(n, 4),
    }
    arguments.pop(missing, None)
    check_values(**arguments, height=4, width=5)


def test_distributions_and_numbers_are_not_looked_at():
    check_values(lam=2.0, labels=Labels(torch.full((2, 2), 7.0), 2, torch.float32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lam": torch.tensor([0.5, NAN])}, r"lam must be in \[0, 1\], got nan"),
        ({"lam": torch.tensor([INF, 1.0])}, r"lam must be in \[0, 1\], got inf"),
        ({"perm": torch.tensor([2, 1, 2])}, r"permutation of 0 to 2, got \[2, 1, 2\]"),
        ({"labels": torch.tensor([0, 300])}, r"y must be classes in \[0, 3\), got 300"),
        ({"labels": torch.tensor([2, -1])}, r"y must be classes in \[0, 3\), got -1"),
        ({"boxes": torch.tensor([1, 0, 4, 5])}, r"within 4 x 5, got \[1, 0, 4, 5\]"),
    ],
)
def test_the_first_wrong_value_is_named_among_right_ones(arguments, message):
    right = {"lam": torch.tensor(0.5), "perm": torch.arange(2), "labels": torch.zeros(2).long()}
    right["boxes"] = torch.tensor([[0, 0, 4, 5], [4, 5, 0, 0]])
    given = {**right, **arguments}
    given["labels"] = Labels(given["labels"], 3, torch.float32)
    with pytest.raises(ValueError, match=message):
        check_values(**given, height=4, width=5)


def test_nothing_at_all_is_refused():
    with pytest.raises(RuntimeError, match="one of lam, perm, classes and boxes must be given"):
        OP(None, None, None, None, 3, 4, 5)


@pytest.mark.parametrize("batched", ["lam", "perm", "y", "boxes"])
@pytest.mark.parametrize("wrong", ["lam", "perm", "y", "boxes"])
def test_under_vmap_what_has_one_value_is_looked_at(batched, wrong):
    right = {
        "lam": torch.tensor([0.5, 0.25]),
        "perm": torch.arange(2),
        "y": torch.arange(2),
        "boxes": torch.tensor([0, 0, 4, 5]),
    }
    bad = {"lam": 3 * right["lam"], "perm": torch.zeros(2).long(), "y": right["y"] + 3}
    bad["boxes"] = right["boxes"] + 1

    def check(x):
        given = {**right, wrong: bad[wrong], batched: x}
        labels = Labels(given.pop("y"), 3, torch.float32)
        check_values(**given, labels=labels, height=4, width=5)
        return x

    if wrong == batched:  # of many values nothing is known
        torch.func.vmap(check)(torch.stack([bad[wrong]] * 2))
        return
    with pytest.raises(ValueError, match=rf"{wrong} must be"):
        torch.func.vmap(check)(torch.stack([right[batched]] * 2))


@pytest.mark.parametrize("missing", [0, 1, 2, 3])
def test_opcheck(missing):
    given = [torch.tensor([0.5, 1.5]), torch.tensor([1, 0]), torch.tensor([0, 2])]
    given.append(torch.tensor([[1, 0, 3, 5]]))
    given[missing] = None
    torch.library.opcheck(OP, (*given, 3, 4, 5))
