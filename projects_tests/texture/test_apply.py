"""Painting: the right texel on the right pixel, and nothing else changed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.structures import DensePoseResult, Person
from densepose_ext.texture import Atlas, apply_texture
from densepose_ext.texture.atlas import texel_iuv
from densepose_ext.texture.shading import shading_of
from projects_tests.texture.painted_people import random_atlas


def person(labels, uv, corner=(0, 0), score=1.0):
    labels = np.asarray(labels, np.uint8)
    uv = np.broadcast_to(np.asarray(uv, np.float32), (2, *labels.shape)).copy()
    x, y = corner
    box = np.array([x, y, x + labels.shape[1], y + labels.shape[0]], np.float32)
    return Person(box, score, DensePoseResult(torch.from_numpy(labels), torch.from_numpy(uv)))


def plain_tiles(tile=9):
    """Every tile of one colour; colours (25, 3), row p that of part p."""
    colours = np.random.default_rng(1).integers(0, 256, (25, 3)).astype(np.uint8)
    return Atlas(colours[texel_iuv(tile)[0]]), colours


def grey(*size, value=90):
    return np.full((*size, 3), value, np.uint8)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), x=st.integers(-30, 60), y=st.integers(-30, 60))
def test_colours_never_cross_tiles_and_stay_on_the_person(seed, x, y):
    random = np.random.default_rng(seed)
    atlas, colours = plain_tiles(int(random.integers(4, 12)))
    labels = random.integers(0, 25, (23, 17))
    uv = random.choice([0, 1, 0.5, -0.2, 1.3, random.random()], (2, 23, 17))
    picture = grey(50, 40)
    painted = apply_texture(picture, [person(labels, uv, (x, y))], atlas)
    assert (picture == 90).all()
    expected = np.full((50 + 120, 40 + 120, 3), 90, np.uint8)
    target = expected[60 + y : 83 + y, 60 + x : 77 + x]
    target[labels > 0] = colours[labels[labels > 0]]
    np.testing.assert_array_equal(painted, expected[60:110, 60:100])


def test_between_texels_colours_are_interpolated():
    tile = 5
    part, u, v = texel_iuv(tile)
    ramp = np.stack([u * 250, v * 250, part * 10], -1)
    atlas = Atlas(np.rint(ramp).astype(np.uint8))
    u, v = np.meshgrid(np.linspace(0, 1, 33), np.linspace(0, 1, 29))
    painted = apply_texture(grey(29, 33), [person(np.full((29, 33), 14), [u, v])], atlas)
    expected = np.stack([u * 250, v * 250, np.full_like(u, 140)], -1)
    assert np.abs(painted - expected).max() <= 4  # OpenCV interpolates in 1/32 of a texel


def test_the_better_person_is_on_top():
    atlas, colours = plain_tiles()
    people = [person(np.full((4, 4), p), 0.5, score=s) for p, s in ((3, 0.9), (5, 0.2), (7, 0.4))]
    for order in (people, people[::-1]):
        painted = apply_texture(grey(4, 4), order, atlas)
        assert (painted == colours[3]).all()


def test_nobody():
    picture = grey(5, 5)
    painted = apply_texture(picture, [], plain_tiles()[0])
    np.testing.assert_array_equal(painted, picture)
    assert painted is not picture


@pytest.mark.parametrize("opacity", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("alpha", [0, 102, 255])
def test_opacity_and_alpha_mix(opacity, alpha):
    atlas, colours = plain_tiles()
    atlas = Atlas(atlas.picture, np.full(atlas.picture.shape[:2], alpha, np.uint8))
    one = person(np.array([[0, 2], [2, 0]]), 0.5, (1, 2))
    painted = apply_texture(grey(6, 6), [one], atlas, opacity=opacity)
    share = opacity * alpha / 255
    mixed = colours[2] * share + 90 * (1 - share)
    np.testing.assert_allclose(painted[2, 2], mixed, atol=1.5)
    np.testing.assert_allclose(painted[3, 1], mixed, atol=1.5)
    rest = np.ones((6, 6), bool)
    rest[[2, 3], [2, 1]] = False
    assert (painted[rest] == 90).all()


def test_unknown_texels_do_not_darken_known_ones():
    picture = np.full((24, 16, 3), 200, np.uint8)
    alpha = np.zeros((24, 16), np.uint8)
    alpha[:, ::2] = 255
    picture[alpha == 0] = 0
    u = np.linspace(0, 1, 50)[None]
    one = person(np.ones((1, 50)), np.stack([u, np.full_like(u, 0.5)]))
    painted = apply_texture(grey(1, 50, value=200), [one], Atlas(picture, alpha))
    np.testing.assert_allclose(painted, 200, atol=3)


@pytest.mark.parametrize("wrong", [{"shading": -0.1}, {"shading": 1.1}, {"opacity": 2}])
def test_shares_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        apply_texture(grey(4, 4), [], plain_tiles()[0], **wrong)


@pytest.mark.parametrize("picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_pictures_are_checked(picture):
    with pytest.raises(ValueError, match="picture"):
        apply_texture(picture, [], random_atlas(4))


def _body(height=120, width=60):
    """A torso of full height with background around."""
    labels = np.zeros((height, width), np.uint8)
    labels[10:-10, 10:-10] = 2
    return labels


def test_even_light_changes_nothing():
    picture = np.where(_body()[..., None] > 0, np.uint8([40, 90, 160]), np.uint8([250, 250, 250]))
    np.testing.assert_allclose(shading_of(picture, _body()), 1, atol=0.01)


def test_a_side_in_shadow_stays_in_shadow():
    labels = _body()
    fall = np.linspace(1.0, 0.5, labels.shape[1])[None, :, None]
    picture = np.broadcast_to(np.array([120, 140, 180]) * fall, (*labels.shape, 3))
    light = shading_of(picture.astype(np.uint8), labels)
    row = light[60, 12:48]
    assert (np.diff(row) < 1e-6).all()
    assert row[0] > 1.08
    assert row[-1] < 0.92
    atlas, colours = plain_tiles()
    painted = apply_texture(picture.astype(np.uint8), [person(labels, 0.5)], atlas, shading=1.0)
    np.testing.assert_allclose(painted[60, 46], colours[2] * light[60, 46], atol=1)
    assert (painted[60, 12] >= colours[2]).all()  # nearer to white, not burnt out


def test_what_is_printed_on_the_shirt_does_not_show():
    labels = _body()
    picture = np.full((*labels.shape, 3), (150, 150, 150), np.uint8)
    picture[::6] = picture[1::6] = picture[2::6] = 60  # stripes
    picture[40:70, 20:40] = (30, 30, 200)  # a print
    light = shading_of(picture, labels)[labels > 0]
    # stripes differ by a factor of 2.5, the print in hue
    assert light.max() / light.min() < 1.5


@settings(max_examples=30, deadline=None)
@given(h=st.integers(1, 80), w=st.integers(1, 80), seed=st.integers(0, 99))
def test_light_of_any_size_is_finite_and_bounded(h, w, seed):
    random = np.random.default_rng(seed)
    labels = (random.integers(0, 25, (h, w)) * (random.random((h, w)) < 0.7)).astype(np.uint8)
    light = shading_of(random.integers(0, 256, (h, w, 3)).astype(np.uint8), labels)
    assert light.shape == (h, w)
    assert light.dtype == np.float32
    assert (light > 0.4).all()
    assert (light < 1.3).all()
