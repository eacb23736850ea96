"""The page in a real browser: a synthetic person, from the first click to the saved file."""

import json

import numpy as np
import pytest

from densepose_ext.data.annotation_file import read_annotations
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
    annotate_person,
    click_for,
    regions,
    true_iuv,
    truth,
    views,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("browser")]


def place(page, view: int, x: float, y: float) -> None:
    """Clicks on a pixel of a view, which may be turned."""
    found = page.locator(f'.view[data-view="{view}"]')
    found.scroll_into_view_if_needed()
    box = found.bounding_box()
    roll = page.evaluate("n => annotation.stage.grid.rolls[n]", view)
    angle = np.deg2rad(roll)
    size = found.evaluate("e => e.clientWidth")
    dx, dy = (x / views().side - 0.5) * size, (y / views().side - 0.5) * size
    turned = np.cos(angle) * dx - np.sin(angle) * dy, np.sin(angle) * dx + np.cos(angle) * dy
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(middle[0] + turned[0], middle[1] + turned[1])


def test_a_person_from_the_first_click_to_the_file(tmp_path):
    x, y, w, h = truth()["bbox"]
    with serving(tmp_path) as (address, store), browsing(address) as page:
        enter_name(page)
        page.locator(".card").click()
        page.locator("#boxes-done").wait_for()
        drag(page, on_canvas(page, x, y), on_canvas(page, x + w, y + h))
        page.locator(".list button").click()
        page.keyboard.press("Enter")

        # Stage 1: a stroke, a polygon around the person, a fill; then the truth in its place,
        # which a hand would take a hundred strokes for.
        page.locator("#finish-regions").wait_for()
        page.keyboard.press("t")
        drag(page, *(on_canvas(page, x + w * t, y + h * 0.4) for t in (0.3, 0.6)))
        page.keyboard.press("p")
        page.keyboard.press("h")
        for across, down in ((0.1, 0.05), (0.9, 0.05), (0.9, 0.2), (0.1, 0.2)):
            page.mouse.click(*on_canvas(page, x + w * across, y + h * down))
        page.keyboard.press("Enter")
        drawn = page.evaluate("[...annotation.stage.map]")
        assert {1, 14} <= set(drawn)
        page.keyboard.press("u")
        page.keyboard.press("u")
        assert set(page.evaluate("[...annotation.stage.map]")) == {0}
        page.evaluate(
            "map => { annotation.stage.map = Uint8Array.from(map); annotation.stage.changed(); }",
            regions().ravel().tolist(),
        )
        page.keyboard.press("n")

        # Stage 2: some points by a click, one by the keyboard, the rest is not to be told.
        page.locator("#points-left").wait_for()
        points = store.project.people[1].points
        clicked = {}
        while len(clicked) < 6:
            # Between two points, there is none for a moment.
            until(page, lambda: page.evaluate("annotation.stage.point") is not None)
            number = page.evaluate("annotation.stage.point")
            px, py, region = points[number]
            click = click_for(region, *true_iuv(px, py), margin=3)
            if click is None:
                page.keyboard.press("Space")
            else:
                place(page, *click)
                clicked[number] = true_iuv(px, py)
            until(page, lambda before=number: page.evaluate("annotation.stage.point") != before)
        assert page.locator(".mark").count() == 6  # on all views
        last = list(clicked)[-1]
        page.keyboard.press("u")
        until(page, lambda: page.evaluate("annotation.stage.point") == last)
        page.keyboard.press("1")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        until(page, lambda: page.evaluate("annotation.stage.point") != last)
        del clicked[last]
        page.keyboard.press("n")
        page.locator("#messages div", has_text="without an answer").wait_for()
        assert store.project.people[1].stage == "points"
        page.keyboard.press("n")

        page.locator("#accept").click()
        page.locator("#progress", has_text="1 of 1 people accepted").wait_for()
    [person] = read_annotations(tmp_path / "annotations.json").people
    assert np.allclose(person["bbox"], truth()["bbox"], atol=1.5)
    body = views().body
    places = body.points(person["dp_I"].astype(int), person["dp_U"], person["dp_V"])
    for true in clicked.values():
        expected = body.points(*(np.array([value]) for value in true))
        assert np.linalg.norm(places - expected, axis=1).min() < 0.02
    assert len(places) >= 6


def test_zoom_pan_and_the_keyboards_pointer(tmp_path):
    with serving(tmp_path) as (address, store), browsing(address) as page:
        enter_name(page)
        page.keyboard.press("F2")
        page.locator("#boxes-done").wait_for()
        point = on_canvas(page, 50, 60)
        page.mouse.move(*point)
        before = page.evaluate("annotation.viewport.scale")
        page.mouse.wheel(0, -400)
        until(page, lambda: page.evaluate("annotation.viewport.scale") > 1.5 * before)
        # the pixel under the pointer stays there
        assert np.allclose(on_canvas(page, 50, 60), point, atol=1)
        page.keyboard.press("0")
        assert page.evaluate("annotation.viewport.scale") == pytest.approx(before)
        page.focus("#canvas")
        for key in ("ArrowLeft", "Enter", *["ArrowLeft"] * 8, *["ArrowUp"] * 8, "Enter"):
            page.keyboard.press(key)
        page.locator(".list button").wait_for()
        [person] = store.project.people.values()
        side = 8 * 12 / before
        assert np.allclose(person.box[2:], side, atol=0.1)


def test_touch_and_the_dark(tmp_path):
    options = {"has_touch": True, "color_scheme": "dark"}
    with serving(tmp_path) as (address, _), browsing(address, **options) as page:
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.click("#theme")
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        enter_name(page)
        page.locator(".card").tap()
        page.locator("#boxes-done").wait_for()
        page.wait_for_timeout(300)
        before = page.evaluate("annotation.viewport.scale")
        pinch(page, 200)
        assert page.evaluate("annotation.viewport.scale") == pytest.approx(2 * before)


def test_review_shows_what_stands_out(tmp_path):
    with serving(tmp_path, annotators=2) as (address, store), browsing(address) as page:
        person = annotate_person(store)
        store.release(person, WHO)
        store.lease(person, OTHER)
        torso = [n for n, point in enumerate(store.project.people[person].points) if point[2] == 1]
        for number in torso:
            # a second annotator who has everything in one place
            place_view = np.argwhere(views().of(1)[0].face >= 0)
            row, column = place_view[len(place_view) // 2]
            store.place(person, number, 0, column + 0.5, row + 0.5, OTHER)
        store.finish_points(person, OTHER)
        store.release(person, OTHER)
        enter_name(page)
        page.keyboard.press("F5")
        page.locator(".list button").first.wait_for()
        assert page.locator(".list button").count() >= len(torso)
        assert "cm apart" in page.locator(".list").inner_text()
        page.locator(".list button", has_text="apart").first.click()
        page.locator(".mark.second").first.wait_for()
        assert page.locator(".mark").count() == 12
        point = page.evaluate("annotation.stage.point")
        page.keyboard.press("2")
        page.locator('button[aria-pressed="true"]', has_text="Bob's").wait_for()
        assert store.project.people[person].taken == {point: 1}
        page.keyboard.press("b")
        page.fill("#dialog input", "the torso")
        page.keyboard.press("Enter")
        page.locator("h2", has_text="Nobody to review").wait_for()
        found = store.project.people[person]
        assert (found.stage, found.note) == ("points", "the torso")


def test_keys_while_nobody_is_open(tmp_path):
    with serving(tmp_path) as (address, _), browsing(address) as page:
        enter_name(page)
        for stage, title in (
            ("F3", "No regions to draw"),
            ("F4", "No points to place"),
            ("F5", "Nobody to review"),
        ):
            page.keyboard.press(stage)
            page.locator("h2", has_text=title).wait_for()
            for key in "lnmiusjab1.":
                page.keyboard.press(key)
            page.wait_for_timeout(100)
            assert not has_error(page)


def test_the_last_stage_asked_for_is_shown(tmp_path):
    """Also if the answers for an earlier one come later."""
    with serving(tmp_path) as (address, _), browsing(address) as page:
        enter_name(page)
        for end in ("next", "project"):
            page.evaluate(DELAY, [end, 300])
            page.keyboard.press("F3")
            page.keyboard.press("F4")
            page.wait_for_timeout(600)
            page.locator("#tab-points[aria-current]").wait_for()
            assert page.locator("h2").inner_text() == "No points to place"


def finished_person(store) -> int:
    """A person to review, whom nobody holds."""
    person = annotate_person(store)
    store.release(person, WHO)
    return person


def test_a_person_stays_held_from_stage_to_stage(tmp_path):
    """Also if the release for the stage before takes long."""
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = finished_person(store)
        enter_name(page)
        page.keyboard.press("F5")
        page.locator("#accept:enabled").wait_for()
        page.evaluate(DELAY, ["release", 300])
        page.evaluate("person => { annotation.go('review', { person }); }", person)
        until(page, lambda: page.evaluate("annotation.person === null"))
        page.locator("#accept").click()  # of the new panel: the old one is inert
        page.locator("#progress", has_text="1 of 1 people accepted").wait_for()
        assert not has_error(page)


def test_nobody_is_accepted_before_their_points_are_checked(tmp_path):
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = finished_person(store)
        enter_name(page)
        page.evaluate(DELAY, ["review", 1000])
        page.keyboard.press("F5")
        page.locator("#panel", has_text="Looking for points that may be wrong").wait_for()
        assert page.locator("#accept").is_disabled()
        page.keyboard.press("a")
        page.locator("#accept:enabled").wait_for()
        assert store.project.people[person].stage == "review"
        page.keyboard.press("a")
        page.locator("#progress", has_text="1 of 1 people accepted").wait_for()


def test_a_check_that_fails_does_not_stop_a_review(tmp_path):
    with serving(tmp_path) as (address, store), browsing(address) as page:
        finished_person(store)
        enter_name(page)
        page.route("**/review", lambda route: route.fulfill(status=500, body="out of memory"))
        page.keyboard.press("F5")
        page.locator("#messages .error", has_text="out of memory").wait_for()
        page.locator("#panel", has_text="could not be checked").wait_for()
        page.locator("#accept").click()
        page.locator("#progress", has_text="1 of 1 people accepted").wait_for()


def test_keys_pressed_twice_act_once(tmp_path):
    """Before the server has answered the first time."""
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = store.add_person(1, truth()["bbox"], WHO).id
        store.lease(person, WHO)
        store.paint(person, regions(), WHO)
        store.release(person, WHO)
        open_regions(page)
        page.evaluate(DELAY, ["finish_regions", 300])
        page.keyboard.press("n")
        page.keyboard.press("n")

        page.locator("#points-left").wait_for()
        page.evaluate(DELAY, ["cannot_tell", 300])
        page.keyboard.press("Space")
        page.keyboard.press("Space")
        until(page, lambda: page.evaluate("annotation.stage.point") == 1)
        page.keyboard.press("u")
        until(page, lambda: page.evaluate("annotation.stage.point") == 0)
        assert store.project.people[person].answers == [{}]
        assert page.locator("#undo").is_disabled()

        page.keyboard.press("n")  # asks
        page.evaluate(DELAY, ["finish_points", 300])
        page.keyboard.press("n")
        page.keyboard.press("n")
        page.locator("#accept:enabled").wait_for()
        page.evaluate(DELAY, ["accept", 300])
        page.keyboard.press("a")
        page.keyboard.press("a")
        page.locator("#progress", has_text="1 of 1 people accepted").wait_for()
        assert not has_error(page)


def test_what_cannot_be_is_said(tmp_path):
    with serving(tmp_path) as (address, store), browsing(address) as page:
        enter_name(page)
        page.keyboard.press("F2")
        page.locator("#boxes-done").wait_for()
        drag(page, *(on_canvas(page, x, 60) for x in (40, 120)))
        page.locator("#messages div", has_text="at least 4 pixels").wait_for()
        page.evaluate("document.getElementById('messages').replaceChildren()")
        drag(page, on_canvas(page, 40, -9), on_canvas(page, 120, 2))  # two pixels in the picture
        page.locator("#messages div", has_text="at least 4 pixels").wait_for()
        assert not has_error(page)
        assert not store.project.people

        person = store.add_person(1, truth()["bbox"], WHO).id
        store.lease(person, WHO)
        store.paint(person, regions(), WHO)
        store.finish_regions(person, WHO)
        store.release(person, WHO)
        page.keyboard.press("F4")
        page.locator("#finish-points").wait_for()
        views = page.locator(".view")
        assert [views.nth(n).get_attribute("aria-label") for n in (0, 5)] == ["view 1", "view 6"]
        box = views.nth(0).bounding_box()
        page.mouse.click(box["x"] + 4, box["y"] + 4)
        page.locator("#messages .error", has_text="this place is not on the").wait_for()
        assert not store.project.people[person].answers

        page.keyboard.press("?")
        page.locator("#dialog[open]").wait_for()
        assert page.locator("#dialog").evaluate("dialog => dialog.scrollTop") == 0


def test_somebody_else_has_changed_the_person(tmp_path):
    """What was drawn too late is refused, and the page shows what is saved."""
    with serving(tmp_path) as (address, store), browsing(address) as page:
        person = store.add_person(1, truth()["bbox"], OTHER).id
        open_regions(page)
        # the lease runs out, as when the machine sleeps, and another one works on the person
        store.leases._held.clear()
        store.lease(person, OTHER)
        store.paint(person, regions(), OTHER)
        store.release(person, OTHER)
        x, y, w, h = truth()["bbox"]
        drag(page, *(on_canvas(page, x + w * t, y + h * 0.4) for t in (0.3, 0.6)))
        page.locator("#messages .error").first.wait_for()
        page.locator("#messages div", has_text="open the person again").first.wait_for()
        expected = regions().ravel().tolist()
        until(page, lambda: page.evaluate("[...annotation.stage.map]") == expected)
        lines = (tmp_path / "annotations.json.log.jsonl").read_text().splitlines()
        assert [json.loads(line)["by"] for line in lines if '"paint"' in line] == ["Bob"]
