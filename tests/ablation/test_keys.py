"""What a configuration can be told, as one walk over its keys tells it."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from lelkern.ablation.keys import Key, keys_of, keys_of_study
from lelkern.ablation.layers import defaults_of, with_whole_lists
from lelkern.ablation.shared import SharedConfig
from lelkern.config import Config, merge, nest, parts_of
from lelkern.methods import available, get

EXAMPLE = Path(__file__).parents[1] / "examples" / "method.py"


class Small(Config):
    """A part.

    Attributes:
        name: its kind.
        width: channels of a layer, at
            least one, as :class:`lelkern.Layer` has them.
    """

    name: Literal["small"] = "small"
    width: int = Field(default=4, ge=1)


class Large(Config):
    """Another part, which is
    larger.

    It is not always needed.

    Attributes:
        name: one of two.
        depth: layers.
    """

    name: Literal["large", "huge"]
    depth: int | None = None


class Plain(Config):
    """A part without a name.

    Attributes:
        rate: ``0`` for none.
    """

    rate: float = Field(default=0.0, ge=0)


class Whole(Config):
    """A configuration.

    Attributes:
        part: of which there are two kinds.
        parts: several.
        rates: of which there may be none.
        mode: how.
        share: of all.
        order: of a norm.
        needed: without a default.
    """

    part: Small | Large = Small(width=8)
    parts: tuple[Small | Large, ...] = (Small(width=2), Large(name="huge", depth=1))
    rates: tuple[Plain, ...] | None = (Plain(rate=0.5), Plain())
    mode: Literal["a", "b"] = "a"
    share: float = Field(default=0.5, gt=0, le=1)
    order: Annotated[float, Field(ge=1)] | Literal["inf"] = "inf"
    sizes: tuple[int, ...] = Field(default=(3, 4), min_length=2, description="of no docstring")
    needed: bool


def test_keys_of_a_configuration():
    found = [(k.name, k.kind, k.takes, k.default_in_words, k.meaning) for k in keys_of(Whole)]
    wide = "channels of a layer, at least one, as lelkern.Layer has them."
    many = '"large" or "huge"'
    assert found == [
        ("part", "", "small or large or huge", "small", "of which there are two kinds."),
        ("part.name", "small", '"small"', "small", "its kind."),
        ("part.width", "small", "whole number, >= 1", "8", wide),
        ("part.name", "large or huge", many, "", "one of two."),
        ("part.depth", "large or huge", "whole number", "none", "layers."),
        ("parts", "", "list of small or large or huge", "small, huge", "several."),
        ("parts.small", "", "table", "small", "A part."),
        ("parts.small.width", "", "whole number, >= 1", "2", wide),
        ("parts.large", "", "table", "none", "Another part, which is larger."),
        ("parts.large.depth", "", "whole number", "none", "layers."),
        ("parts.huge", "", "table", "huge", "Another part, which is larger."),
        ("parts.huge.depth", "", "whole number", "1", "layers."),
        ("rates", "", "list of table", ", ", "of which there may be none."),
        ("rates.0", "", "table", "", "A part without a name."),
        ("rates.0.rate", "", "number, >= 0", "0.5", "0 for none."),
        ("mode", "", '"a" or "b"', "a", "how."),
        ("share", "", "number, > 0 and <= 1", "0.5", "of all."),
        ("order", "", 'number or "inf", >= 1', "inf", "of a norm."),
        ("sizes", "", "list of whole number, length >= 2", "3, 4", ""),
        ("needed", "", "true or false", "", "without a default."),
    ]


def test_defaults_are_plain_data():
    found = {key.name: key for key in keys_of(Whole) if key.kind != "large or huge"}
    assert found["part"].default == {"name": "small", "width": 8}
    assert found["parts"].default[1] == {"name": "huge", "depth": 1}
    assert (found["sizes"].default, found["order"].default) == ([3, 4], "inf")
    assert [key.name for key in found.values() if key.required] == ["needed"]


@pytest.mark.parametrize("name", available())
def test_every_key_of_every_method_has_a_type_and_a_meaning(name):
    keys = list(keys_of_study([get(name).config]))
    assert [key.name for key in keys if not key.type] == []
    assert [key.name for key in keys if not key.meaning] == []
    assert {"data.labels_per_class", "runtime.device"} <= {key.name for key in keys}
    called = [(key.name, key.kind) for key in keys]
    assert len(set(called)) == len(called)


def reachable(config):
    """A configuration and those of all its parts."""
    yield config
    for field in config.model_fields.values():
        for part in parts_of(field.annotation):
            yield from reachable(part)


@pytest.mark.parametrize("name", [*available(), str(EXAMPLE)], ids=lambda name: Path(name).stem)
def test_every_field_of_every_configuration_has_a_meaning_in_its_docstring(name):
    for config in {*reachable(get(name).config), *reachable(SharedConfig)}:
        meanings = {key.name: key.meaning for key in keys_of(config) if "." not in key.name}
        assert meanings.keys() == config.model_fields.keys()
        assert [key for key, meaning in meanings.items() if not meaning] == [], config.__name__


@pytest.mark.parametrize("name", available())
def test_every_default_is_what_the_key_is_unless_it_is_set(name):
    method = get(name).config
    keys = list(keys_of_study([method]))
    whole = {key.name: key.default for key in keys if "." not in key.name}
    parts = {
        config: {k: whole[k] for k in config.model_fields} for config in (method, SharedConfig)
    }
    for config, defaults in parts.items():
        assert config.parse(defaults, "test") == config()
    for key in keys:
        config = SharedConfig if key.name.split(".")[0] in SharedConfig.model_fields else method
        if not _is_there(key, whole):
            continue
        below = defaults_of(config)
        layer = with_whole_lists(nest(key.name, key.default), below, "test")
        assert config.parse(merge(below, layer), "test") == config(), key.name


def _is_there(key: Key, whole: dict) -> bool:
    """Whether the default has the key: it is of the kind, and has the part of the list."""
    first, *rest = key.name.split(".")
    if key.required:
        return False
    if isinstance(whole[first], list) and rest:
        return rest[0] in [part["name"] for part in whole[first]]
    return not key.kind or (whole[first] or {}).get("name") in key.kind.split(" or ")
