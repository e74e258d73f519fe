"""Typed, frozen configurations with errors a person can act on.

Everything a study or a method can be told is a :class:`Config`: immutable, with no unknown keys
and no silent conversions, so that a configuration read from a file, from ``--set`` or from code
means exactly what it says.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from lelkern.errors import UserError


class ConfigError(UserError):
    """A configuration is wrong; the message is one line that names where, what, and the fix."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the closest known word, or list the known ones."""
    known = list(known)
    meant = _meant(word, known)
    return "valid: " + ", ".join(known) if meant is None else f"did you mean {meant!r}?"


def _meant(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that is meant, if it is plain: none is better than a wrong one.

    That is one in other letters (``Batch-Size``), of these initials (``learning_rate``, ``wd``),
    with this beginning (``temp``), or with few letters that differ; of a dotted key its last part
    will do.
    """
    own = _plain(word)
    if not own:
        return None
    plain = {_plain(other): other for other in reversed(known)}
    for other in known:
        last = other.rsplit(".", 1)[-1]
        if last.isidentifier():  # and no part of a number
            plain.setdefault(_plain(last), other)
    for alike in (
        lambda other: other == own,
        lambda other: other in (_initials(own), own) or _initials(other) == own,
        lambda other: len(own) > 2 and other.startswith(own),
    ):
        for other in plain:
            if alike(other):
                return plain[other]
    close = difflib.get_close_matches(own, list(plain), n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def _plain(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_").strip("_")


def _initials(word: str) -> str:
    parts = word.split("_")
    return "".join(part[:1] for part in parts) if len(parts) > 1 else ""


def nearest_key(word: str, known: Iterable[str]) -> str:
    """Return a hint as :func:`nearest` does, among dotted keys, whose last parts count as well.

    ``weight_decay`` is ``optimizer.weight_decay``, which no key of one part is nearer to.
    """
    known = list(dict.fromkeys(known))
    last = word.rsplit(".", 1)[-1]
    same = [key for key in known if key.rsplit(".", 1)[-1] == last]
    if not same:
        meant = _meant(last, sorted({key.rsplit(".", 1)[-1] for key in known}))
        same = [key for key in known if key.rsplit(".", 1)[-1] == meant]
    if same:
        return f"did you mean {' or '.join(map(repr, same))}?"
    return "valid: " + ", ".join(key for key in known if "." not in key)


class Config(BaseModel):
    """Base of every configuration: frozen, strict types, unknown keys refused by name.

    Attributes:
        in_place_of: keys that, where they are given, stand for another key: ``epochs`` for
            ``steps``. A study that would give both is refused, unless the other is 0.
    """

    in_place_of: ClassVar[Mapping[str, str]] = {}

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
            ConfigError: an unknown key, a wrong type, a value out of range, or a text with a
                control character, which neither a terminal nor an SVG file should get.
        """
        for key, text in _texts(data):
            if control := re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]", text):
                where = f"{source}: {key}" if key else source
                raise ConfigError(f"{where}: has the control character {control[0]!r}")
        try:
            return cls.model_validate(_freeze(data))
        except ValidationError as error:
            raise ConfigError(f"{source}: {_first_problem(error, cls)}") from None


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts in nested data, keys among them, with where they stand."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield key, str(name)
            yield from _texts(part, f"{key}.{name}".strip("."))
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from _texts(part, f"{key}.{i}".strip("."))


def _freeze(value: Any) -> Any:
    """Turn arrays into tuples, which strict validation asks for and which cannot change."""
    if isinstance(value, Mapping):
        return {key: _freeze(part) for key, part in value.items()}
    return tuple(_freeze(part) for part in value) if isinstance(value, list | tuple) else value


def _first_problem(error: ValidationError, config: type[Config]) -> str:
    problem = error.errors(include_url=False)[0]
    where = list(_written(problem["loc"], config))
    kind, value = problem["type"], problem["input"]
    message = problem["msg"].removeprefix("Value error, ")
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        message = "must be a table of keys"
    elif kind in ("tuple_type", "list_type"):
        message = "must be a list"
    elif kind == "union_tag_invalid":
        where.append(problem["ctx"]["discriminator"].strip("'"))
        tags, value = problem["ctx"]["expected_tags"], problem["ctx"]["tag"]
        message = f"must be one of {tags}"
    if kind not in ("missing", "unknown_key", "value_error"):
        message += f", got {value!r}"
    return f"{'.'.join(where)}: {message}" if where else message


def _written(place: Iterable[str | int], config: type[Config]) -> Iterator[str]:
    """Yield the parts of a key as they are written: without kinds, which pydantic names as well."""
    kinds = [config]
    for part in place:
        holders = [kind for kind in kinds if part in kind.model_fields]
        if not isinstance(part, int):
            if kinds and not holders:
                continue
            kinds = [p for kind in holders for p in parts_of(kind.model_fields[part].annotation)]
        yield str(part)


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
    """Return whether one dotted key is the other or holds it: a value for it then decides both."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
