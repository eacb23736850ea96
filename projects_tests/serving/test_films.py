"""Films: drawn one at a time, between the pictures of others."""

import threading
import time

import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx2")
from starlette.testclient import TestClient

from densepose_ext.serving.films import KEPT
from densepose_ext.serving.limits import Limits
from densepose_ext.video import VideoReader
from projects_tests.serving.stand_in import HERE, StandIn, app, picture_file
from projects_tests.video.moving_square import write_video

FRAMES = 5
LIMITS = Limits(megapixels=0.01, film_megabytes=0.2, film_frames=FRAMES)


class Stepwise(StandIn):
    """Waits before each frame of a film until it may go on; not for pictures."""

    def __init__(self):
        super().__init__()
        self.steps, self.asked = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, picture):
        if picture.shape[:2] == (48, 64):
            self.asked.release()
            assert self.steps.acquire(timeout=20)
        return super().__call__(picture)


def client(predictor=StandIn, limits=LIMITS) -> TestClient:
    return TestClient(app(limits, predictor=predictor), base_url=HERE)


@pytest.fixture(scope="module")
def service():
    with client() as made:
        yield made


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> bytes:
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", FRAMES).read_bytes()


def ended(service, address: str) -> dict:
    """What the address of a film says when the work has ended."""
    for _ in range(2000):
        answer = service.get(address).json()
        if answer["status"] != "running":
            return answer
        time.sleep(0.01)
    raise AssertionError(answer)


def test_a_film_is_drawn(service, film, tmp_path):
    begun = service.post("/video?draw=iuv&min_score=0.7&smooth=0.5", content=film)
    assert begun.status_code == 202
    address = begun.headers["location"]
    assert begun.json()["of"] == FRAMES
    assert begun.json()["id"] in address
    answer = ended(service, address)
    assert (answer["status"], answer["frames"], answer["of"]) == ("done", FRAMES, FRAMES)
    drawn = service.get(answer["film"])
    assert drawn.headers["content-type"] == "video/mp4"
    (tmp_path / "drawn.mp4").write_bytes(drawn.content)
    with VideoReader(tmp_path / "drawn.mp4") as video:
        pictures = [frame.picture for frame in video]
    assert len(pictures) == FRAMES
    assert pictures[0].shape == (48, 64, 3)
    assert pictures[0][30:].max() < 30  # iuv is black where nobody is
    part = service.get(answer["film"], headers={"Range": "bytes=0-9"})
    assert part.content == drawn.content[:10]  # players jump
    assert service.delete(address).status_code == 204
    assert service.get(address).status_code == service.get(answer["film"]).status_code == 404


def test_a_form(service, film):
    begun = service.post("/video", files={"file": ("film.mp4", film, "video/mp4")})
    assert begun.status_code == 202
    assert ended(service, begun.headers["location"])["status"] == "done"


def test_pictures_in_between_are_answered(film):
    network = Stepwise()
    with client(lambda *_, **__: network) as service:
        address = service.post("/video", content=film).headers["location"]
        answers = []

        def post(blue):
            answers.append(service.post("/predict", content=picture_file(blue)).status_code)

        for frame in range(FRAMES):
            assert network.asked.acquire(timeout=20)
            thread = threading.Thread(target=post, args=(frame,))
            thread.start()
            while not service.app.state.service.worker.waiting:
                time.sleep(0.002)
            network.steps.release()
            thread.join()
        assert answers == [200] * FRAMES
        assert ended(service, address)["status"] == "done"


def test_one_at_a_time_until_it_is_stopped(film):
    network = Stepwise()
    with client(lambda *_, **__: network) as service:
        address = service.post("/video", content=film).headers["location"]
        network.steps.release(FRAMES - 1)  # the last one waits, however slow this machine is
        while service.get(address).json()["frames"] < 1:
            time.sleep(0.01)
        assert service.get(address).json()["status"] == "running"
        unfinished = service.get(f"{address}/film")
        assert unfinished.status_code == 409
        assert "not finished" in unfinished.json()["error"]
        refused = service.post("/video", content=film)
        assert refused.status_code == 503
        assert refused.json()["error"] == "another video is in progress"
        assert int(refused.headers["retry-after"]) >= 1
        network.steps.release(2 * FRAMES)
        assert service.delete(address).status_code == 204
        assert service.get(address).status_code == 404
        network.steps.release(2 * FRAMES)
        assert service.post("/video", content=film).status_code == 202


@pytest.mark.parametrize("is_running", [True, False])
def test_nothing_is_left_at_the_end(film, tmp_path, monkeypatch, is_running):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    network = Stepwise()
    if not is_running:
        network.steps.release(FRAMES)
    with client(lambda *_, **__: network) as service:
        address = service.post("/video", content=film).headers["location"]
        assert network.asked.acquire(timeout=20)
        if not is_running:
            ended(service, address)
        assert list(tmp_path.rglob("*.*"))
        # the frame in progress ends while the server waits for it
        threading.Timer(0.1, network.steps.release, (FRAMES,)).start()
    assert not list(tmp_path.iterdir())


def test_the_last_results_are_kept(service, film, tmp_path):
    addresses = []
    for _ in range(KEPT + 1):
        addresses.append(service.post("/video", content=film).headers["location"])
        ended(service, addresses[-1])
    assert [service.get(one).status_code for one in addresses] == [404] + [200] * KEPT


def of(path, **settings) -> bytes:
    return write_video(path, **settings).read_bytes()


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("draw=wings", 400, "there is no drawing 'wings'; there are: parts, u"),
        ("format=iuv", 400, "there is no option 'format'; there are: model"),
        ("model=nobody", 400, "there is no model 'nobody'"),
        ("min_score=0.1", 400, "min_score is 0.1; expected 0.2 to 1"),
        ("smooth=1", 400, "smooth is '1'; expected a number from 0 to below 1"),
        ("smooth=much", 400, "smooth is 'much'"),
    ],
)
def test_wrong_options(service, film, query, status, reason):
    answer = service.post(f"/video?{query}", content=film)
    assert answer.status_code == status
    assert reason in answer.json()["error"]


BAD_FILMS = {
    "nothing": (lambda film, path: b"", 400, "the upload is empty"),
    "a picture": (lambda film, path: picture_file(), 415, "not a video in a known format (MP4"),
    "a list of other files": (
        lambda film, path: b"#EXTM3U\n#EXTINF:1,\na.ts\n",
        415,
        "not a video",
    ),
    "a head": (lambda film, path: film[:40] + bytes(200), 400, "damaged: it cannot be read"),
    "much": (lambda film, path: bytes(300_000), 413, "more than 0.2 MB"),
    "long": (lambda film, path: of(path, frames=FRAMES + 1), 413, "6 frames; expected at most 5"),
    "large": (lambda film, path: of(path, frames=1, size=(120, 160)), 413, "0.0192 million pixels"),
}


@pytest.mark.parametrize(("make", "status", "reason"), BAD_FILMS.values(), ids=BAD_FILMS)
def test_bad_films(service, film, tmp_path, make, status, reason):
    answer = service.post("/video", content=make(film, tmp_path / "film.mp4"))
    assert answer.status_code == status, answer.text
    assert reason in answer.json()["error"]
    assert str(tmp_path) not in answer.text
    # the place is free again
    again = service.post("/video", content=film)
    assert ended(service, again.headers["location"])["status"] == "done"


def test_another_type(service, film):
    answer = service.post("/video", content=film, headers={"Content-Type": "image/png"})
    assert answer.status_code == 415
    assert "expected video/*" in answer.json()["error"]


def test_more_frames_than_the_file_says(film, tmp_path):
    """Matroska does not state a number of frames."""
    with client() as service:
        content = of(tmp_path / "film.mkv", frames=FRAMES + 1)
        begun = service.post("/video", content=content)
        if begun.status_code == 202:  # without PyAV the number is known
            assert begun.json()["of"] is None
            answer = ended(service, begun.headers["location"])
            assert answer["status"] == "failed"
            assert answer["error"] == f"the video has more than {FRAMES} frames"
            assert service.get(f"{begun.headers['location']}/film").status_code == 409


def test_a_model_that_fails(film):
    class Failing(StandIn):
        def __call__(self, picture):
            raise RuntimeError("out of memory")

    with client(Failing) as service:
        answer = ended(service, service.post("/video", content=film).headers["location"])
        assert answer["status"] == "failed"
        assert answer["error"] == "the server has failed: RuntimeError"
        assert service.post("/video", content=film).status_code == 202
