"""By what a trial is known: a hash of all that decides its result."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

DECIDING = ("code", "packages", "method", "config", "runtime", "data", "labels", "seed")
"""What decides a result: entries of :meth:`Trial.describe`, which every result has as well."""


def identity_of(description: Mapping[str, Any]) -> str:
    """Return the identity of a trial, from its description or from its stored result.

    So a result is known to be a trial's own without the code that ran it.

    Args:
        description: plain data with all of :data:`DECIDING`.

    Returns:
        16 hexadecimal digits.
    """
    content = json.dumps({key: description[key] for key in DECIDING}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
