"""The official apply_net.py's command lines."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from densepose_ext import DensePosePredictor, People
from densepose_ext.commands.main import main
from densepose_ext.prediction.dump import read_dump
from densepose_ext.prediction.official_drawings import NAMES, draw_as_official
from densepose_ext.structures import VertexResult
from densepose_ext.texture import Atlas
from densepose_ext.visualization import part_colours
from projects_tests.tiny_model import CONFIG, tiny_model
from projects_tests.visualization.people import flat_person


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with two pictures, another file, and the weights of a tiny model."""
    folder = tmp_path_factory.mktemp("apply_net")
    (folder / "pictures").mkdir()
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        noise = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "pictures" / name)
    (folder / "pictures" / "broken.jpg").write_bytes(b"no picture")
    torch.save({"model": tiny_model().state_dict()}, folder / "tiny.pth")
    return folder


def call(*words) -> int:
    return main(["apply_net", *map(str, words), "--opts", "MODEL.DEVICE", "cpu"])


@pytest.mark.slow
def test_show(place, tmp_path, capsys):
    words = ["show", CONFIG, place / "tiny.pth", place / "pictures", "dp_segm,bbox"]
    output = tmp_path / "new" / "drawn.png"
    assert call(*words, "--output", output, "--min_score", "0.1", "--nms_thresh", "0.3", "-v") == 0
    captured = capsys.readouterr()
    assert "unreadable: " in captured.err
    assert f"{place / 'pictures' / 'a.png'}: " in captured.err
    assert sorted(p.name for p in output.parent.iterdir()) == ["drawn.0001.png", "drawn.0002.png"]
    assert cv2.imread(str(output.parent / "drawn.0001.png")).shape == (60, 80, 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [[], ["--official-pickle"]])
def test_dump(place, tmp_path, kind, capsys):
    output = tmp_path / "results.pkl"
    words = ["dump", CONFIG, place / "tiny.pth", f"{place}/pictures/*.png"]
    assert call(*words, "--output", output, *kind) == 0
    assert f"{output}: 2 pictures" in capsys.readouterr().out
    predictor = DensePosePredictor(CONFIG, place / "tiny.pth", "cpu")
    for path, people in read_dump(output):
        expected = predictor(path)
        assert len(people) == len(expected) > 0
        for one, other in zip(people, expected):
            assert one.box.tolist() == other.box.tolist()
            assert torch.equal(one.result.labels, other.result.labels)
            assert torch.equal(one.result.uv, other.result.uv)


@pytest.mark.slow
def test_what_cannot_be_used(place, tmp_path, capsys):
    def fails(*words):
        assert call(*words) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
        return line

    start = ["show", CONFIG, place / "tiny.pth", place / "pictures" / "a.png"]
    assert "visualization 'dp_x'; expected some of dp_segm" in fails(*start, "dp_x")
    assert "dp_iuv_texture needs --texture_atlas" in fails(*start, "dp_iuv_texture")
    assert "--nms_thresh nan: expected 0 to 1" in fails(*start, "bbox", "--nms_thresh", "nan")
    assert "--min_score 2.0: expected 0 to 1" in fails(*start, "bbox", "--min_score", "2")
    assert ".gifx" in fails(*start, "bbox", "--output", tmp_path / "a.gifx")
    broken = ["dump", CONFIG, place / "tiny.pth", place / "pictures" / "broken.jpg"]
    assert "no picture could be read" in fails(*broken, "--output", tmp_path / "r.pkl")
    assert not (tmp_path / "r.pkl").exists()
    missing = ["dump", CONFIG, tmp_path / "none.pth", place / "pictures"]
    assert "none.pth" in fails(*missing)
    assert "no config 'R_50'" in fails("dump", "R_50", *missing[2:])


def test_drawings_are_over_the_grey_picture():
    picture = np.full((60, 60, 3), (200, 100, 0), np.uint8)
    people = People([flat_person((2, 2, 10, 10), part=9, u=0.5, v=0.25)], (60, 60))
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[0, 0]
    for name in set(NAMES) - {"dp_iuv_texture", "dp_cse_vertex"}:
        drawn = draw_as_official(picture, people, [name])
        assert (drawn[55, 55] == grey).all()
        assert (drawn != grey).any()
    drawn = draw_as_official(picture, people, ["dp_segm"])[5, 5]
    expected = 0.7 * part_colours("parula")[9, ::-1] + 0.3 * grey
    np.testing.assert_allclose(drawn, expected, atol=1)
    atlas = Atlas(np.full((6 * 8, 4 * 8, 3), (10, 20, 30), np.uint8))
    assert draw_as_official(picture, people, ["dp_iuv_texture"], atlas)[5, 5].tolist() == [
        10,
        20,
        30,
    ]
    with pytest.raises(ValueError, match="the model is one of charts"):
        draw_as_official(picture, people, ["dp_cse_vertex"])


def test_a_mesh_without_charts_has_vertices_alone():
    picture = np.zeros((60, 60, 3), np.uint8)
    person = flat_person((2, 2, 10, 10))
    vertices = torch.zeros(8, 8, dtype=torch.int32)
    person.result = VertexResult(person.result.labels, vertices, "cat_5001")
    people = People([person], (60, 60))
    for name in ("dp_segm", "dp_contour", "dp_u"):
        with pytest.raises(ValueError, match=f"{name} needs charts, and the mesh cat_5001 has non"):
            draw_as_official(picture, people, [name])
    assert draw_as_official(picture, people, ["bbox"]).any()
