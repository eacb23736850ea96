"""The page in a real browser: a picture, its views, the pixel at the pointer, downloads."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from densepose_ext.serving.formats import ANSWERS
from densepose_ext.serving.limits import Limits
from densepose_ext.surface.surface import BodySurface
from densepose_ext.video import VideoReader
from projects_tests.serving.stand_in import app, picture_file
from projects_tests.video.moving_square import write_video
from projects_tests.web.browser import browser_path, browsing, served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address():
    browser_path()
    with served(app(Limits(megabytes=0.2))) as made:
        yield made


@pytest.fixture(scope="module")
def page(address):
    with browsing(address, "#place:not(:empty)", color_scheme="dark") as made:
        yield made


def give(page, content: bytes, name: str = "people.png") -> None:
    file = {"name": name, "mimeType": "image/png", "buffer": content}
    page.set_input_files("#file", file)


def give_a_picture(page) -> None:
    give(page, picture_file(102, (160, 120)))
    page.locator("#downloads:not([disabled])").wait_for()


def colour_at(page, x: int, y: int) -> list[int]:
    read = "([x, y]) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3)"
    return page.evaluate(read, [x, y])


def set_slider(page, name: str, value: int) -> None:
    page.locator(f"#{name}").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }",
        value,
    )


def point(page, x: float, y: float) -> None:
    """Moves the pointer to a pixel of the picture."""
    box = page.locator("#canvas").bounding_box()
    scale = box["width"] / 160
    page.mouse.move(box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale)


def test_views(page):
    give_a_picture(page)
    set_slider(page, "opacity", 100)
    shown = {}
    for name in ("picture", "parts", "u", "v", "iuv"):
        page.click(f"#views button[value={name}]")
        shown[name] = colour_at(page, 3, 3), colour_at(page, 80, 60)
    own = [10, 20, 102]
    colours = page.request.get(f"{page.url}colours").json()
    assert shown["picture"] == (own, own)
    assert shown["parts"] == (colours["part_colours"][2], own)
    assert shown["u"] == shown["v"] == (colours["uv_colours"][102], own)
    assert shown["iuv"] == ([2, 102, 102], [0, 0, 0])
    page.click("#views button[value=contour]")
    page.wait_for_timeout(300)
    assert page.locator("#error").is_hidden()


def test_transparency_is_white_as_on_the_server(page):
    stream = io.BytesIO()
    Image.new("RGBA", (160, 120), (0, 0, 0, 0)).save(stream, "png")
    give(page, stream.getvalue())
    page.locator("#downloads:not([disabled])").wait_for()
    page.click("#views button[value=picture]")
    assert colour_at(page, 80, 60) == [255] * 3


def test_a_picture_that_only_the_server_can_read(page):
    give(page, picture_file(102, (160, 120), "tiff"), "people.tif")
    page.locator("#status", has_text="2 people").wait_for()
    assert "this browser cannot show the picture itself" in page.text_content("#status")
    assert page.evaluate("[canvas.width, canvas.height]") == [160, 120]


def test_scores(page):
    give_a_picture(page)
    said = []
    for value in (50, 70, 95):
        set_slider(page, "score", value)
        said.append(page.text_content("#status"))
    assert said == [
        "2 people, 1 with lower scores",
        "1 person, 2 with lower scores",
        "0 people, 3 with lower scores",
    ]
    set_slider(page, "score", 50)


def test_the_pixel_at_the_pointer(page):
    give_a_picture(page)
    point(page, 80, 60)
    assert page.text_content("#place") == "Nobody is here."
    point(page, 4, 4)
    said = page.inner_text("#place")
    assert "torso front" in said
    assert "U 0.402   V 0.402" in said
    page.focus("#canvas")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert "pixel 1, 4" in page.inner_text("#place")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#place") == "Nobody is here."


def test_places_on_the_body(page):
    """The page's own search in the charts finds where the package says that points are."""
    random = np.random.default_rng(0)
    i, (u, v) = random.integers(1, 25, 200), random.random((2, 200))
    found = page.evaluate(
        """async (points) => {
            const { Body } = await import("/static/body.js");
            const body = Object.create(Body.prototype);
            body.read(await (await fetch("/body")).arrayBuffer());
            return points.map(([part, u, v]) => body.locate(part, u, v).position);
        }""",
        np.stack([i, u, v], 1).tolist(),
    )
    surface = BodySurface.load()
    middle = (surface.body.vertices.max(0) + surface.body.vertices.min(0)) / 2
    distance = np.linalg.norm(np.array(found) + middle - surface.points(i, u, v), axis=1)
    # points outside of their chart are moved to its border in slightly different ways
    assert np.median(distance) < 1e-6
    assert (distance < 0.03).mean() > 0.95


def test_every_download(page):
    give_a_picture(page)
    for name, answer in ANSWERS.items():
        with page.expect_download() as download:
            page.click(f"#downloads button[value={name}]")
        assert download.value.suggested_filename == f"people{answer.ending}"
        with open(download.value.path(), "rb") as stream:
            content = stream.read()
        if name == "npz":
            assert len(np.load(io.BytesIO(content))["boxes"]) == 2
        if name == "iuv":
            iuv = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            assert iuv[3, 3].tolist() == [102, 102, 2]
        page.wait_for_timeout(120)  # Chromium starts at most ten downloads a second


def test_what_cannot_be_used_is_said(page):
    give(page, b"<!doctype html>")
    error = page.locator("#error:not([hidden])")
    error.wait_for()
    assert "not a picture in a known format" in error.text_content()
    give(page, bytes(300_000))
    page.locator("#error", has_text="more than 0.2 MB").wait_for()
    give_a_picture(page)
    assert error.count() == 0


def test_what_is_no_picture_leaves_none_on_the_screen(page):
    give_a_picture(page)
    give(page, b"no picture", "broken.png")
    page.locator("#error", has_text="not a picture").wait_for()
    page.locator("#invitation").wait_for()
    assert page.locator("#canvas").is_hidden()
    give_a_picture(page)
    assert page.locator("#invitation").is_hidden()


def test_the_picture_chosen_last_is_shown(page):
    """Also if an earlier one is decoded later."""
    page.evaluate("""() => {
      const decode = window.createImageBitmap;
      let isFirst = true;
      window.createImageBitmap = async (...given) => {
        const bitmap = await decode(...given);
        if (isFirst) { isFirst = false; await new Promise((resolve) => setTimeout(resolve, 300)); }
        return bitmap;
      };
    }""")
    give(page, picture_file(50, (80, 80)))
    give_a_picture(page)
    page.wait_for_timeout(500)
    assert page.evaluate("[canvas.width, canvas.height]") == [160, 120]


def hold(page, what: str) -> None:
    """Holds the answer of the next call of a function of the window until :func:`let_go`."""
    page.evaluate(
        """(what) => {
          const original = window[what];
          const isFree = new Promise((resolve) => { window[`free_${what}`] = resolve; });
          window[what] = async (...given) => {
            window[what] = original;
            const answer = await original(...given);
            await isFree;
            return answer;
          };
        }""",
        what,
    )


def let_go(page, what: str) -> None:
    page.evaluate("(what) => window[`free_${what}`]()", what)
    page.wait_for_timeout(150)


def test_an_answer_for_the_picture_before_is_not_shown(page):
    page.click("#views button[value=parts]")
    hold(page, "fetch")  # the people
    give(page, picture_file(50, (80, 80)))
    page.locator("#status", has_text="Looking for people").wait_for()
    hold(page, "createImageBitmap")
    give(page, picture_file(102, (160, 120)))
    let_go(page, "fetch")
    assert page.locator("#downloads[disabled]").count()
    let_go(page, "createImageBitmap")
    page.locator("#downloads:not([disabled])").wait_for()

    set_slider(page, "opacity", 100)
    hold(page, "fetch")  # the contour
    page.click("#views button[value=contour]")
    page.hover("#canvas")
    page.wait_for_timeout(50)
    own = [10, 20, 102]
    assert colour_at(page, 3, 3) == own  # "Contour" shows no parts
    hold(page, "createImageBitmap")
    give(page, picture_file(50, (160, 120)))
    let_go(page, "fetch")
    assert page.locator("#downloads[disabled]").count()
    let_go(page, "createImageBitmap")
    page.locator("#downloads:not([disabled])").wait_for()
    page.click("#views button[value=parts]")


def test_a_download_has_the_name_of_its_picture(page):
    give_a_picture(page)
    hold(page, "fetch")
    with page.expect_download() as download:
        page.click("#downloads button[value=iuv]")
        give(page, picture_file(50, (80, 80)), "other.png")
        page.locator("#downloads:not([disabled])").wait_for()
        let_go(page, "fetch")
    assert download.value.suggested_filename == "people_iuv.png"


def test_a_file_that_has_changed_since_it_was_chosen(page, tmp_path):
    file = tmp_path / "people.png"
    file.write_bytes(picture_file(50, (80, 80)))
    page.set_input_files("#file", file)
    page.locator("#downloads:not([disabled])").wait_for()
    file.unlink()
    page.locator("#model").dispatch_event("change")
    page.locator("#error", has_text="has changed since it was chosen").wait_for()
    assert "does not answer" not in page.locator("#error").inner_text()
    assert page.locator("#downloads[disabled]").count()
    assert page.text_content("#status") == ""


def test_what_is_dropped(page):
    drop = """(names) => {
      const given = new DataTransfer();
      for (const name of names) given.items.add(new File(["no picture"], name));
      if (!names.length) given.setData("text/plain", "https://example.com/people.png");
      document.dispatchEvent(new DragEvent("drop", { dataTransfer: given, cancelable: true }));
    }"""
    page.evaluate(drop, [])
    page.locator("#error", has_text="not a file").wait_for()
    hold(page, "fetch")
    page.evaluate(drop, ["a.png", "b.png"])
    page.locator("#error", has_text="Of the 2 files, only a.png is shown").wait_for()
    let_go(page, "fetch")
    page.locator("#error", has_text="not a picture").wait_for()
    give_a_picture(page)
    assert page.locator("#error").is_hidden()


def test_a_film(page, tmp_path):
    pytest.importorskip("av")  # OpenCV writes what browsers do not play
    content = write_video(tmp_path / "walk.mp4", frames=4).read_bytes()
    page.click("#views button[value=u]")
    film = {"name": "walk.mp4", "mimeType": "video/mp4", "buffer": content}
    with page.expect_request("**/video?*") as begun:
        page.set_input_files("#file", film)
    assert "draw=u" in begun.value.url
    link = page.locator("#film-download:not([hidden])")
    link.wait_for()
    assert page.text_content("#status") == "4 frames"
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "walk-densepose.mp4"
    with VideoReader(download.value.path()) as drawn:
        assert len(list(drawn)) == 4
    address = link.get_attribute("href").removesuffix("/film")
    assert page.locator("#canvas").is_hidden()
    page.set_input_files("#file", {**film, "buffer": content[:40]})
    page.locator("#error", has_text="the video is damaged").wait_for()
    give_a_picture(page)  # leaves the film
    assert page.locator("#film").is_hidden()
    page.wait_for_function(f"async () => (await fetch('{address}')).status === 404")


def test_a_film_that_is_stopped_stays_on_the_screen(page, tmp_path):
    pytest.importorskip("av")
    content = write_video(tmp_path / "walk.mp4", frames=4).read_bytes()
    frozen = {"id": "x", "status": "running", "frames": 2, "of": 4}
    begun = {**frozen, "frames": 1}
    page.route("**/video?*", lambda route: route.fulfill(status=202, json=begun))
    page.route("**/video/x", lambda route: route.fulfill(status=200, json=frozen))
    page.route("**/video/x", lambda route: route.abort(), times=1)  # one answer is lost
    try:
        film = {"name": "walk.mp4", "mimeType": "video/mp4", "buffer": content}
        page.set_input_files("#file", film)
        page.locator("#film-count", has_text="Frame 2 of 4").wait_for()
        video = page.locator("#film-video")
        page.wait_for_function("() => document.getElementById('film-video').currentTime > 0")
        page.click("#film-stop")
        assert page.text_content("#status") == "Stopped"
        assert page.locator("#film-progress").is_hidden()
        page.wait_for_timeout(500)
        assert video.is_visible()
        # Chromium may correct the duration of so short a video after it has gone to the frame.
        assert video.evaluate("video => video.paused && video.currentTime / video.duration") == (
            pytest.approx(0.5, abs=0.2)
        )
        give_a_picture(page)
        assert video.is_hidden()
    finally:
        page.unroute("**/video?*")
        page.unroute("**/video/x")


@pytest.mark.parametrize("width", [320, 760, 1280])
def test_nothing_is_wider_than_the_screen(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    give_a_picture(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_everything(page):
    give_a_picture(page)
    page.click("#views button[value=parts]")
    page.focus("#model")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("() => document.activeElement.id || document.activeElement.value")
        )
    assert {"theme", "file", "canvas", "parts", "contour", "opacity", "score", "boxes"} <= reached
    assert {"body", "npz"} <= reached


def test_the_theme_is_kept(page):
    for theme in ("light", "dark"):
        page.click("#theme")
        page.reload()
        page.locator("#place:not(:empty)").wait_for()
        assert page.evaluate("() => document.documentElement.dataset.theme") == theme
