"""The keys of a method, and of every study with it, for people and for programs."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from lelkern.ablation.keys import Key
from lelkern.methods import get
from lelkern.methods.method import Method


def method_of(name: str) -> Method:
    """Return a method by its name, or by the path of its file from the working directory.

    Raises:
        ConfigError: there is no such method or file, or the file holds no method.
    """
    return get(str(Path(name).resolve()) if name.endswith(".py") else name)


def table_of(title: str, keys: Iterable[Key]) -> Table:
    """Return keys as a table, each with what it takes, its default and its meaning."""
    table = Table("key", "takes", "default", "meaning", title=title)
    for key in keys:
        name = f"{key.name} ({key.kind})" if key.kind else key.name
        table.add_row(name, key.takes, key.default_in_words, key.meaning)
    return table


def records_of(keys: Iterable[Key]) -> list[dict[str, Any]]:
    """Return keys as plain data, in which defaults are as a study would write them."""
    return [asdict(key) for key in keys]
