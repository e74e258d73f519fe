"""``--set key=value``: one configuration value from the command line."""

import tomllib
from collections.abc import Iterable
from typing import Any

from lelkern.ablation.layers import with_whole_lists
from lelkern.config import ConfigError, merge, nest


def parse_settings(assignments: Iterable[str]) -> dict[str, Any]:
    """Turn ``["encoder.width=32", "head.kind=linear"]`` into nested values.

    A value is read as TOML (``32``, ``0.5``, ``true``, ``["crop", "color"]``); what is not TOML
    is a string, so that words need no quotes.

    Raises:
        ConfigError: an assignment without ``=`` or without a key, or with a key into a list that
            an earlier one gives, and that has no such part.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not all(key.split(".")):
            raise ConfigError(f"--set {assignment}: must be key=value")
        layer = nest(key.strip(), _value(text.strip()))
        settings = merge(settings, with_whole_lists(layer, settings, "--set"))
    return settings


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
