"""Recognizes objects of the official project's package, which may be imported beside this one."""

from __future__ import annotations


def is_official(obj) -> bool:
    """Whether a class or function is from the package ``densepose``, or from a copy of it."""
    return "densepose" in obj.__module__.split(".")
