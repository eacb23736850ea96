"""Finding and reading unlabelled pictures and key frames of videos."""

import cv2
import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext import register_densepose_coco
from densepose_ext.bootstrapping.key_frames import key_frame_times, read_key_frame
from densepose_ext.bootstrapping.pictures import UnlabelledPictures, find_unlabelled
from densepose_ext.data.sampler import Sample
from projects_tests.tiny_dataset import make_dataset

KEY = "BOOTSTRAP_DATASETS[0]"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Thirty frames of uniform grey, 5 times their index; every tenth is a key frame."""
    av = pytest.importorskip("av")
    path = tmp_path_factory.mktemp("video") / "grey.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "10", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(30):
            picture = np.full((48, 64, 3), 5 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def folder(tmp_path, video):
    (tmp_path / "deep").mkdir()
    cv2.imwrite(str(tmp_path / "b.png"), np.full((20, 30, 3), 7, np.uint8))
    cv2.imwrite(str(tmp_path / "deep" / "a.png"), np.full((20, 30, 3), 8, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "clip.mp4").write_bytes(video.read_bytes())
    return tmp_path


def sample(image: int, position: int = 0) -> Sample:
    return Sample(image, 1, position, 0)


def names(found):
    return [(picture.path.rsplit("/", 1)[1], picture.key_frame) for picture in found]


@pytest.mark.parametrize(
    ("loader_type", "strategy", "count", "expected"),
    [
        ("", "random_k", 2, [("b.png", None), ("clip.mp4", -1), ("clip.mp4", -1), ("a.png", None)]),
        ("image", "random_k", 2, [("b.png", None), ("a.png", None)]),
        ("video_keyframe", "first_k", 2, [("clip.mp4", 0), ("clip.mp4", 1)]),
        ("video_keyframe", "all", 1, [("clip.mp4", 0), ("clip.mp4", 1), ("clip.mp4", 2)]),
    ],
)
def test_pictures_and_key_frames_of_a_folder_are_listed(
    folder, loader_type, strategy, count, expected
):
    found = find_unlabelled(
        str(folder), where=KEY, loader_type=loader_type, strategy=strategy, num_images=count
    )
    assert names(found) == expected


def test_key_frames_are_read_where_they_are(video):
    times = key_frame_times(str(video))
    assert len(times) == 3
    greys = [read_key_frame(str(video), time).mean() for time in times]
    np.testing.assert_allclose(greys, [0, 50, 100], atol=6)


def test_a_random_key_frame_depends_on_the_sample_alone(folder):
    found = find_unlabelled(str(folder), where=KEY, loader_type="video_keyframe")
    pictures = UnlabelledPictures(found)
    greys = [round(float(pictures[sample(0, n)][1].mean()) / 50) for n in range(20)]
    assert set(greys) == {0, 1, 2}
    assert greys == [round(float(pictures[sample(1, n)][1].mean()) / 50) for n in range(20)]


def test_what_cannot_be_read_is_none(folder):
    (folder / "b.png").write_bytes(b"no picture")
    (folder / "clip.mp4").write_bytes(b"no video")
    pictures = UnlabelledPictures(find_unlabelled(str(folder), where=KEY))
    assert [pictures[sample(n)][1] is None for n in range(3)] == [True, True, True]
    assert (pictures[sample(5)][1] == 8).all()
    # The key frames of a damaged video are unknown.
    found = find_unlabelled(str(folder), where=KEY, strategy="all")
    assert names(found) == [("b.png", None), ("a.png", None)]


def test_a_registered_dataset_is_limited_to_categories_it_has(tmp_path):
    path = make_dataset(tmp_path, images=2)
    register_densepose_coco("tiny_unlabelled", path, tmp_path, surface="open")
    try:
        found = find_unlabelled("tiny_unlabelled", where=KEY)
        assert [len(picture.annotations) for picture in found] == [2, 2]
        with pytest.raises(ValueError, match=r"annotations\.json: categories to keep \[5\]"):
            find_unlabelled("tiny_unlabelled", where=KEY, categories=[5])
    finally:
        DatasetCatalog.remove("tiny_unlabelled")
        MetadataCatalog.remove("tiny_unlabelled")


def test_datasets_without_anything_to_label_are_refused(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=rf"BOOTSTRAP_DATASETS\[0\]\.DATASET = '{tmp_path}' has no images"
    ):
        find_unlabelled(str(tmp_path), where=KEY)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match=r"DATASET = .* has no videos to bootstrap from"):
        find_unlabelled(str(tmp_path), where=KEY, loader_type="video_keyframe")
    with pytest.raises(FileNotFoundError, match=r"DATASET = 'nothing' is neither a registered"):
        find_unlabelled("nothing", where=KEY)
