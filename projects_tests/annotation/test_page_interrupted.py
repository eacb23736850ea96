"""The page when something comes between: another annotator, a dead server, a reload."""

import contextlib

import numpy as np
import pytest

from densepose_ext.annotation.server import make_app
from projects_tests.annotation.browser import (
    DELAY,
    browsing,
    drag,
    enter_name,
    has_error,
    on_canvas,
    open_regions,
    pinch,
    serving,
    until,
)
from projects_tests.annotation.small_project import (
    OTHER,
    WHO,
    make_pictures,
    open_store,
    regions,
    truth,
    views,
)
from projects_tests.web.browser import served

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("browser")]


def add_person(store, stage: str = "regions") -> int:
    """A person of the first picture, whom nobody holds."""
    person = store.add_person(1, truth()["bbox"], OTHER).id
    if stage == "points":
        store.lease(person, OTHER)
        store.paint(person, regions(), OTHER)
        store.finish_regions(person, OTHER)
        store.release(person, OTHER)
    return person


def draw_stroke(page) -> None:
    x, y, w, h = truth()["bbox"]
    drag(page, *(on_canvas(page, x + w * t, y + h * 0.4) for t in (0.3, 0.6)))


def test_a_server_that_stops_and_comes_back(tmp_path):
    """It has forgotten all leases; what was drawn in the meantime is saved."""
    with contextlib.ExitStack() as stack:
        address, store = stack.enter_context(serving(tmp_path))
        person = add_person(store)
        page = stack.enter_context(browsing(address))
        open_regions(page)
        page.route("**/api/**", lambda route: route.abort())
        draw_stroke(page)
        page.locator("#messages .error", has_text="tries again until it does").wait_for()
        page.keyboard.press("h")
        draw_stroke(page)
        page.keyboard.press("F1")
        page.wait_for_timeout(300)
        store.leases._held.clear()
        assert store.project.people[person].regions is None
        page.unroute("**/api/**")
        page.locator(".card").wait_for()
        assert store.project.people[person].regions[13]
        log = (tmp_path / "annotations.json.log.jsonl").read_text()
        assert log.count('"paint"') >= 1


def test_a_stroke_just_before_a_reload(tmp_path):
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = add_person(store)
        open_regions(page)
        draw_stroke(page)
        page.reload()
        page.locator(".card").wait_for()
        until(page, lambda: store.project.people[person].regions is not None)
        until(page, lambda: store.leases.holder(person) is None)


def test_a_stroke_during_which_the_stage_is_left(tmp_path):
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = add_person(store)
        open_regions(page)
        x, y, w, h = truth()["bbox"]
        page.mouse.move(*on_canvas(page, x + w * 0.3, y + h * 0.4))
        page.mouse.down()
        page.mouse.move(*on_canvas(page, x + w * 0.6, y + h * 0.4), steps=4)
        page.keyboard.press("F1")
        page.locator(".card").wait_for()
        page.mouse.up()
        assert store.project.people[person].regions is not None


def test_a_page_that_the_browser_brings_back(tmp_path):
    """It has given its person back as it was left."""
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = add_person(store)
        open_regions(page)
        page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
        until(page, lambda: store.leases.holder(person) is None)
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
        until(page, lambda: store.leases.holder(person) == "Ada")
        page.locator("#finish-regions").wait_for()
        assert page.evaluate("annotation.person.id") == person
        draw_stroke(page)
        until(page, lambda: store.project.people[person].regions is not None)
        assert not has_error(page)


def test_boxes_belong_to_the_picture_they_were_drawn_in(tmp_path):
    """Also if the next one is asked for before they are saved."""
    make_pictures(tmp_path / "pictures", 2)
    with serving(tmp_path) as (address, store), browsing(address) as page:
        enter_name(page)
        page.locator(".card").first.click()
        page.locator("#boxes-done").wait_for()
        boxes = [[10, 10, 30, 40], [50, 60, 30, 40], [100, 60, 30, 40]]
        page.evaluate(
            "boxes => { annotation.stage.proposed = boxes.map((box) => ({ box })); }", boxes
        )
        page.evaluate(DELAY, ["add_person", 300])
        page.keyboard.press("a")
        page.keyboard.press("n")
        page.locator("h2", has_text="2.png").wait_for()
        assert [(p.image, p.box) for p in store.project.people.values()] == [(1, b) for b in boxes]
        assert store.project.pictures[1].boxes_done
        assert not store.project.pictures[2].boxes_done


def test_proposals_that_come_when_another_stage_is_open(tmp_path):
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = add_person(store)
        enter_name(page)
        page.keyboard.press("F2")
        page.locator(".list button").click()
        page.route("**/boxes", lambda route: route.fulfill(json={"boxes": []}))
        page.evaluate(DELAY, ["boxes", 600])
        page.evaluate("annotation.project.hasModel = true")
        page.keyboard.press("m")
        page.keyboard.press("Enter")
        page.locator("#finish-regions").wait_for()
        page.wait_for_timeout(900)
        assert page.locator("h2").inner_text() == f"Regions of person {person}"


def lose(store, person: int) -> None:
    """The lease of a page ends, as when the machine sleeps, and another annotator takes it."""
    store.leases._held.clear()
    store.lease(person, OTHER)


@pytest.mark.parametrize(("stage", "action"), [("regions", "remove"), ("points", "leave_out")])
def test_somebody_else_removes_the_open_person(tmp_path, stage, action):
    said = {"remove": "person 1 has been removed", "leave_out": "Person 1 is left out"}[action]
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = add_person(store, stage)
        enter_name(page)
        page.keyboard.press({"regions": "F3", "points": "F4"}[stage])
        page.locator({"regions": "#finish-regions", "points": "#points-left"}[stage]).wait_for()
        lose(store, person)
        getattr(store, action)(person, OTHER)
        store.release(person, OTHER)
        if stage == "regions":
            draw_stroke(page)
        else:
            page.keyboard.press("Space")
        page.locator("#messages div", has_text=said).wait_for()
        page.locator(".card").wait_for()
        # the next person has another number
        assert store.add_person(1, [10, 10, 40, 40], OTHER).id == 2


def test_a_person_whom_somebody_else_holds(tmp_path):
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = add_person(store)
        enter_name(page)
        page.keyboard.press("F2")
        page.locator(".list button").click()
        store.lease(person, OTHER)
        page.keyboard.press("Enter")
        page.locator("#messages .error", has_text="Bob is working on person 1").wait_for()
        page.locator(".card").wait_for()  # not an empty panel
        page.keyboard.press("F3")
        page.locator("#panel", has_text="1 person left, for other annotators").wait_for()
        assert page.evaluate("!annotation.person")
        assert store.leases.holder(person) == "Bob"


def test_answers_belong_to_the_name_on_the_screen(tmp_path):
    with serving(tmp_path, annotators=2) as (address, store), browsing(address) as page:
        person = add_person(store, "points")
        enter_name(page)
        page.keyboard.press("F4")
        page.locator("#points-left").wait_for()
        page.keyboard.press("Space")
        page.locator("#points-left", has_text="1 of").wait_for()
        page.fill("#name", "Eve")
        page.keyboard.press("Enter")
        page.locator("#points-left", has_text="0 of").wait_for()
        page.keyboard.press("Space")
        page.locator("#points-left", has_text="1 of").wait_for()
        found = store.project.people[person]
        assert found.annotators == ["Ada", "Eve"]
        assert [list(answers) for answers in found.answers] == [[0], [0]]


def test_continue_finds_what_this_annotator_can_do(tmp_path):
    make_pictures(tmp_path / "pictures", 2)
    with serving(tmp_path, annotators=2) as (address, store), browsing(address) as page:
        person = add_person(store, "points")
        store.lease(person, WHO)
        store.finish_points(person, WHO)
        store.release(person, WHO)
        enter_name(page)
        page.keyboard.press("c")
        page.locator("#boxes-done").wait_for()
        assert store.leases.holder(person) is None
        page.fill("#name", "Eve")
        page.keyboard.press("F1")  # also from the field
        page.locator(".card").first.wait_for()
        page.keyboard.press("c")
        page.locator("#points-left").wait_for()
        assert store.leases.holder(person) == "Eve"
        assert page.evaluate("annotation.person.id") == person


def test_two_fingers_draw_nothing(tmp_path):
    with serving(tmp_path) as (address, store), browsing(address, has_touch=True) as page:
        person = add_person(store)
        open_regions(page)
        for tool in "bpg":
            page.keyboard.press(tool)
            pinch(page, 120)
            assert page.evaluate("annotation.stage.corners.length") == 0
            assert page.evaluate("annotation.stage.map.every((region) => !region)")
        assert np.all(store.project.people[person].regions is None)


def test_a_damaged_picture_is_said_to_be_damaged(tmp_path):
    path = make_pictures(tmp_path / "pictures") / "1.png"
    store = open_store(tmp_path)
    path.write_bytes(b"nothing")
    app = make_app(store, views())
    with contextlib.closing(store), served(app) as address, browsing(address) as page:
        enter_name(page)
        page.keyboard.press("F2")
        said = page.locator("#messages .error", has_text="1.png")
        said.wait_for()
        assert said.inner_text().count("1.png") == 1
        assert page.evaluate("annotation.viewport.small === null")
        page.keyboard.press("F1")
        page.locator(".card").wait_for()  # the page goes on
        assert page.locator(".card").count() == 1


def test_messages_take_no_clicks(tmp_path):
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = add_person(store)
        open_regions(page)
        page.locator("#tool-polygon").wait_for()
        text = "long " * 400
        page.evaluate("async text => (await import('/static/dom.js')).say(text, true)", text)
        page.locator("#messages .error").wait_for()
        page.locator("#panel button", has_text="leave out").click()
        page.locator("h2", has_text="No regions to draw").wait_for()
        assert store.project.people[person].stage == "left out"


def test_a_narrow_window_lists_the_keys(tmp_path):
    with serving(tmp_path) as (address, _), browsing(address) as page:
        page.set_viewport_size({"width": 375, "height": 667})
        enter_name(page)
        page.keyboard.press("F2")
        page.locator("#boxes-done").wait_for()
        assert "null" not in page.locator("#panel").inner_text()
        page.keyboard.press("?")
        assert page.locator("#dialog kbd").first.is_visible()
