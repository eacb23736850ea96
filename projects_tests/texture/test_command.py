"""``densepose-ext texture`` on given I, U, V: no model is needed."""

import re

import cv2
import numpy as np
import pytest
import torch

from densepose_ext import DensePosePredictor
from densepose_ext.commands.main import main
from densepose_ext.prediction.people import People
from densepose_ext.texture import apply_texture
from densepose_ext.texture.atlas import Atlas
from densepose_ext.video import VideoWriter
from projects_tests.texture.painted_people import example_with_people, random_atlas
from projects_tests.tiny_model import CONFIG, tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pictures a and b with their people; the channels of b are in OpenCV's order."""
    folder = tmp_path_factory.mktemp("texture é")
    for name, number in (("a", 0), ("b", 3)):
        picture, people = example_with_people(200, number)
        people = People(people, picture.shape[:2])
        cv2.imwrite(str(folder / f"{name}.png"), picture)
        cv2.imwrite(str(folder / f"{name}_iuv.png"), people.to_iuv()[..., ::-1])
        cv2.imwrite(str(folder / f"{name}_bgr.png"), people.to_iuv())
        cv2.imwrite(str(folder / f"{name}_index.png"), people.to_index())
    random_atlas(40).write(folder / "atlas.png")
    return folder


def texture(folder, *words):
    """Exit status of the command, whose words that start with @ are files of the folder."""
    return main(["texture", *(str(folder / w[1:]) if w[0] == "@" else w for w in words)])


def read(path):
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None, path
    return picture


def test_apply(folder, capsys):
    common = ["--texture", "@atlas.png", "--instances", "@a_index.png"]
    given = ["apply", "@a.png", "--iuv", "@a_iuv.png", *common]
    assert texture(folder, *given, "--out", "@new/all.png") == 0
    assert "person painted" in capsys.readouterr().out
    picture, painted = read(folder / "a.png"), read(folder / "new" / "all.png")
    people = read(folder / "a_index.png") > 0
    np.testing.assert_array_equal(painted[~people], picture[~people])
    assert (painted[people] != picture[people]).any(-1).mean() > 0.9
    # the channels in the other order are the same people
    other = ["apply", "@a.png", "--iuv", "@a_bgr.png", "--bgr", *common]
    assert texture(folder, *other, "--out", "@new/bgr.png") == 0
    np.testing.assert_array_equal(read(folder / "new" / "bgr.png"), painted)
    options = ["--person", "1", "--shading", "0.5", "--opacity", "0.5", "--fill-black"]
    assert texture(folder, *given, *options, "--out", "@new/one.jpg") == 0
    assert read(folder / "new" / "one.jpg").shape == picture.shape


def test_extract_and_apply(folder, capsys):
    pictures = ["extract", "@a.png", "@b.png", "--tile", "50", "--iuv", "@a_iuv.png", "@b_iuv.png"]
    assert texture(folder, *pictures, "--out", "@seen.png", "--as-seen") == 0
    options = ["--out", "@full.png", "--symmetric", "--flatten", "--coverage", "@coverage.png"]
    assert texture(folder, *pictures, *options) == 0
    assert "% of the surface seen" in capsys.readouterr().out
    seen, full = Atlas.read(folder / "seen.png"), Atlas.read(folder / "full.png")
    assert seen.tile == full.tile == 50
    assert full.alpha is None
    assert set(np.unique(seen.alpha)) == {0, 255}
    coverage = read(folder / "coverage.png")
    assert coverage.shape == (300, 200)
    assert (coverage[seen.alpha == 0] == 0).all()
    assert coverage.max() == 255


def test_extract_from_a_video(folder, capsys):
    weights = folder / "of_video.pth"
    torch.save({"model": tiny_model().state_dict()}, weights)
    picture = read(folder / "a.png")
    with VideoWriter(folder / "film.avi") as writer:
        for _ in range(5):
            writer.write(picture)
    model = ["--model", CONFIG, "--weights", str(weights), "--device", "cpu", "--min-score", "0"]
    words = ["extract", "@film.avi", "--every", "2", "--tile", "20", "--out", "@film.png", *model]
    assert texture(folder, *words) == 0
    # An untrained model's boxes jump about with the codec's noise.
    assert re.search(r"film\.avi: person 1 seen in [123] frames?", capsys.readouterr().out)
    assert Atlas.read(folder / "film.png").tile == 20
    assert texture(folder, *words, "--person", "1000") == 2
    assert "film.avi: no frame with 1000 people" in capsys.readouterr().err
    assert texture(folder, *words, "--every", "0") == 2
    assert texture(folder, *words, "--iuv", "@a_iuv.png") == 2
    assert "film.avi is a video" in capsys.readouterr().err


def test_transfer(folder):
    words = ["transfer", "@a.png", "@b.png", "--iuv", "@a_iuv.png", "@b_iuv.png"]
    assert texture(folder, *words, "--person", "1", "--onto", "1", "--out", "@t.png") == 0
    picture, dressed = read(folder / "b.png"), read(folder / "t.png")
    people = read(folder / "b_iuv.png").any(-1)
    np.testing.assert_array_equal(dressed[~people], picture[~people])
    assert (dressed[people] != picture[people]).any(-1).mean() > 0.5


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--iuv", "@missing.png"], "missing.png"),
        (["--iuv", "@a_iuv.png", "@b_iuv.png"], "--iuv names 2 files; expected 1"),
        (["--iuv", "@a_iuv.png", "--instances", "@a_index.png", "@b_index.png"], "--instances"),
        (["--iuv", "@a_bgr.png"], "opposite order"),
        (["--iuv", "@atlas.png"], "160 x 240 pixels; expected 200 x 200"),
        (["--iuv", "@a_iuv.png", "--instances", "@a.png"], "a.png is not a grey picture"),
        (["--iuv", "@a_iuv.png", "--person", "99"], "no person 99"),
        (["--iuv", "@a_iuv.png", "--person", "0"], "no person 0"),
        (["--iuv", "@a_iuv.png", "--shading", "7"], "shading is 7.0"),
        (["--bgr"], "--bgr goes with --iuv"),
        (["--instances", "@a_index.png"], "--instances goes with --iuv"),
        (["--iuv", "@a_iuv.png", "--texture", "@a.png"], "atlas of shape (200, 200, 3)"),
        (["--iuv", "@a_iuv.png", "--out", "@out.docx"], "out.docx"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, capsys, words, fault):
    given = ["apply", "@a.png", "--texture", "@atlas.png", "--out", "@x.png", *words]
    assert texture(folder, *given) == 2
    error = capsys.readouterr().err
    assert fault in error
    assert error.startswith("densepose-ext texture: ")
    assert error.count("\n") == 1
    assert not (folder / "x.png").exists()


def test_options_that_exclude_each_other(folder, capsys):
    words = ["extract", "@a.png", "--iuv", "@a_iuv.png", "--out", "@x.png"]
    assert texture(folder, *words, "--symmetric", "--as-seen") == 2
    assert "--as-seen" in capsys.readouterr().err


def test_nobody_there(folder, capsys):
    cv2.imwrite(str(folder / "empty.png"), np.zeros((200, 200, 3), np.uint8))
    given = ["@a.png", "--iuv", "@empty.png", "--out", "@nobody.png"]
    assert texture(folder, "apply", "--texture", "@atlas.png", *given) == 0
    np.testing.assert_array_equal(read(folder / "nobody.png"), read(folder / "a.png"))
    assert texture(folder, "extract", *given) == 2
    assert "no people found" in capsys.readouterr().err


def test_people_found_by_a_model(folder):
    weights = folder / "tiny.pth"
    torch.save({"model": tiny_model().state_dict()}, weights)
    model = ["--model", CONFIG, "--weights", str(weights), "--device", "cpu", "--min-score", "0"]
    people = DensePosePredictor(CONFIG, weights, "cpu", min_score=0.0)(str(folder / "a.png"))
    assert len(people) > 0
    words = ["apply", "@a.png", "--texture", "@atlas.png", "--out", "@model.png", *model]
    assert texture(folder, *words) == 0
    expected = apply_texture(read(folder / "a.png"), people, Atlas.read(folder / "atlas.png"))
    np.testing.assert_array_equal(read(folder / "model.png"), expected)
