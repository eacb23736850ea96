"""The API answers what the predictor finds."""

import base64
import io
import json

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("starlette")
pytest.importorskip("httpx2")
from starlette.testclient import TestClient

from densepose_ext import DensePosePredictor
from densepose_ext.prediction.people import People
from densepose_ext.serving.finder import Finder
from densepose_ext.serving.formats import ANSWERS
from densepose_ext.serving.models import Models
from densepose_ext.serving.server import make_app
from densepose_ext.structures import Person, VertexResult
from projects_tests.serving.stand_in import HERE, StandIn, app, models, picture_file
from projects_tests.tiny_model import CONFIG, tiny_model


def client(*arguments, **settings) -> TestClient:
    return TestClient(app(*arguments, **settings), base_url=HERE, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def service():
    with client() as made:
        yield made


def blue_of(entry: dict) -> int:
    """The blue of the picture in which a stand-in has found a person."""
    png = np.frombuffer(base64.b64decode(entry["uv_data"]), np.uint8)
    return int(cv2.imdecode(png, cv2.IMREAD_COLOR)[0, 0, 1])


@pytest.mark.slow
def test_round_trip_of_the_tiny_model(tmp_path):
    weights = tmp_path / "tiny.pth"
    torch.save({"model": tiny_model().state_dict()}, weights)
    noise = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    expected = DensePosePredictor(CONFIG, weights, "cpu", min_score=0.05)(noise)
    content = cv2.imencode(".png", noise)[1].tobytes()

    def opening(source, min_score, **settings):
        return DensePosePredictor(CONFIG, weights, "cpu", min_score=min_score)

    application = make_app(Models((), 0.05, opening=opening))
    with TestClient(application, base_url=HERE) as service:
        answer = service.post("/predict?format=npz&min_score=0.05", content=content)
        found = People.from_arrays(np.load(io.BytesIO(answer.content)))
        assert len(found) == len(expected) > 1
        assert found.size == expected.size == (90, 130)
        for person, other in zip(found, expected):
            np.testing.assert_array_equal(person.box, other.box)
            assert person.score == other.score
            assert torch.equal(person.result.labels, other.result.labels)
            assert torch.equal(person.result.uv, other.result.uv)
        answer = service.post("/predict?min_score=0.05", files={"file": content}).json()
        assert (answer["width"], answer["height"]) == (130, 90)
        assert answer["people"] == expected.to_json()
        answer = service.post("/predict?format=iuv&min_score=0.05", content=content)
        iuv = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        np.testing.assert_array_equal(iuv[..., ::-1], expected.to_iuv())
        answer = service.post(f"/predict?min_score={expected[1].score}", content=content).json()
        assert answer["people"] == expected.to_json()[:2]


@pytest.mark.parametrize("name", ANSWERS)
def test_every_format(service, name):
    answer = service.post(f"/predict?format={name}", content=picture_file())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == ANSWERS[name].media
    assert ANSWERS[name].ending in answer.headers["content-disposition"]
    if ANSWERS[name].media.startswith("image/"):
        picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert picture.shape[:2] == (12, 16)


@pytest.mark.parametrize("ending", ["jpeg", "png", "webp", "gif", "bmp", "tiff"])
def test_every_kind_of_picture(service, ending):
    answer = service.post("/predict", content=picture_file(ending=ending))
    assert answer.status_code == 200
    assert len(answer.json()["people"]) == 2


@pytest.mark.parametrize(
    "sent",
    [
        {"content": picture_file(70)},
        {"content": picture_file(70), "headers": {"Content-Type": "image/png"}},
        {"content": picture_file(70), "headers": {"Content-Type": "image/jpeg; a=b"}},
        {"content": picture_file(70), "headers": {"Content-Type": "application/octet-stream"}},
        {"files": {"file": picture_file(70)}},
        {"files": {"picture": ("Ä b.png", picture_file(70), "text/html")}},
        # decoders ignore what follows a PNG
        {"files": {"file": picture_file(70) + b"\r\n--\r\n\r\n\r\n"}},
    ],
)
def test_ways_to_send_one(service, sent):
    answer = service.post("/predict", **sent)
    assert answer.status_code == 200, answer.text
    assert blue_of(answer.json()["people"][0]) == 70


def test_scores(service):
    def scores(query: str) -> list[float]:
        people = service.post(f"/predict{query}", content=picture_file()).json()["people"]
        return [entry["score"] for entry in people]

    assert scores("") == [0.9, 0.6]
    assert scores("?min_score=0.3") == [0.9, 0.6, 0.3]
    assert scores("?min_score=0.61") == [0.9]
    assert scores("?min_score=1") == []


def test_a_picture_is_looked_at_once():
    found = StandIn()
    with client(predictor=lambda *_, **__: found) as service:
        for _ in range(3):
            for form in ("json", "contour", "npz"):
                service.post(f"/predict?format={form}&min_score=.4", content=picture_file(1))
        assert found.calls == 1
        service.post("/predict", content=picture_file(2))
        assert found.calls == 2


def test_what_is_remembered_has_a_limit():
    found = StandIn()
    finder = Finder(models(predictor=lambda *_, **__: found), remembered=5000)
    for blue in [*range(50), 49, 49, 0]:
        finder.find(picture_file(blue), next(iter(finder._models.choices)), None)
    assert finder._size <= 5000
    assert 1 <= len(finder._known) < 10
    assert found.calls == 51


class TestModels:
    def test_what_there_is(self, tmp_path):
        (tmp_path / "exported").mkdir()
        (tmp_path / "exported" / "model.json").write_text("{}")
        offered = models(str(tmp_path / "exported"), "some.yaml")
        with TestClient(make_app(offered), base_url=HERE) as service:
            found = service.get("/models").json()
            assert found["default"] == "exported"
            assert found["formats"].keys() == ANSWERS.keys()
            kinds = [model["kind"] for model in found["models"]]
            assert kinds[:3] == ["exported", "config", "shipped"]
            assert [model["loaded"] for model in found["models"]][:3] == [True, True, False]
            name = found["models"][2]["name"]
            answer = service.post(f"/predict?model={name}", content=picture_file())
            assert answer.json()["model"] == name
            assert service.get("/models").json()["models"][2]["loaded"] is True

    def test_names_are_distinct(self):
        assert list(models("a/one.yaml", "b/one.yaml").choices)[:2] == ["one", "one (2)"]

    def test_an_exported_one_has_a_lowest_score_of_its_own(self, tmp_path):
        (tmp_path / "model.json").write_text("{}")
        offered = models(str(tmp_path), predictor=lambda *_, **__: StandIn(min_score=0.7))
        with TestClient(make_app(offered), base_url=HERE) as service:
            assert service.get("/models").json()["models"][0]["min_score"] == 0.7
            answer = service.post("/predict?min_score=0.5", content=picture_file())
            assert answer.status_code == 400
            assert "min_score is 0.5; expected 0.7 to 1" in answer.json()["error"]
            assert len(service.post("/predict", content=picture_file()).json()["people"]) == 1

    def test_one_that_cannot_be_opened(self):
        def opening(source, **settings):
            if source != "good.yaml":
                raise FileNotFoundError(f"{source}: no such file")
            return StandIn()

        offered = Models(["good.yaml"], opening=opening)
        other = list(offered.choices)[1]
        with TestClient(make_app(offered), base_url=HERE) as service:
            answer = service.post(f"/predict?model={other}", content=picture_file())
            assert answer.status_code == 500
            assert answer.json()["error"].endswith("no such file")
            assert service.post("/predict", content=picture_file()).status_code == 200
        with pytest.raises(FileNotFoundError, match=r"bad.yaml"):
            Models(["good.yaml", "bad.yaml"], opening=opening)


def test_health_and_description(service):
    health = service.get("/health").json()
    assert health["status"] == "ok"
    assert (health["requests"], health["most_requests"]) == (0, 16)
    described = service.get("/openapi.json").json()
    assert described["openapi"].startswith("3.")
    parameters = described["paths"]["/predict"]["post"]["parameters"]
    options = {one["name"]: one["schema"] for one in parameters}
    assert options["format"]["enum"] == list(ANSWERS)
    assert options["min_score"]["default"] == 0.5
    for reference in json.dumps(described).split('"$ref": "#/')[1:]:
        place = described
        for key in reference.split('"')[0].split("/"):
            place = place[key]
    parameters = described["paths"]["/video"]["post"]["parameters"]
    assert [one["name"] for one in parameters] == ["model", "min_score", "draw", "smooth"]
    assert service.get("/predict").status_code == 405
    assert service.get("/nothing").json() == {"error": "there is no /nothing"}


def test_what_the_page_needs(service):
    assert "<title>" in service.get("/").text
    body = service.get("/body").content
    count, faces = np.frombuffer(body[:8], "<u4")
    assert len(body) == 8 + count * (12 + 12 + 8 + 1) + faces * 6
    colours = service.get("/colours").json()
    assert len(colours["parts"]) == len(colours["part_colours"]) == 25
    assert service.get("/static/../server.py").status_code == 404


def test_a_token_is_needed():
    with TestClient(app(token="secret"), base_url="http://192.0.2.1:8000") as service:
        assert service.post("/predict", content=picture_file()).status_code == 401
        bearer = {"Authorization": "Bearer secret"}
        answer = service.post("/predict", content=picture_file(), headers=bearer)
        assert answer.status_code == 200


def test_a_model_of_vertices():
    class OfVertices(StandIn):
        def __call__(self, picture):
            labels, vertices = torch.ones(4, 6, dtype=torch.uint8), torch.ones(4, 6).int()
            result = VertexResult(labels, vertices, "cat_7466")
            return People([Person(np.arange(4.0), 0.9, result)], picture.shape[:2])

    with client(predictor=OfVertices) as service:
        (person,) = service.post("/predict", content=picture_file()).json()["people"]
        assert person["ref_model"] == "cat_7466"
        assert service.post("/predict?format=mask", content=picture_file()).status_code == 200
        answer = service.post("/predict?format=iuv", content=picture_file())
        assert answer.status_code == 422
        assert "the mesh cat_7466 has no charts" in answer.json()["error"]


def test_a_model_that_fails():
    class Failing(StandIn):
        def __call__(self, picture):
            if picture[0, 0, 0] == 13:
                raise RuntimeError("out of memory")
            return super().__call__(picture)

    with client(predictor=Failing) as service:
        answer = service.post("/predict", content=picture_file(13))
        assert answer.status_code == 500
        assert answer.json() == {"error": "the server has failed: RuntimeError"}
        assert service.post("/predict", content=picture_file(14)).status_code == 200
