"""What a study can be told: every key with its type, range, default and meaning.

One walk over configurations serves ``lelkern config``, completion and the hints of errors. Meanings
are those of the docstrings, under ``Attributes:``.
"""

import inspect
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo

from lelkern.ablation.labels import format_value
from lelkern.ablation.shared import SharedConfig
from lelkern.config import Config, parts_of


@dataclass(frozen=True)
class Key:
    """One key of a configuration.

    Attributes:
        name: dotted, as a study or ``--set`` writes it. A part of a list is called by its name, as
            in ``augment.crop.min_scale``, or where it has none by its number.
        kind: of which kind a part must be to have the key, where it can be of several: ``conv``;
            else empty.
        type: what it takes: ``number``, ``"adamw" or "sgd"``, ``list of crop or flip``.
        range: what limits it: ``> 0 and <= 1``; may be empty.
        default: what it is unless it is set, as plain data; None stands for nothing. For a part
            that the default is not, or does not have, what such a part has unless it is set.
        required: whether there is no default.
        meaning: a sentence, or empty.
    """

    name: str
    kind: str
    type: str
    range: str
    default: Any
    required: bool
    meaning: str

    @property
    def takes(self) -> str:
        """Its type and range: ``number, > 0 and <= 1``."""
        return ", ".join(filter(None, (self.type, self.range)))

    @property
    def default_in_words(self) -> str:
        """Its default, with tables by their names: ``crop, color``; empty where there is none.

        Numbers are rounded to six digits.
        """
        return "" if self.required else _in_words(self.default)


def keys_of_study(methods: Iterable[type[Config]]) -> Iterator[Key]:
    """Yield the keys of the configurations of a study's methods, then those that all studies have.

    Args:
        methods: configurations, of which each counts once.
    """
    configs: list[type[Config]] = [*methods, SharedConfig]
    for config in dict.fromkeys(configs):
        yield from keys_of(config)


def keys_of(
    config: type[Config], prefix: str = "", kind: str = "", default: Config | None = None
) -> Iterator[Key]:
    """Yield the keys of a configuration in their order, those of its parts after the part.

    Args:
        config: whose keys.
        prefix: of their names.
        kind: theirs.
        default: the configuration that there is unless another is set; by default the class's own.
    """
    meanings = _meanings(config)
    for name, field in config.model_fields.items():
        parts = list(parts_of(field.annotation))
        value = _default(field) if default is None else getattr(default, name)
        required = default is None and field.is_required()
        yield Key(
            name=prefix + name,
            kind=kind,
            type=_type(field.annotation, parts),
            range=" and ".join(_limits(field.annotation, field.metadata)),
            default=_plain(value),
            required=required,
            meaning=meanings.get(name, ""),
        )
        for part in parts:
            if _is_list(field.annotation):
                yield from _keys_into_list(part, f"{prefix}{name}.", kind, value or ())
            else:
                yield from keys_of(
                    part,
                    f"{prefix}{name}.",
                    _or(_names(part)) if len(parts) > 1 else kind,
                    value if isinstance(value, part) else None,
                )


def _keys_into_list(
    part: type[Config], prefix: str, kind: str, default: tuple[Any, ...]
) -> Iterator[Key]:
    """Yield the keys of the parts of a list that are of one class, called by name or as the first.

    Args:
        part: the class.
        prefix: of the list.
        kind: of what holds the list.
        default: the list that there is unless another is set.
    """
    names = _names(part)
    for name in names or ["0"]:
        alike = [one for one in default if isinstance(one, part)]
        alike = [one for one in alike if not names or one.model_dump()["name"] == name]
        value = alike[0] if len(alike) == 1 or (alike and not names) else None
        yield Key(prefix + name, kind, "table", "", _plain(value), False, _summary(part))
        for key in keys_of(part, f"{prefix}{name}.", kind, value):
            if not names or key.name != f"{prefix}{name}.name":
                yield key


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.model_dump(mode="json")
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _in_words(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, Mapping):
        return str(value.get("name", ""))
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    if isinstance(value, float):
        value = float(f"{value:.6g}")
    return format_value(value) or '""'


def _names(config: type[Config]) -> list[str]:
    """Return the names by which a configuration is chosen among others; it may have none."""
    field = config.model_fields.get("name")
    return list(map(str, get_args(field.annotation))) if field else []


def _or(words: Iterable[str]) -> str:
    return " or ".join(words)


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        return any(map(_is_list, get_args(annotation)))
    return get_origin(annotation) is tuple


def _type(annotation: Any, parts: list[type[Config]]) -> str:
    if not parts:
        return _plain_type(annotation)
    kinds = _or(_or(_names(p)) or p.__name__ for p in parts) if len(parts) > 1 else "table"
    return f"list of {kinds}" if _is_list(annotation) else kinds


def _plain_type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain_type(arguments[0])
    if origin is Literal:
        return _or(f'"{value}"' for value in arguments)
    if origin in (Union, types.UnionType):
        return _or(_plain_type(a) for a in arguments if a is not type(None))
    if origin is tuple:
        return f"list of {_plain_type(arguments[0])}"
    names = {float: "number", int: "whole number", str: "text", bool: "true or false"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _limits(annotation: Any, metadata: Iterable[Any]) -> Iterator[str]:
    """Yield what limits a value, or one of the types that it may have."""
    for limit in metadata:
        match limit:
            case Gt(gt=value):
                yield f"> {value}"
            case Ge(ge=value):
                yield f">= {value}"
            case Lt(lt=value):
                yield f"< {value}"
            case Le(le=value):
                yield f"<= {value}"
            case MinLen(min_length=value):
                yield f"length >= {value}"
            case MaxLen(max_length=value):
                yield f"length <= {value}"
    if get_origin(annotation) is Annotated:
        annotation, *own = get_args(annotation)
        yield from _limits(annotation, [part for o in own for part in getattr(o, "metadata", [o])])
    elif get_origin(annotation) in (Union, types.UnionType, tuple):
        for argument in get_args(annotation):
            yield from _limits(argument, ())


def _summary(config: type[Config]) -> str:
    """Return the first sentence of a docstring: all that stands before an empty line."""
    return _read(inspect.cleandoc(config.__doc__ or "").partition("\n\n")[0])


def _meanings(config: type[Config]) -> dict[str, str]:
    """Read ``Attributes:`` of a configuration's docstring, and of those it extends."""
    found: dict[str, str] = {}
    for base in reversed(config.__mro__):
        if issubclass(base, Config):
            section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2]
            for name, text in re.findall(
                r"^    (\w+): (.*(?:\n        .*)*)", section, re.MULTILINE
            ):
                found[name] = _read(text)
    return found


def _read(text: str) -> str:
    """Return a text of a docstring in one line and without marks."""
    plain = re.sub(r":\w+:`~?([^`]*)`", r"\1", text.replace("``", ""))
    return " ".join(plain.split())
