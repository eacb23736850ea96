"""Options whose value is a list of names."""

from __future__ import annotations


def names_in(text: str, option: str) -> tuple[str, ...]:
    """The names in a value such as ``iuv,overlay``, each once. Spaces around them do not count.

    Args:
        option: for the message, such as ``--format``.

    Raises:
        ValueError: a name is empty.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError(f"{option} {text!r}: expected names with a comma between two of them")
    return tuple(dict.fromkeys(names))
