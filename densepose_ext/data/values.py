"""Numbers and ids as tools write them in JSON: 12, 12.0 or "12"."""

from __future__ import annotations

import math
import re
import sys

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def number(value: object) -> int | float | None:
    """A finite number, which may be written as a string; None for anything else."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
        as_float = float(value)
        if not math.isfinite(as_float):
            return None
        # Not by way of floats, which cannot hold all ids.
        return int(value) if value.strip().lstrip("+-").isdigit() else as_float
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # Neither NaN nor an integer too large for a float passes this comparison.
    return value if abs(value) <= sys.float_info.max else None


def whole_number(value: object) -> int | None:
    """A number without a fraction; None for anything else."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def identifier(value: object) -> int | str | None:
    """An id: a whole number if it can be read as one, or else a string that is not empty."""
    found = whole_number(value)
    if found is None and isinstance(value, str) and value:
        return value
    return found
