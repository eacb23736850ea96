"""Sets of fine parts by names that people use, such as ``torso,arms`` or ``left-hand``."""

from __future__ import annotations

from .parts import FINE_PART_NAMES, NUM_FINE_PARTS

#: Names that are not words of the parts' own names.
_GROUPS = {
    "body": ",".join(map(str, range(1, NUM_FINE_PARTS + 1))),
    "upper-body": "torso,arms",
    "lower-body": "legs",
}
_SINGULAR = {"hands": "hand", "feet": "foot", "arms": "arm", "legs": "leg"}


def select_parts(names: str) -> tuple[int, ...]:
    """Numbers of the fine parts (1 to 24) of names joined by commas.

    A name is a part's number, or words of parts' names joined by ``-``, in any order, singular or
    plural: ``torso``, ``torso-front``, ``arms``, ``left-upper-arm``, ``hands``, ``right-foot``,
    ``legs``, ``head``. Also ``upper-body`` (torso and arms, without hands), ``lower-body`` (legs,
    without feet) and ``body`` (all).

    Raises:
        ValueError: no part has such a name.
    """
    selected: set[int] = set()
    for name in names.split(","):
        selected |= _parts_of(name.strip().lower())
    return tuple(sorted(selected))


def _parts_of(name: str) -> set[int]:
    if name in _GROUPS:
        return set(select_parts(_GROUPS[name]))
    if name.isdigit() and 1 <= int(name) <= NUM_FINE_PARTS:
        return {int(name)}
    words = {_SINGULAR.get(word, word) for word in name.split("-")}
    found = {i for i, part in enumerate(FINE_PART_NAMES) if i and words <= set(part.split())}
    if not found:
        raise ValueError(
            f"no part {name!r}; expected 1 to {NUM_FINE_PARTS}, or such names as torso, arms,"
            f" left-upper-arm, hands, legs, feet, head, {', '.join(_GROUPS)}"
        )
    return found
