"""How values of a factor are written in tables and on axes, so that no two look alike."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def format_value(value: Any) -> str:
    """Write a value: ``0.1``, ``1e-05``, ``nonlinear``, ``crop+color``.

    A number has as many digits as tell it from every other. A table is written by its ``name``.
    """
    if isinstance(value, list | tuple):
        return "+".join(format_value(part) for part in value)
    if isinstance(value, Mapping):
        return str(value["name"]) if "name" in value else json.dumps(value)
    if isinstance(value, bool):
        return str(value).lower()
    # 0 is added for the sake of -0, which is 0.
    return repr(value + 0.0).removesuffix(".0") if isinstance(value, float) else str(value)


def distinct_labels(values: Sequence[Any]) -> list[str]:
    """Write every value; those that would look alike get the keys in which they differ.

    ``[{name = "conv", width = 8}, {name = "conv", width = 16}]`` are ``conv(width=8)`` and
    ``conv(width=16)``, and so in lists. Values that are equal keep equal labels.
    """
    labels = [format_value(value) for value in values]
    parts = [part for value in values if isinstance(value, list | tuple) for part in value]
    for i, value in enumerate(values):
        alike = [
            other
            for j, other in enumerate(values)
            if j != i and format_value(other) == format_value(value) and other != value
        ]
        if not alike:
            continue
        tables = [_table(one) for one in (value, *alike)]
        lists = [isinstance(one, list | tuple) for one in (value, *alike)]
        if all(lists):
            named = distinct_labels(parts)
            labels[i] = "+".join(named[parts.index(part)] for part in value)
        elif all(table is not None for table in tables) and isinstance(value, Mapping | str):
            own, *others = ({} if table is None else table for table in tables)
            labels[i] = f"{labels[i]}({_differences(own, others)})"
        else:
            labels[i] = json.dumps(value, default=str)
    return labels


def _table(value: Any) -> dict[str, Any] | None:
    """Return the dotted keys of a table and their values; a name is short for a table with it."""
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, Mapping):
        return None
    found: dict[str, Any] = {}
    for key, part in value.items():
        below = _table(part) if isinstance(part, Mapping) else None
        found |= {key: part} if below is None else {f"{key}.{k}": v for k, v in below.items()}
    return found


def _differences(value: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    keys = dict.fromkeys(key for table in (value, *others) for key in table)
    differing = [key for key in keys if any(o.get(key) != value.get(key) for o in others)]
    return ", ".join(
        f"{key}={format_value(value[key]) if key in value else 'default'}" for key in differing
    )


def short_keys(keys: Sequence[str]) -> list[str]:
    """Shorten dotted keys to their last part, or from the last list on, where they stay distinct.

    ``encoder.width`` is ``width``, and ``augment.0``, part of a list, what it is.
    """
    last = []
    for key in keys:
        *before, part = key.split(".")
        last.append(f"{before[-1]}.{part}" if part.isdecimal() and before else part)
    return last if len(set(last)) == len(last) else list(keys)
