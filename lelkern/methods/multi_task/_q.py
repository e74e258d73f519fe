"""The q of an l_q norm as a setting."""

import math
from typing import Annotated, Literal

from pydantic import Field

Q = Annotated[float, Field(ge=1)] | Literal["inf"]
"""A number that is at least 1, or ``inf``, for which JSON has no number."""


def number(q: Q) -> float:
    """Return q as a number."""
    return math.inf if q == "inf" else q
