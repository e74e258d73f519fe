"""What all metrics refuse alike."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from strange_settings import strange_settings

from lelkern.evaluate import (
    alignment,
    calibration_error,
    contrastive_statistics,
    fit_temperature,
    knn,
    linear_probe,
    negative_log_likelihood,
    overconfidence,
    tolerance,
    uniformity,
)

X = torch.eye(4)
Y = torch.tensor([0, 1, 0, 1])

METRICS = {
    "linear_probe": (linear_probe, {"train_x": X, "train_y": Y, "test_x": X, "test_y": Y}),
    "knn": (knn, {"train_x": X, "train_y": Y, "test_x": X, "test_y": Y}),
    "contrastive_statistics": (contrastive_statistics, {"z1": X, "z2": X, "temperature": 0.1}),
    "alignment": (alignment, {"z1": X, "z2": X}),
    "uniformity": (uniformity, {"z": X}),
    "tolerance": (tolerance, {"z": X, "labels": Y}),
    "calibration_error": (calibration_error, {"probabilities": X, "labels": Y}),
    "overconfidence": (overconfidence, {"probabilities": X, "labels": Y}),
    "fit_temperature": (fit_temperature, {"logits": X, "labels": Y}),
    "negative_log_likelihood": (negative_log_likelihood, {"logits": X, "labels": Y}),
}


def arguments_called(*names):
    return [(m, a) for m, (_, given) in METRICS.items() for a in given if a in names]


FEATURES = arguments_called("train_x", "test_x", "z1", "z2", "z", "probabilities", "logits")
LABELS = arguments_called("train_y", "test_y", "labels")


def nan_in_row_2():
    x = X.clone()
    x[2, 1] = torch.nan
    return x


@pytest.mark.parametrize(("metric", "argument"), FEATURES)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(4), r"must be floating point \(N, D\), got torch.float32 \(4,\)"),
        (torch.zeros(0, 4), r"must be .*, got torch.float32 \(0, 4\)"),
        (torch.zeros(4, 0), r"must be .*, got torch.float32 \(4, 0\)"),
        (torch.zeros(4, 4).long(), r"must be floating point .* got torch.int64"),
        (nan_in_row_2(), "must be finite, got NaN or infinity in row 2"),
        (X / 0, "must be finite, got NaN or infinity in row 0"),
    ],
)
def test_features(metric, argument, value, message):
    function, arguments = METRICS[metric]
    with pytest.raises(ValueError, match=f"^{argument} " + message):
        function(**{**arguments, argument: value})


@pytest.mark.parametrize(("metric", "argument"), LABELS)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Y[:3], r"must be integer \(4,\), got torch.int64 \(3,\)"),
        (Y[:, None], r"must be integer \(4,\), got torch.int64 \(4, 1\)"),
        (Y.float(), r"must be integer \(4,\), got torch.float32"),
        (Y.bool(), r"must be integer \(4,\), got torch.bool"),
        (Y - 1, "must not be negative, got -1"),
    ],
)
def test_labels(metric, argument, value, message):
    function, arguments = METRICS[metric]
    with pytest.raises(ValueError, match=f"^{argument} " + message):
        function(**{**arguments, argument: value})


@pytest.mark.parametrize(
    ("metric", "argument"),
    [
        ("linear_probe", "C"),
        ("linear_probe", "max_iter"),
        ("knn", "k"),
        ("knn", "temperature"),
        ("knn", "chunk_size"),
        ("contrastive_statistics", "temperature"),
        ("contrastive_statistics", "chunk_size"),
        ("alignment", "alpha"),
        ("uniformity", "t"),
        ("uniformity", "chunk_size"),
        ("calibration_error", "bins"),
    ],
)
@pytest.mark.parametrize("value", [0, -1, float("nan"), "1", None])
def test_positive_numbers(metric, argument, value):
    function, arguments = METRICS[metric]
    counts = argument in ("max_iter", "k", "chunk_size", "bins")
    refused = f"^{argument} must be > 0, got {value}"
    if not isinstance(value, int) and (counts or not isinstance(value, float)):
        refused = f"^{argument} must be a {'whole ' * counts}number"
    with pytest.raises((ValueError, TypeError), match=refused):
        function(**{**arguments, argument: value})


@pytest.mark.parametrize("kind", [np.float32, np.array, torch.tensor, Fraction, Decimal])
@pytest.mark.parametrize(
    ("metric", "argument"),
    [
        ("linear_probe", "C"),
        ("knn", "temperature"),
        ("contrastive_statistics", "temperature"),
        ("alignment", "alpha"),
        ("uniformity", "t"),
    ],
)
def test_numbers_may_be_of_any_type(metric, argument, kind):
    function, arguments = METRICS[metric]
    expected = function(**{**arguments, argument: 0.5})
    assert function(**{**arguments, argument: kind(0.5)}) == expected


@pytest.mark.parametrize("kind", [np.int64, np.array, torch.tensor])
def test_so_may_counts(kind):
    function, arguments = METRICS["knn"]
    assert function(**{**arguments, "k": kind(2)}) == function(**{**arguments, "k": 2})


@pytest.mark.parametrize("metric", ["linear_probe", "knn"])
def test_widths(metric):
    function, arguments = METRICS[metric]
    with pytest.raises(ValueError, match="train_x and test_x must have one width, got 4 and 3"):
        function(**{**arguments, "test_x": X[:, :3]})


@pytest.mark.parametrize("metric", ["contrastive_statistics", "alignment"])
def test_pairs(metric):
    function, arguments = METRICS[metric]
    message = r"z1 and z2 must have one shape, got \(4, 4\) and \(3, 4\)"
    with pytest.raises(ValueError, match=message):
        function(**{**arguments, "z2": X[:3]})


def random_case(metric):
    """The metric's arguments at a random point."""
    generator = torch.Generator().manual_seed(0)

    def draw(name, like):
        x = torch.randn(40, 6, generator=generator)
        if name == "probabilities":
            x = x.softmax(dim=1)
        return x if like.is_floating_point() else torch.arange(40) % 3

    function, arguments = METRICS[metric]
    return function, {
        name: draw(name, value) if isinstance(value, torch.Tensor) else value
        for name, value in arguments.items()
    }


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_every_dtype_gives_a_plain_number_close_to_that_of_float32(metric, dtype):
    function, arguments = random_case(metric)
    expected = function(**arguments)
    result = function(
        **{
            name: value.to(dtype)
            if isinstance(value, torch.Tensor) and value.is_floating_point()
            else value
            for name, value in arguments.items()
        }
    )
    if isinstance(result, tuple):
        assert all(type(x) is float for x in result)
        assert result == pytest.approx(expected, abs=0.05)
    else:
        assert type(result) is float
        assert result == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_arguments_give_the_same_number(metric):
    function, arguments = random_case(metric)
    before = torch.get_rng_state()
    torch.manual_seed(1)
    one = function(**arguments)
    torch.manual_seed(2)
    assert function(**arguments) == one
    torch.set_rng_state(before)


@pytest.mark.parametrize("metric", METRICS)
def test_settings_of_pytorch_decide_nothing(metric):
    function, arguments = random_case(metric)
    expected = function(**arguments)
    with strange_settings():
        assert function(**arguments) == expected


@pytest.mark.parametrize("metric", METRICS)
def test_arguments_are_not_written_to(metric):
    function, arguments = random_case(metric)
    tensors = {name: x for name, x in arguments.items() if isinstance(x, torch.Tensor)}
    copies = {name: x.clone() for name, x in tensors.items()}
    function(**arguments)
    assert all(torch.equal(tensors[name], copies[name]) for name in tensors)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("metric", METRICS)
def test_cuda(metric):
    function, arguments = random_case(metric)
    there = {
        name: value.cuda() if isinstance(value, torch.Tensor) else value
        for name, value in arguments.items()
    }
    assert function(**there) == pytest.approx(function(**arguments), abs=1e-5)
