"""What a configuration can be told: every key with its type, default and meaning.

The meanings are those of the docstrings, under ``Attributes:``.
"""

import inspect
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import BaseMetadata, Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from lelkern.ablation.labels import format_value
from lelkern.config import Config, parts_of


@dataclass(frozen=True)
class Key:
    """One key of a configuration.

    Attributes:
        name: dotted; where a part can be of several kinds, the kind stands in brackets:
            ``encoder[conv].width``, which is written ``encoder.width``.
        type: what it takes: ``number > 0``, ``"adamw" or "sgd"``.
        default: as it would be written; empty where there is none.
        meaning: a sentence, or empty.
    """

    name: str
    type: str
    default: str
    meaning: str

    @property
    def written(self) -> str:
        """The key as a study or ``--set`` writes it: without kinds."""
        return re.sub(r"\[.*?\]", "", self.name)


def keys_of(config: type[Config], prefix: str = "") -> Iterator[Key]:
    """Yield the keys of a configuration in their order, those of its parts after the part."""
    meanings = _meanings(config)
    for name, field in config.model_fields.items():
        if name == "name" and prefix.endswith("]."):
            continue  # the kind itself
        parts = list(parts_of(field.annotation))
        default = "" if field.is_required() else _default(field)
        yield Key(prefix + name, _type(field, parts), default, meanings.get(name, ""))
        for part in parts:
            kind = f"[{_kind(part)}]" if len(parts) > 1 else ""
            yield from keys_of(part, f"{prefix}{name}{kind}.")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, Config):
        return getattr(value, "name", "")
    if isinstance(value, tuple):
        return ", ".join(
            _kind(type(v)) if isinstance(v, Config) else format_value(v) for v in value
        )
    return format_value(value)


def _kind(config: type[Config]) -> str:
    """Return the name, or the names, by which a configuration is chosen among others."""
    field = config.model_fields.get("name")
    if field is None:
        return config.__name__
    names = get_args(field.annotation) if field.is_required() else (field.default,)
    return " or ".join(map(str, names))


def _type(field: FieldInfo, parts: list[type[Config]]) -> str:
    if parts:
        kinds = " or ".join(map(_kind, parts)) if len(parts) > 1 else "table"
        return f"list of {kinds}" if get_origin(field.annotation) is tuple else kinds
    limits = [_limit(m) for m in field.metadata if isinstance(m, BaseMetadata)]
    return " ".join([_plain_type(field.annotation), " and ".join(filter(None, limits))]).strip()


def _plain_type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain_type(arguments[0])
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_plain_type(a) for a in arguments if a is not type(None))
    if origin is tuple:
        return f"list of {_plain_type(arguments[0])}"
    names = {float: "number", int: "whole number", str: "text", bool: "true or false"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _limit(bound: BaseMetadata) -> str:
    match bound:
        case Gt(gt=value):
            return f"> {value}"
        case Ge(ge=value):
            return f">= {value}"
        case Lt(lt=value):
            return f"< {value}"
        case Le(le=value):
            return f"<= {value}"
    return ""


def _meanings(config: type[Config]) -> dict[str, str]:
    """Read ``Attributes:`` of a configuration's docstring, and of those it extends."""
    found: dict[str, str] = {}
    for base in reversed(config.__mro__):
        if issubclass(base, Config):
            section = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")[2]
            for name, text in re.findall(
                r"^    (\w+): (.*(?:\n        .*)*)", section, re.MULTILINE
            ):
                found[name] = " ".join(text.replace("``", "").split())
    return found
