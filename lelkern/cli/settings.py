"""``--set key=value``: one configuration value from the command line."""

import tomllib
from collections.abc import Iterable
from typing import Any

from lelkern.config import ConfigError, merge, nest


def parse_settings(assignments: Iterable[str]) -> dict[str, Any]:
    """Turn ``["encoder.width=32", "head.kind=linear"]`` into nested values.

    A value is read as TOML (``32``, ``0.5``, ``true``, ``["crop", "color"]``); what is not TOML
    is a string, so that words need no quotes.

    Raises:
        ConfigError: an assignment without ``=``, or without a key.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not all(key.split(".")):
            raise ConfigError(f"--set {assignment}: must be key=value")
        settings = merge(settings, nest(key.strip(), _value(text.strip())))
    return settings


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
