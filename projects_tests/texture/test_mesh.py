"""The surface seen, in space: points where they belong, files that others read."""

import cv2
import numpy as np
import pytest

from densepose_ext.commands.main import main
from densepose_ext.prediction.people import People
from densepose_ext.surface.surface import BodySurface
from densepose_ext.texture.atlas import Atlas, positions
from densepose_ext.texture.mesh_files import write_obj, write_ply, y_up
from densepose_ext.texture.rest_pose_view import draw_template
from densepose_ext.texture.seen_points import seen_points
from projects_tests.texture.painted_people import example_with_people, random_atlas


@pytest.fixture(scope="module")
def scene():
    picture, people = example_with_people(200, 3)
    return picture, people


def read_ply(path):
    """Places and colours (RGB) of a binary PLY."""
    content = path.read_bytes()
    header, end = content.split(b"end_header\n")[0].decode(), content.index(b"end_header\n") + 11
    lines = header.splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    count = int(next(line for line in lines if line.startswith("element vertex")).split()[-1])
    types = {"float": "<f4", "uchar": "u1"}
    fields = [(line.split()[2], types[line.split()[1]]) for line in lines if "property" in line]
    points = np.frombuffer(content[end:], fields)
    assert len(points) == count
    return (
        np.stack([points[k] for k in "xyz"], 1),
        np.stack([points[k] for k in ("red", "green", "blue")], 1),
    )


def read_obj(path):
    rows = {"v": [], "vt": [], "vn": [], "f": []}
    for line in path.read_text().splitlines():
        kind, *values = line.split()
        if kind in rows:
            rows[kind].append(
                [[int(k) for k in v.split("/")] if "/" in v else float(v) for v in values]
            )
    return {kind: np.array(values, int if kind == "f" else float) for kind, values in rows.items()}


def test_points_lie_on_the_body_and_have_the_pixels_colours(scene, tmp_path):
    picture, people = scene
    surface = BodySurface.load()
    for person in people:
        places, colours = seen_points(picture, person)
        x, y = person.corner
        row, column = np.nonzero(person.result.labels.numpy())
        np.testing.assert_array_equal(colours, picture[row + y, column + x])
        shown = person.result.labels.numpy() > 0
        i, (u, v) = person.result.labels.numpy()[shown], person.result.uv.numpy()[:, shown]
        np.testing.assert_allclose(places, surface.points(i, u, v))
        write_ply(tmp_path / "points.ply", places, colours)
        read_places, read_colours = read_ply(tmp_path / "points.ply")
        np.testing.assert_allclose(read_places, y_up(places), atol=1e-6)
        np.testing.assert_array_equal(read_colours, colours[:, ::-1])


def test_a_person_outside_the_picture_has_no_points(scene, tmp_path):
    picture, people = scene
    places, colours = seen_points(picture[:1, :1], people[0])
    assert len(places) == len(colours) == 0
    write_ply(tmp_path / "none.ply", places, colours)
    assert len(read_ply(tmp_path / "none.ply")[0]) == 0


def test_upright_means_y_and_the_front_is_towards_the_viewer():
    body = BodySurface.load().body
    turned = y_up(body.vertices)
    nose, heel = turned[:, 1].argmax(), turned[:, 1].argmin()
    assert turned[nose, 1] - turned[heel, 1] > 1.5
    nose_place = y_up(body.keypoints(body.vertices))[0]
    assert nose_place[2] > turned[:, 2].mean()
    np.testing.assert_allclose(np.linalg.det(y_up(np.eye(3))), 1)


def test_the_textured_body(tmp_path):
    surface, atlas = BodySurface.load(), random_atlas(64)
    obj, material, texture = write_obj(tmp_path / "body.obj", atlas)
    read = read_obj(obj)
    body, charts = surface.body, surface.charts
    assert len(read["v"]) == len(read["vn"]) == len(body.vertices)
    faces = read["f"]
    np.testing.assert_array_equal(faces[..., 0] - 1, body.faces)
    np.testing.assert_array_equal(faces[..., 1] - 1, charts.faces)
    np.testing.assert_array_equal(faces[..., 2], faces[..., 0])
    np.testing.assert_allclose(read["v"], y_up(body.vertices), atol=1e-5)
    # texture coordinates, as a renderer reads them, give the texel of I, U and V
    height, width = atlas.picture.shape[:2]
    column, row = read["vt"][:, 0] * width - 0.5, (1 - read["vt"][:, 1]) * height - 0.5
    x, y = positions(charts.part, charts.uv[:, 0], charts.uv[:, 1], atlas.tile)
    np.testing.assert_allclose(column, x, atol=1e-2)
    np.testing.assert_allclose(row, y, atol=1e-2)
    # normals point outwards, on the side from which the corners run counter-clockwise
    a, b, c = (read["v"][faces[:, k, 0] - 1] for k in range(3))
    across = np.cross(b - a, c - a)
    assert (np.einsum("fk,fk->f", across, read["vn"][faces[:, 0, 2] - 1]) > 0).mean() > 0.99
    assert f"mtllib {material.name}" in obj.read_text()
    assert f"map_Kd {texture.name}" in material.read_text()
    np.testing.assert_array_equal(Atlas.read(texture).picture, atlas.picture)


def test_the_drawing_has_the_colours_where_they_were_seen():
    picture = np.zeros((60, 40, 3), np.uint8)
    alpha = np.zeros((60, 40), np.uint8)
    picture[10:20, :10], alpha[10:20, :10] = (0, 0, 200), 255  # the torso's front
    drawn = draw_template(Atlas(picture, alpha), 200).astype(int)
    assert len(drawn) == 200
    red = (drawn[..., 2] - drawn[..., 0]) > 60
    front, back = np.array_split(red, 2, axis=1)
    assert front.sum() > 1000
    assert back.sum() < 0.02 * front.sum()
    columns = np.flatnonzero(front.any(0))
    assert abs(columns.mean() - front.shape[1] / 2) < 3
    grey = (np.ptp(drawn, axis=-1) < 3) & (drawn[..., 0] < 250)
    assert grey.sum() > 3000


def test_the_persons_left_is_on_the_right_of_the_front_view():
    picture = np.zeros((60, 40, 3), np.uint8)
    alpha = np.zeros((60, 40), np.uint8)
    picture[30:40, :10], alpha[30:40, :10] = 255, 255  # part 4: the left hand
    drawn = draw_template(Atlas(picture, alpha), 200)
    bare = draw_template(Atlas(picture, np.zeros_like(alpha)), 200)
    columns = np.nonzero((drawn != bare).any(-1))[1]
    quarter = drawn.shape[1] / 4
    assert set(np.unique(columns // quarter)) == {1, 2}  # the inner sides of the two views


@pytest.mark.slow
def test_command(tmp_path, scene, capsys):
    picture, people = scene
    people = People(people, picture.shape[:2])
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    cv2.imwrite(str(tmp_path / "iuv.png"), people.to_iuv()[..., ::-1])
    random_atlas(16).write(tmp_path / "atlas.png")
    words = ["mesh", str(tmp_path / "a.png"), "--iuv", str(tmp_path / "iuv.png"), "--tile", "60"]
    assert main([*words, "--out", str(tmp_path / "one")]) == 0
    names = ["body.mtl", "body.obj", "body.png", "points.ply", "template.png"]
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == names
    assert "of the surface seen" in capsys.readouterr().out
    atlas = ["--texture", str(tmp_path / "atlas.png")]
    assert main([*words, *atlas, "--out", str(tmp_path / "two")]) == 0
    given = Atlas.read(tmp_path / "two" / "body.png").picture
    np.testing.assert_array_equal(given, random_atlas(16).picture)
    clear = np.full((96, 64), 255, np.uint8)
    clear[:8] = 0
    holed = random_atlas(16).picture
    holed[-8:] = 0
    Atlas(holed, clear).write(tmp_path / "holed.png")
    atlas = ["--texture", str(tmp_path / "holed.png"), "--fill-black"]
    assert main([*words, *atlas, "--out", str(tmp_path / "filled")]) == 0
    filled = Atlas.read(tmp_path / "filled" / "body.png")
    assert filled.alpha is None
    assert (filled.picture[-8:] > 0).any()
    assert main([*words, *atlas[:2], "--out", str(tmp_path / "opaque")]) == 0
    opaque = Atlas.read(tmp_path / "opaque" / "body.png")
    assert opaque.alpha is None
    assert not (opaque.picture[-4:] > 30).any()
    assert main([*words, "--fill-black", "--out", str(tmp_path / "x")]) == 2
    assert "--fill-black goes with --texture" in capsys.readouterr().err
    assert main([*words, "--person", "9", "--out", str(tmp_path / "three")]) == 2
    assert "no person 9" in capsys.readouterr().err
    assert not any((tmp_path / "three").iterdir())
