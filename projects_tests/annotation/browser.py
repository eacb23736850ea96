"""The annotation server in a thread, and its page in a browser."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from projects_tests.web import browser


def browsing(address: str, **options) -> contextlib.AbstractContextManager:
    """The annotation page at an address, once it is ready; see the other ``browsing``."""
    return browser.browsing(address, ".card", **options)


@contextlib.contextmanager
def serving(folder: Path, **options) -> Iterator[tuple[str, object]]:
    """The project in a folder, served in a thread: its address, and its store.

    Args:
        options: of the store.
    """
    from densepose_ext.annotation.server import make_app
    from projects_tests.annotation.small_project import open_store, views

    store = open_store(folder, **options)
    with contextlib.closing(store), browser.served(make_app(store, views())) as address:
        yield address, store
