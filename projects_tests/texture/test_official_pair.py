"""A published atlas on the official project's own result."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from densepose_ext.texture import Atlas, apply_texture, atlas_of, people_of_iuv
from densepose_ext.texture.atlas import tiles
from projects_tests.reference import ROOT

REAL = Path(os.environ.get("DENSEPOSE_EXT_REAL", ROOT.parent / "shared" / "real"))
ATLAS = REAL / "texture_from_SURREAL.png"

pytestmark = pytest.mark.skipif(not ATLAS.is_file(), reason=f"no {ATLAS}")


@pytest.fixture(scope="module")
def scene():
    """The street, its I, U, V and its people."""
    iuv = cv2.imread(str(REAL / "demo_im_IUV.png"))
    instances = cv2.imread(str(REAL / "demo_im_INDS.png"), cv2.IMREAD_GRAYSCALE)
    return cv2.imread(str(REAL / "demo_im.jpg")), iuv, people_of_iuv(iuv, instances)


def test_every_pixel_is_as_the_official_transfer_has_it(scene):
    picture, iuv, people = scene
    atlas = Atlas.read(ATLAS)
    painted = apply_texture(picture, people, atlas)
    part, u, v = (iuv[..., k].astype(int) for k in range(3))
    texture = tiles(atlas.picture)
    nearest = texture[part - 1, (255 - v) * 199 // 255, u * 199 // 255]
    on = part > 0
    np.testing.assert_array_equal(painted[~on], picture[~on])
    # that one takes the nearest texel below, ours lies between: smooth places are the same
    local = np.stack([cv2.blur(t, (3, 3)) for t in texture])[
        part - 1, (255 - v) * 199 // 255, u * 199 // 255
    ]
    smooth = on & (np.abs(local.astype(int) - nearest).max(-1) <= 2)
    assert smooth.sum() > 5000
    error = np.abs(painted.astype(int) - nearest).max(-1)[smooth]
    assert np.median(error) <= 2
    assert np.percentile(error, 95) <= 12


def test_the_shirt_is_pink_and_the_trousers_are_dark(scene):
    picture, _, people = scene
    standing = people[1]
    painted = apply_texture(picture, [standing], Atlas.read(ATLAS), shading=0.7)
    x0, y0, x1, y1 = standing.box.astype(int)
    labels = standing.result.labels.numpy()
    own = painted[y0:y1, x0:x1]
    blue, green, red = own[labels == 2].reshape(-1, 3).mean(0)
    assert red > blue > green
    assert red > 150
    assert own[np.isin(labels, [9, 10])].mean() < 80


def test_dressing_in_a_person_of_the_street(scene):
    """The man in the turquoise shirt: its colour also on the back that is not seen."""
    picture, _, people = scene
    atlas = tiles(atlas_of(picture, people[1]).picture)
    for part in (1, 2, 15, 16, 17, 18):
        blue, green, red = atlas[part - 1][90:110, 40:90].reshape(-1, 3).mean(0)
        assert blue > red + 20, part
        assert green > red + 20, part
