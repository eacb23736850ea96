"""Numbers and ids as tools write them into JSON: 12, 12.0 or "12" for twelve."""

from __future__ import annotations

import math
import re
import sys

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def number(value: object) -> int | float | None:
    """A finite number, also one written as a string; None for anything else."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
        as_float = float(value)
        if not math.isfinite(as_float):
            return None
        # not by way of floats, which have no room for all ids
        return int(value) if value.strip().lstrip("+-").isdigit() else as_float
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # neither NaN nor an integer too large for a float passes the comparison
    return value if abs(value) <= sys.float_info.max else None


def whole_number(value: object) -> int | None:
    """A number without a fraction; None for anything else."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def identifier(value: object) -> int | str | None:
    """An id: a whole number where it can be read as one, else a string that is not empty."""
    found = whole_number(value)
    if found is None and isinstance(value, str) and value:
        return value
    return found
