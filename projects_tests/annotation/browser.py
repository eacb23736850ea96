"""A server in a thread, and a headless browser, for tests of the page."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

#: Names under which Chromium is installed.
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser_path() -> str:
    """The program of a browser; skips the test where there is none."""
    pytest.importorskip("playwright")
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip(f"needs a browser: {', '.join(_NAMES)}")
    return path


@contextlib.contextmanager
def browsing(address: str, **options) -> Iterator:
    """A page at an address; errors in its scripts fail the test.

    Args:
        options: of Playwright's new_context.
    """
    from playwright.sync_api import sync_playwright

    # A container has no user namespaces for Chromium's sandbox as a rule, nor has root.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=arguments)
        page = browser.new_context(viewport={"width": 1280, "height": 900}, **options).new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_default_timeout(30000)
        page.goto(address)
        page.locator(".card").first.wait_for()
        yield page
        browser.close()
        assert not errors, errors


@contextlib.contextmanager
def serving(folder: Path, **options) -> Iterator[tuple[str, object]]:
    """The project in a folder, served in a thread: its address, and its store.

    Args:
        options: of the store.
    """
    import uvicorn

    from densepose_ext.annotation.server import make_app
    from projects_tests.annotation.small_project import open_store, views

    store = open_store(folder, **options)
    with contextlib.closing(store), socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(make_app(store, views()), log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/", store
        finally:
            server.should_exit = True
            thread.join()
