"""The annotation server in a thread, and its page in a browser."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from projects_tests.web import browser

#: Delays the page's first request whose path ends so.
DELAY = """([end, milliseconds]) => {
  const ask = window.fetch;
  let isFirst = true;
  window.fetch = async (path, options) => {
    if (isFirst && String(path).endsWith(end)) {
      isFirst = false;
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
    }
    return ask(path, options);
  };
}"""


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


def on_canvas(page, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the picture is on the screen."""
    left, top = page.evaluate("p => annotation.viewport.toCanvas(p)", [x, y])
    box = page.locator("#canvas").bounding_box()
    return box["x"] + left, box["y"] + top


def drag(page, *points) -> None:
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=4)
    page.mouse.up()


def enter_name(page) -> None:
    page.fill("#name", "Ada")
    page.keyboard.press("Enter")


def open_regions(page) -> None:
    """Goes to stage 1, where somebody waits for regions."""
    enter_name(page)
    page.keyboard.press("F3")
    page.locator("#finish-regions").wait_for()


def pinch(page, apart: float) -> None:
    """Two fingers, 100 pixels from each other, move apart to another distance."""
    page.evaluate(
        """apart => {
          const canvas = document.getElementById("canvas");
          const fire = (type, id, x, y) => canvas.dispatchEvent(new PointerEvent(type,
            {pointerId: id, pointerType: "touch", clientX: x, clientY: y, bubbles: true}));
          canvas.setPointerCapture = () => {};
          fire("pointerdown", 1, 300, 400); fire("pointerdown", 2, 400, 400);
          fire("pointermove", 2, 300 + apart, 400);
          fire("pointerup", 1, 300, 400); fire("pointerup", 2, 300 + apart, 400);
        }""",
        apart,
    )


def has_error(page) -> bool:
    """Whether the page shows a message of an error."""
    return bool(page.locator("#messages .error").count())


def until(page, is_so) -> None:
    """Waits for something that no element of the page tells."""
    for _ in range(400):
        if is_so():
            return
        page.wait_for_timeout(25)
    raise AssertionError("nothing happened for ten seconds")
