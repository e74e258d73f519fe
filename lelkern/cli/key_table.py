"""The keys of a method, and of every study with it, for people and for programs."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lelkern.ablation.keys import Key
from lelkern.ablation.study import load_study, shipped_studies
from lelkern.cli.whole_tables import Column, show_whole
from lelkern.config import ConfigError
from lelkern.methods import get
from lelkern.methods.method import Method

_WIDEST = 40  # characters of keys that are never folded


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


def show_keys(title: str, keys: Iterable[Key]) -> None:
    """Print keys, each with what it takes, its default and its meaning; none is cut."""
    keys = list(keys)
    meanings = [f"{key.kind}: {key.meaning}" if key.kind else key.meaning for key in keys]
    names = [key.name for key in keys]
    show_whole(
        [
            Column("key", names, whole=max(map(len, names)) <= _WIDEST),
            Column("takes", [key.takes for key in keys]),
            Column("default", [key.default_in_words for key in keys]),
            Column("meaning", meanings),
        ],
        title=title,
    )


def records_of(keys: Iterable[Key]) -> list[dict[str, Any]]:
    """Return keys as plain data, in which defaults are as a study would write them."""
    return [asdict(key) for key in keys]
