"""Typed, frozen configurations with errors a person can act on.

Everything a study or a method can be told is a :class:`Config`: immutable, with no unknown keys
and no silent conversions, so that a configuration read from a file, from ``--set`` or from code
means exactly what it says.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from lelkern.errors import UserError


class ConfigError(UserError):
    """A configuration is wrong; the message is one line that names where, what, and the fix."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the closest known word, or list the known ones."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return "valid: " + ", ".join(known)


def nearest_key(word: str, known: Iterable[str]) -> str:
    """Return a hint as :func:`nearest` does, among dotted keys, whose last parts count as well.

    ``weight_decay`` is ``optimizer.weight_decay``, which no key of one part is nearer to.
    """
    known = list(dict.fromkeys(known))
    last = word.rsplit(".", 1)[-1]
    same = [key for key in known if key.rsplit(".", 1)[-1] == last]
    if not same:
        parts = {key.rsplit(".", 1)[-1] for key in known}
        close = difflib.get_close_matches(last, sorted(parts), n=1, cutoff=0.5)
        same = [key for key in known if key.rsplit(".", 1)[-1] in close]
    if same:
        return f"did you mean {' or '.join(map(repr, same))}?"
    return "valid: " + ", ".join(key for key in known if "." not in key)


class Config(BaseModel):
    """Base of every configuration: frozen, strict types, unknown keys refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            for key in data:
                if key not in cls.model_fields:
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key '{key}'; {hint}",
                        {"key": str(key), "hint": nearest(str(key), cls.model_fields)},
                    )
        return data

    @classmethod
    def parse(cls, data: Mapping[str, Any], source: str) -> Self:
        """Build the configuration from plain data.

        Args:
            data: nested mapping of numbers, strings, booleans and lists, as TOML or JSON give it.
            source: where the data came from (a file name or an option), named in every error.

        Raises:
            ConfigError: an unknown key, a wrong type or a value out of range.
        """
        try:
            return cls.model_validate(_freeze(data))
        except ValidationError as error:
            raise ConfigError(f"{source}: {_first_problem(error)}") from None


def _freeze(value: Any) -> Any:
    """Turn arrays into tuples, which strict validation asks for and which cannot change."""
    if isinstance(value, Mapping):
        return {key: _freeze(part) for key, part in value.items()}
    return tuple(_freeze(part) for part in value) if isinstance(value, list | tuple) else value


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] not in ("missing", "unknown_key", "value_error"):
        message += f", got {problem['input']!r}"
    return f"{where}: {message}" if where else message


def merge(base: Mapping[str, Any], *overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings, later ones winning; a list or a number is replaced whole.

    A string that meets a mapping is short for ``{"name": string}``: ``encoder = "resnet18"`` with
    ``encoder.width = 8`` still says resnet18.
    """
    merged = dict(base)
    for override in overrides:
        for key, value in override.items():
            old = merged.get(key)
            if isinstance(old, str) and isinstance(value, Mapping):
                old = {"name": old}
            both = isinstance(old, Mapping) and isinstance(value, Mapping)
            merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def parts_of(annotation: Any) -> Iterator[type[Config]]:
    """Yield the configurations that a type consists of: several where a part has several kinds."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        yield annotation
    else:
        for argument in get_args(annotation):
            yield from parts_of(argument)


def merge_over(
    settings: Mapping[str, Any], layer: Mapping[str, Any], parsed: Config
) -> dict[str, Any]:
    """Merge as :func:`merge` does, but where the layer names another kind of a part.

    Then nothing stays of the part: ``encoder.name = "resnet18"`` over ``encoder.width = 8`` has no
    width, which ResNets do not know.

    Args:
        settings: to merge over.
        layer: which wins.
        parsed: what ``settings`` mean.
    """
    merged = merge(settings, layer)
    for key, value in layer.items():
        part = getattr(parsed, key, None)
        if not isinstance(part, Config) or not isinstance(value, Mapping):
            continue
        kinds = list(parts_of(type(parsed).model_fields[key].annotation))
        below = settings.get(key)
        if len(kinds) > 1 and value.get("name") not in (None, *_names(type(part))):
            merged[key] = value
        elif isinstance(below, Mapping):
            merged[key] = merge_over(below, value, part)
    return merged


def _names(kind: type[Config]) -> tuple[Any, ...]:
    return get_args(kind.model_fields["name"].annotation)


def nest(dotted: str, value: Any) -> dict[str, Any]:
    """Turn ``("encoder.width", 32)`` into ``{"encoder": {"width": 32}}``."""
    for key in reversed(dotted.split(".")):
        value = {key: value}
    return value


def dotted_keys(data: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of all values in nested mappings, such as ``encoder.width``."""
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from dotted_keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def overlap(one: str, other: str) -> bool:
    """Say whether one dotted key is the other or holds it: a value for it then decides both."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
