"""The layout of published atlases, exactly; files both ways."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.surface.surface import BodySurface
from densepose_ext.texture.atlas import (
    Atlas,
    charts_in_atlas,
    positions,
    texel_iuv,
    tiles,
    untiled,
)
from projects_tests.texture.painted_people import random_atlas


def test_places_are_those_of_published_atlases():
    i, u, v = np.meshgrid(np.arange(1, 25), np.arange(256), np.arange(256), indexing="ij")
    x, y = positions(i, u / 255, v / 255, 200)
    # the formula of the official project's texture transfer, which truncates
    row = (i - 1) % 6 * 200 + (255 - v) * 199 // 255
    column = (i - 1) // 6 * 200 + u * 199 // 255
    np.testing.assert_array_equal(np.floor(y + 1e-3).astype(int), row)
    np.testing.assert_array_equal(np.floor(x + 1e-3).astype(int), column)


@settings(max_examples=20, deadline=None)
@given(tile=st.integers(2, 40))
def test_texels_know_their_place(tile):
    i, u, v = texel_iuv(tile)
    x, y = positions(i, u, v, tile)
    row, column = np.mgrid[: 6 * tile, : 4 * tile]
    np.testing.assert_allclose(x, column, atol=1e-4)
    np.testing.assert_allclose(y, row, atol=1e-4)
    np.testing.assert_array_equal(untiled(tiles(i)), i)
    assert (tiles(i) == np.arange(1, 25)[:, None, None]).all()


def test_no_place_leaves_its_tile():
    i = np.repeat(np.arange(1, 25), 4)
    x, y = positions(i, np.tile([-1, 0, 1, 2], 24), np.tile([2, -1, 0, 1], 24), 10)
    assert (x // 10 == (i - 1) // 6).all()
    assert (y // 10 == (i - 1) % 6).all()


def test_charts_fill_their_own_tiles():
    drawn = charts_in_atlas(50)
    part, u, v = texel_iuv(50)
    i, cu, cv = BodySurface.load().iuv(drawn.face[drawn.hit], drawn.barycentric[drawn.hit])
    np.testing.assert_array_equal(i, part[drawn.hit])
    np.testing.assert_allclose(cu, u[drawn.hit], atol=1e-3)
    np.testing.assert_allclose(cv, v[drawn.hit], atol=1e-3)
    assert 0.5 < drawn.hit.mean() < 0.95


@pytest.mark.parametrize("alpha", [False, True])
def test_files_come_back(tmp_path, alpha):
    atlas = random_atlas(7)
    if alpha:
        atlas = Atlas(atlas.picture, np.arange(42 * 28).reshape(42, 28).astype(np.uint8))
    path = tmp_path / "new folder" / "atlas ä.png"
    atlas.write(path)
    again = Atlas.read(path)
    np.testing.assert_array_equal(again.picture, atlas.picture)
    assert again.tile == 7
    if alpha:
        np.testing.assert_array_equal(again.alpha, atlas.alpha)
    else:
        assert again.alpha is None


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((60, 40), np.uint8),
        np.zeros((60, 41, 3), np.uint8),
        np.zeros((61, 40, 3), np.uint8),
        np.zeros((6, 4, 3), np.uint8),
        np.zeros((60, 40, 3), np.uint16),
    ],
)
def test_a_picture_that_is_no_atlas_is_named(tmp_path, picture):
    path = tmp_path / "wrong.png"
    cv2.imwrite(str(path), picture)
    with pytest.raises(ValueError, match=r"wrong.png.*shape"):
        Atlas.read(path)


def test_files_that_cannot_be_used_are_named(tmp_path):
    with pytest.raises(OSError, match=r"missing.png"):
        Atlas.read(tmp_path / "missing.png")
    for content in (b"", b"no picture"):
        (tmp_path / "text.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"text.png"):
            Atlas.read(tmp_path / "text.png")
    with pytest.raises(ValueError, match=r"out.docx"):
        random_atlas(4).write(tmp_path / "out.docx")


def test_alpha_must_fit():
    picture = random_atlas(4).picture
    with pytest.raises(ValueError, match="alpha"):
        Atlas(picture, np.zeros((24, 15), np.uint8))
    with pytest.raises(ValueError, match="alpha"):
        Atlas(picture, np.zeros((24, 16), np.float32))
