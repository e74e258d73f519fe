import pytest

from lelkern.ablation.labels import distinct_labels, format_value, short_keys


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1"),
        (1e-5, "1e-05"),
        (0.9999999, "0.9999999"),
        (0.99999999, "0.99999999"),
        (16777217, "16777217"),
        (True, "true"),
        ("nonlinear", "nonlinear"),
        (("crop", {"name": "color", "hue": 0.5}), "crop+color"),
        ({"depth": 2}, '{"depth": 2}'),
    ],
)
def test_values_as_text(value, text):
    assert format_value(value) == text


def test_tables_of_one_name_are_told_apart_by_what_differs():
    encoders = [
        {"name": "conv", "width": 8, "depth": 2},
        {"name": "conv", "width": 16, "depth": 2},
        {"name": "conv", "depth": 2},
        {"name": "resnet18"},
    ]
    assert distinct_labels(encoders) == [
        "conv(width=8)",
        "conv(width=16)",
        "conv(width=default)",
        "resnet18",
    ]


def test_what_looks_alike_and_differs_gets_different_labels():
    pairs = [("crop", {"name": "color", "hue": 0.1}), ("crop", {"name": "color", "hue": 0.5})]
    assert len(set(distinct_labels(pairs))) == 2
    assert len(set(distinct_labels(["1", 1]))) == 2


def test_lists_are_told_apart_by_the_parts_that_differ():
    small, large = ({"name": "crop", "min_scale": scale} for scale in (0.2, 0.5))
    assert distinct_labels([("blur", small), ("blur", large), ("blur",)]) == [
        "blur+crop(min_scale=0.2)",
        "blur+crop(min_scale=0.5)",
        "blur",
    ]


def test_a_name_and_a_table_of_it_and_tables_within_tables():
    assert distinct_labels(["conv", {"name": "conv", "width": 8}, "mlp"]) == [
        "conv(width=default)",
        "conv(width=8)",
        "mlp",
    ]
    assert distinct_labels([{"name": "x", "opt": {"lr": rate}} for rate in (1, 2)]) == [
        "x(opt.lr=1)",
        "x(opt.lr=2)",
    ]


def test_equal_values_have_equal_labels():
    encoder = {"name": "conv", "width": 8}
    assert distinct_labels([encoder, dict(encoder), 0.5, 0.5]) == ["conv", "conv", "0.5", "0.5"]


@pytest.mark.parametrize(
    ("keys", "short"),
    [
        (["encoder.width", "encoder.depth"], ["width", "depth"]),
        (["head.width", "encoder.width"], ["head.width", "encoder.width"]),
        (["method", "data.labels_per_class"], ["method", "labels_per_class"]),
        (["augment.0", "sizes.layers.1"], ["augment.0", "layers.1"]),
        (["augment.0.p", "augment.1.p"], ["augment.0.p", "augment.1.p"]),
    ],
)
def test_keys_are_shortened_where_that_tells_them_apart(keys, short):
    assert short_keys(keys) == short
