"""The keys of a method, and of every study with it, for people and for programs."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from lelkern.ablation.keys import Key
from lelkern.ablation.study import load_study, shipped_studies
from lelkern.config import ConfigError
from lelkern.methods import get
from lelkern.methods.method import Method

_WIDEST = 40  # characters of a key that has the room of other columns


def method_of(name: str) -> Method:
    """Return a method by its name, or by the path of its file from the working directory.

    Raises:
        ConfigError: there is no such method or file, or the file holds no method; or it is a study.
    """
    if name.endswith(".toml") or name in shipped_studies():
        study = load_study(name)
        methods = dict.fromkeys(arm.method for arm in (*study.arms(), *study.baseline_arms()))
        raise ConfigError(f"{name} is a study, not a method; its methods: {', '.join(methods)}")
    return get(str(Path(name).resolve()) if name.endswith(".py") else name)


def table_of(title: str, keys: Iterable[Key]) -> Table:
    """Return keys as a table, each with what it takes, its default and its meaning; none is cut."""
    keys = list(keys)
    table = Table(title=title)
    widest = max(len(key.name) for key in keys)
    table.add_column("key", no_wrap=widest <= _WIDEST, overflow="fold")
    for heading in ("takes", "default", "meaning"):
        table.add_column(heading, overflow="fold")
    for key in keys:
        meaning = f"{key.kind}: {key.meaning}" if key.kind else key.meaning
        table.add_row(key.name, key.takes, key.default_in_words, meaning)
    return table


def records_of(keys: Iterable[Key]) -> list[dict[str, Any]]:
    """Return keys as plain data, in which defaults are as a study would write them."""
    return [asdict(key) for key in keys]
