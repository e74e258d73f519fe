"""Settings over settings: keys into lists, and the defaults that lie below all.

A key into a list, such as ``augment.0.min_scale`` or ``augment.crop.min_scale``, is a table where
the settings below have a list: it changes one part of that list.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lelkern.config import Config, ConfigError, merge


def defaults_of(config: type[Config]) -> dict[str, Any]:
    """Return the defaults of a configuration as plain data; keys without one are missing."""
    return config.model_construct().model_dump(mode="json")


def with_whole_lists(
    layer: Mapping[str, Any], below: Mapping[str, Any], where: str, prefix: str = ""
) -> dict[str, Any]:
    """Return settings with whole lists in place of what changes parts of lists.

    A part is called by its number or, if no other has it, by its name.

    Args:
        layer: nested settings.
        below: nested settings that they are to go over.
        where: the settings stand, for errors.
        prefix: of the keys, for errors.

    Raises:
        ConfigError: a list below has no such part, or a part is called in two ways.
    """
    whole = dict(layer)
    for key, value in layer.items():
        old = below.get(key)
        if not isinstance(value, Mapping):
            continue
        if isinstance(old, list | tuple):
            whole[key] = _changed_list(value, old, where, prefix + key)
        elif isinstance(old, Mapping) and not _is_another(value, old):
            whole[key] = with_whole_lists(value, old, where, f"{prefix}{key}.")
    return whole


def numbered(key: str, settings: Mapping[str, Any]) -> str:
    """Return a dotted key with the numbers of parts of lists instead of their names.

    Args:
        key: dotted.
        settings: nested settings, with the lists.
    """
    written = []
    below: Any = settings
    for part in key.split("."):
        place: Any = part
        if isinstance(below, list | tuple):
            place = _places(below).get(part)
            below = None if place is None else below[place]
        else:
            below = below.get(part) if isinstance(below, Mapping) else None
        written.append(part if place is None else str(place))
    return ".".join(written)


def _changed_list(
    changes: Mapping[str, Any], parts: Sequence[Any], where: str, key: str
) -> list[Any]:
    places = _places(parts)
    changed = list(parts)
    called: dict[int, str] = {}
    for name, value in changes.items():
        if name not in places:
            raise ConfigError(f"{where}: {key}.{name}: {_hint(name, parts, key)}")
        place = places[name]
        other = called.setdefault(place, name)
        if other != name:
            raise ConfigError(f"{where}: {key}.{other} and {key}.{name} are the same part")
        changed[place] = _changed_part(value, parts[place], where, f"{key}.{name}")
    return changed


def _changed_part(value: Any, part: Any, where: str, key: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    if isinstance(part, list | tuple):
        return _changed_list(value, part, where, key)
    part = {"name": part} if isinstance(part, str) else part
    if not isinstance(part, Mapping) or _is_another(value, part):
        return value
    return merge(part, with_whole_lists(value, part, where, f"{key}."))


def _is_another(value: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    """Return whether a table names another thing than the one there, of which nothing stays."""
    return "name" in value and value["name"] != part.get("name")


def _places(parts: Sequence[Any]) -> dict[str, int]:
    """Return the places of the parts of a list by name, if it is one's alone, and by number."""
    names = [_name(part) for part in parts]
    named = {name: i for i, name in enumerate(names) if name and names.count(name) == 1}
    return named | {str(i): i for i in range(len(parts))}


def _name(part: Any) -> str:
    """Return the name of a part; nothing if it has none."""
    if isinstance(part, str):
        return part
    return str(part.get("name", "")) if isinstance(part, Mapping) else ""


def _hint(name: str, parts: Sequence[Any], key: str) -> str:
    """Say what a list has instead of a part, and which part may be meant."""
    names = [_name(part) for part in parts]
    same = [f"{key}.{i}" for i, other in enumerate(names) if other == name]
    if same:
        return f"{key} has {len(same)} of that name: write {' or '.join(same)}"
    if not parts:
        return f"no such part; {key} is empty"
    listed = "0" if len(parts) == 1 else f"0 to {len(parts) - 1}"
    if any(names):
        listed = ", ".join(f"{other} ({i})" if other else str(i) for i, other in enumerate(names))
    having = [
        f"'{key}.{names[i] or i}.{name}'"
        for i, part in enumerate(parts)
        if isinstance(part, Mapping) and name in part
    ]
    meant = f"; did you mean {' or '.join(having)}?" if having else ""
    return f"no such part; {key} has {len(parts)}: {listed}{meant}"
