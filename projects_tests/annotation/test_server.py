"""The API, as a page calls it, and what is refused."""

import contextlib
import json
import os
import signal
import subprocess
import urllib.request

import cv2
import numpy as np
import pytest
from PIL import Image

from densepose_ext.processes.bare import command
from projects_tests.annotation.small_project import (
    annotate_person,
    click_for,
    open_store,
    regions,
    true_iuv,
    truth,
    views,
)
from projects_tests.reference import ROOT

pytest.importorskip("starlette")
pytest.importorskip("httpx2")
from starlette.testclient import TestClient

from densepose_ext.annotation.page_data import map_of_runs, map_runs
from densepose_ext.annotation.proposals import Found, Proposals
from densepose_ext.annotation.server import make_app
from densepose_ext.annotation.store import Who

ADA = {"X-Session": "page 1", "X-Annotator": "Ada"}
BOB = {"X-Session": "page 2", "X-Annotator": "B%C3%B6b"}
HERE = "http://127.0.0.1:8765"


@pytest.fixture
def store(tmp_path):
    with contextlib.closing(open_store(tmp_path)) as made:
        yield made


@pytest.fixture
def client(store):
    return TestClient(make_app(store, views()), base_url=HERE, headers=ADA)


def act(client, action: str, headers=ADA, **values):
    answer = client.post(f"/api/{action}", json=values, headers=headers)
    return answer.status_code, answer.json()


@pytest.mark.slow
def test_from_a_box_to_review(client, store):
    status, person = act(client, "add_person", image=1, box=truth()["bbox"])
    assert (status, person) == (200, {"person": 1, "version": 1, "stage": "regions"})
    act(client, "lease", person=1)
    status, found = act(client, "paint", person=1, version=1, runs=map_runs(regions()))
    assert status == 200
    status, found = act(client, "finish_regions", person=1, version=found["version"])
    assert found["stage"] == "points"
    shown = client.get("/api/people/1").json()
    assert (map_of_runs(shown["runs"]) == regions()).all()
    number = next(n for n, p in enumerate(shown["points"]) if click_for(p[2], *true_iuv(*p[:2])))
    x, y, region = shown["points"][number]
    view, at_x, at_y = click_for(region, *true_iuv(x, y))
    status, found = act(client, "place", person=1, point=number, view=view, x=at_x, y=at_y)
    assert status == 200
    [marks] = found["marks"]["layers"]
    assert marks[view] == [pytest.approx(at_x, abs=0.6), pytest.approx(at_y, abs=0.6), True]
    assert client.get("/api/people/1").json()["answers"][str(number)]["view"] == view
    turn = client.get(f"/api/people/1/views/{region}").json()
    assert len(turn["rolls"]) == 6
    status, found = act(client, "finish_points", person=1)
    assert found["stage"] == "review"
    assert client.get("/api/people/1/review").json() == {"suspicions": [], "apart": {}}
    act(client, "accept", person=1)
    assert client.get("/api/project").json()["counts"]["accepted"] == 1


def test_two_pages(client):
    act(client, "add_person", image=1, box=truth()["bbox"])
    assert act(client, "next", stage="regions")[1]["person"] == 1
    status, error = act(client, "lease", BOB, person=1)
    assert (status, error) == (409, {"error": "Ada is working on person 1"})
    assert act(client, "next", BOB, stage="regions")[1] == {"person": None}
    status, _ = act(client, "paint", BOB, person=1, runs=map_runs(regions()))
    assert status == 409
    act(client, "release", person=1)
    assert act(client, "lease", BOB, person=1)[0] == 200
    assert client.get("/api/project").json()["pictures"][0]["people"][0]["holder"] == "Böb"


@pytest.mark.slow
def test_the_first_annotators_points_are_hidden_from_the_second(tmp_path):
    with contextlib.closing(open_store(tmp_path, annotators=2)) as store:
        client = TestClient(make_app(store, views()), base_url=HERE)
        annotate_person(store, Who("Ada", "page 1"))
        store.release(1, Who("Ada", "page 1"))
        act(client, "lease", BOB, person=1)
        shown = client.get("/api/people/1", headers=BOB).json()
        assert (shown["layer"], shown["answers"]) == (1, {})
        marks = client.get("/api/people/1/marks/0", headers=BOB).json()
        assert marks["layers"] == [None]
        point = next(n for n, a in store.project.people[1].answers[0].items() if a.part)
        x, y, region = shown["points"][point]
        click = click_for(region, *true_iuv(x, y))
        act(client, "place", BOB, person=1, point=point, view=click[0], x=click[1], y=click[2])
        act(client, "finish_points", BOB, person=1)
        review = client.get("/api/people/1/review", headers=BOB).json()
        assert review["apart"] == {str(point): 0.0}
        assert len(client.get("/api/people/1", headers=BOB).json()["layers"]) == 2


class TestPictures:
    def decoded(self, answer) -> np.ndarray:
        assert answer.status_code == 200
        return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)

    def test_small_and_in_tiles(self, client):
        assert self.decoded(client.get("/pictures/1?side=50")).shape == (50, 50, 3)
        assert self.decoded(client.get("/pictures/1")).shape == (192, 192, 3)
        assert self.decoded(client.get("/pictures/1/0/0")).shape == (192, 192, 3)
        assert client.get("/pictures/1/1/0").status_code == 400
        assert client.get("/pictures/2").status_code == 400

    def test_a_large_one(self, store, client, tmp_path):
        store.close()
        rng = np.random.default_rng(0)
        large = cv2.resize(rng.integers(0, 256, (30, 40, 3), np.uint8), (2600, 1100))
        cv2.imwrite(str(tmp_path / "pictures" / "large.png"), large)
        with contextlib.closing(open_store(tmp_path)) as store:
            client = TestClient(make_app(store, views()), base_url=HERE)
            assert self.decoded(client.get("/pictures/2?side=1600")).shape == (677, 1600, 3)
            tile = self.decoded(client.get("/pictures/2/2/1"))
            assert tile.shape == (1100 - 1024, 2600 - 2048, 3)
            difference = np.abs(tile.astype(int) - large[1024:, 2048:])
            assert difference.mean() < 2

    def test_a_large_photograph_on_its_side(self, store, tmp_path):
        """Phones store how the picture is to be turned."""
        store.close()
        shaded = np.zeros((900, 1200, 3), np.uint8)
        shaded[:300] = 255  # white at the top, which is to be at the right
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(shaded).save(tmp_path / "pictures" / "phone.jpg", exif=exif)
        with contextlib.closing(open_store(tmp_path)) as store:
            client = TestClient(make_app(store, views()), base_url=HERE)
            for path, size in (("?side=1600", (1200, 900)), ("?side=120", (120, 90))):
                small = self.decoded(client.get(f"/pictures/2{path}"))
                assert small.shape[:2] == size
                assert small[:, -size[1] // 4 :].mean() > 250
                assert small[:, : size[1] // 4].mean() < 5

    def test_views_and_figure(self, client):
        assert self.decoded(client.get("/views/14/5")).shape == (160, 160, 3)
        assert self.decoded(client.get("/figure/3")).shape[2] == 4
        assert client.get("/views/15/0").status_code == 400

    def test_a_picture_that_is_replaced_by_a_link(self, client, tmp_path):
        outside = tmp_path / "outside.png"
        (tmp_path / "pictures" / "1.png").rename(outside)
        (tmp_path / "pictures" / "1.png").symlink_to(outside)
        answer = client.get("/pictures/1")
        assert answer.status_code == 400
        assert "outside" in answer.json()["error"]

    @pytest.mark.parametrize(
        "path", ["/static/../server.py", "/static/%2e%2e/server.py", "/pictures/../../etc/passwd"]
    )
    def test_paths_lead_nowhere_else(self, client, path):
        assert client.get(path).status_code in (400, 404)


class TestWhoMayTalk:
    def test_pages_of_other_sites(self, client):
        for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example"):
            assert client.get("/api/project", headers={"Host": host}).status_code == 403
        for host in ("localhost:8765", "127.0.0.1", "[::1]:8765"):
            assert client.get("/api/project", headers={"Host": host}).status_code == 200
        answer = client.post("/api/add_person", json={}, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403
        answer = client.post("/api/add_person", json={}, headers={"X-Session": ""})
        assert answer.status_code == 400
        assert "frame-ancestors 'none'" in client.get("/").headers["content-security-policy"]

    def test_a_token(self, store):
        app = make_app(store, views(), token="secret")
        client = TestClient(app, base_url="http://192.0.2.1:8765", follow_redirects=False)
        assert client.get("/").status_code == 401
        assert client.get("/?token=wrong").status_code == 401
        assert client.post("/api/add_person?token=secret", headers=ADA).status_code == 401
        answer = client.get("/?token=secret")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert client.get("/api/project").status_code == 200


@pytest.mark.parametrize(
    ("action", "values", "error"),
    [
        ("nonsense", {}, "there is no action nonsense"),
        ("add_person", {"image": 7, "box": [0, 0, 9, 9]}, "there is no picture 7"),
        ("add_person", {"image": 1}, "'box'"),
        ("add_person", {"image": 1, "box": ["a", 0, 9, 9]}, "could not convert"),
        ("lease", {"person": 5}, "there is no person 5"),
        ("paint", {"person": 1, "runs": [0, 5]}, "5 pixels, expected 65536"),
        ("paint", {"person": 1, "runs": [15, 65536]}, "expected 65536 of 0 to 14"),
        ("paint", {"person": 1, "runs": "x"}, "0 pixels"),
        ("add_person", {"image": 1, "box": [10**400, 0, 9, 9]}, "wrong type or size"),
        ("add_person", {"image": True, "box": [0, 0, 9, 9]}, "image is True, expected a whole"),
        ("place", {"person": 1, "point": 0, "view": 0, "x": None, "y": 0}, "wrong type"),
        ("place", {"person": 1, "point": "0", "view": 0, "x": 0, "y": 0}, "point is '0', expected"),
        ("place", {"person": 1, "point": 0, "view": 0.5, "x": 0, "y": 0}, "view is 0.5, expected"),
        ("send_back", {"person": 1, "stage": "accepted", "note": ""}, "expected regions or points"),
    ],
)
def test_what_makes_no_sense(client, action, values, error):
    status, answer = act(client, action, **values)
    assert status == 400
    assert error in answer["error"]


def test_bodies_that_are_no_json(client):
    assert client.post("/api/add_person", content=b"\xff{").status_code == 400
    assert client.post("/api/add_person", content=b"[]").status_code == 400
    assert client.post("/api/add_person", content=b" " * (1 << 21)).status_code == 413


def test_runs_are_maps():
    assert (map_of_runs(json.loads(json.dumps(map_runs(regions())))) == regions()).all()


class TestModel:
    @pytest.fixture
    def client(self, store):
        """A model that finds the person, all of it head, beside somebody else."""
        box = [float(value) for value in truth()["bbox"]]
        x, y, w, h = map(int, box)
        labels, uv = np.full((h, w), 23, np.uint8), np.full((2, h, w), 0.5, np.float32)
        proposals = Proposals(None)
        other = Found([0.0, 0.0, 5.0, 5.0], 0.99, (0, 0), labels[:5, :5], uv[:, :5, :5])
        proposals._find = lambda image: [other, Found(box, 0.9, (x, y), labels, uv)]
        proposals._files = type("Files", (), {"read": lambda self, picture: None})()
        return TestClient(make_app(store, views(), proposals), base_url=HERE, headers=ADA)

    def test_its_proposals(self, client):
        boxes = client.get("/api/pictures/1/boxes").json()["boxes"]
        assert [one["score"] for one in boxes] == [0.99, 0.9]
        act(client, "add_person", image=1, box=boxes[1]["box"])
        proposal = client.get("/api/people/1/proposal").json()
        assert proposal == {"found": True, "runs": [14, 65536]}

    def test_somebody_whom_it_does_not_find(self, client):
        act(client, "add_person", image=1, box=[150, 0, 20, 20])
        assert client.get("/api/people/1/proposal").json() == {"found": False, "runs": [0, 65536]}


def test_without_a_model(client):
    act(client, "add_person", image=1, box=truth()["bbox"])
    assert client.get("/api/people/1/proposal").status_code == 400
    assert client.get("/api/project").json()["hasModel"] is False


@pytest.mark.parametrize("region", [0, 15])
def test_views_of_a_region_that_does_not_exist(client, region):
    act(client, "add_person", image=1, box=truth()["bbox"])
    answer = client.get(f"/api/people/1/views/{region}")
    assert answer.status_code == 400
    assert answer.json()["error"] == f"region {region}, expected 1 to 14"


SERVER = """
import sys
from pathlib import Path
from densepose_ext.annotation.server import serve
from projects_tests.annotation.small_project import open_store, views
store = open_store(Path(sys.argv[1]))
serve(store, views(), port=0, announce=lambda address: print(address, flush=True))
"""


@pytest.mark.slow
def test_a_server_that_is_ended_has_written_the_file(tmp_path):
    process = subprocess.Popen(
        [*command(SERVER), str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    address = process.stdout.readline().strip()
    content = json.dumps({"image": 1, "box": truth()["bbox"]}).encode()
    request = urllib.request.Request(f"{address}api/add_person", content, ADA)
    assert json.load(urllib.request.urlopen(request, timeout=60))["person"] == 1
    process.terminate()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    written = json.loads((tmp_path / "annotations.json").read_text())
    assert len(written["annotations"]) == 1
