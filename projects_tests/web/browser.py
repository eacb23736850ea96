"""A server in a thread, and a headless browser, for tests of pages."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator

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
def browsing(address: str, ready: str, **options) -> Iterator:
    """A page at an address; errors in its scripts fail the test.

    Args:
        ready: selector of an element that is there when the page can be used.
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
        page.locator(ready).first.wait_for()
        yield page
        browser.close()
        assert not errors, errors


@contextlib.contextmanager
def served(app) -> Iterator[str]:
    """The address of an application, which a thread serves."""
    import uvicorn

    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # connections wait until the server is ready
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()
