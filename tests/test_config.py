from typing import Annotated, Literal

import pytest
from pydantic import Field

from lelkern.config import (
    Config,
    ConfigError,
    dotted_keys,
    merge,
    nearest,
    nearest_key,
    nest,
    overlap,
)


class Inner(Config):
    width: int = 1


class Outer(Config):
    inner: Inner = Inner()
    rate: float = 0.5
    names: tuple[str, ...] = ()


def test_parses_nested_data_and_freezes_lists():
    config = Outer.parse({"inner": {"width": 3}, "rate": 2, "names": ["a", "b"]}, "here")
    assert config == Outer(inner=Inner(width=3), rate=2.0, names=("a", "b"))
    assert hash(config) == hash(Outer.parse(config.model_dump(), "again"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"inner": {"widht": 3}}, "file.toml: inner: unknown key 'widht'; did you mean 'width'?"),
        ({"a\x00": 1}, r"file.toml: has the control character '\\x00'"),
        ({"names": ["a", "\x1b[31m"]}, r"names\.1: has the control character '\\x1b'"),
        ({"inner": 3}, "file.toml: inner: must be a table of keys, got 3"),
        ({"zzz": 1}, "file.toml: unknown key 'zzz'; valid: inner, rate, names"),
        ({"inner": {"width": "3"}}, "file.toml: inner.width: .*valid integer, got '3'"),
        ({"inner": {"width": True}}, "file.toml: inner.width: .*valid integer, got True"),
        ({"inner": {"width": 2.0}}, "file.toml: inner.width: .*valid integer, got 2.0"),
        ({"rate": float("nan")}, "file.toml: rate: .*finite number, got nan"),
        ({"names": "ab"}, "file.toml: names: must be a list, got 'ab'"),
    ],
)
def test_errors_name_file_key_value_and_the_nearest_valid_key(data, message):
    with pytest.raises(ConfigError, match=message):
        Outer.parse(data, "file.toml")


class Small(Config):
    name: Literal["small"] = "small"
    size: int = 1


class Large(Config):
    name: Literal["large"] = "large"
    size: float = 1.0


class Kinds(Config):
    part: Annotated[Small | Large, Field(discriminator="name")] = Small()
    parts: tuple[Annotated[Small | Large, Field(discriminator="name")], ...] = ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"part": {"name": "small", "size": "x"}}, "file: part.size: .*integer, got 'x'"),
        ({"part": {"name": "small", "szie": 1}}, "file: part: unknown key 'szie'; .*'size'"),
        ({"parts": [{"name": "large", "size": "x"}]}, r"file: parts\.0\.size: .*, got 'x'"),
        (
            {"part": {"name": "medium"}},
            "file: part.name: must be one of 'small', 'large', got 'medium'",
        ),
    ],
)
def test_errors_name_keys_as_they_are_written(data, message):
    with pytest.raises(ConfigError, match=message):
        Kinds.parse(data, "file")


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Outer().rate = 1.0


def test_merge_replaces_leaves_keeps_the_rest_and_changes_no_argument():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 0}
    assert merge(base, {"a": {"y": [3]}}, {"b": 1}) == {"a": {"x": 1, "y": [3]}, "b": 1}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 0}


def test_merge_keeps_the_name_that_a_string_is_short_for():
    assert merge({"a": "x"}, {"a": {"y": 1}}) == {"a": {"name": "x", "y": 1}}
    assert merge({"a": "x"}, {"a": {"name": "z"}}) == {"a": {"name": "z"}}
    assert merge({"a": {"name": "x", "y": 1}}, {"a": "z"}) == {"a": "z"}


def test_dotted_keys_are_those_of_all_values():
    data = {"a": {"b": 1, "c": {"d": [2]}}, "e": 3, "f": {}}
    assert list(dotted_keys(data)) == ["a.b", "a.c.d", "e"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a.b", "a.b", True),
        ("a", "a.b", True),
        ("a.b.c", "a.b", True),
        ("a.b", "a.c", False),
        ("a.b", "a.bc", False),
        ("ab", "a", False),
    ],
)
def test_keys_overlap_if_one_holds_the_other(one, other, expected):
    assert overlap(one, other) == overlap(other, one) == expected


def test_nest_turns_dots_into_tables():
    assert nest("a.b.c", 1) == {"a": {"b": {"c": 1}}}


def test_nearest_lists_what_is_valid_when_nothing_is_close():
    assert nearest("temprature", ["temperature", "head"]) == "did you mean 'temperature'?"
    assert nearest("xyz", ["temperature", "head"]) == "valid: temperature, head"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Batch-Size", "batch_size"),
        ("learning_rate", "lr"),
        ("wd", "weight_decay"),
        ("temp", "temperature"),
        ("image_sise", "image_size"),
        # All of these have letters in common with some key.
        *((word, None) for word in ("tau", "title", "metric", "channels", "momentum", "epochs")),
    ],
)
def test_a_hint_is_what_is_meant_or_none(word, meant):
    known = ["side", "data", "steps", "batch_size", "lr", "temperature", "weight_decay", "wine"]
    known += ["runtime", "device", "labels", "image_size", "augment.length"]
    expected = f"did you mean {meant!r}?" if meant else "valid: "
    assert nearest(word, known).startswith(expected)
    assert nearest_key(word, known).startswith(expected)
