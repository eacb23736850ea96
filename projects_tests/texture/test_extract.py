"""Gathering: what is painted comes back; many views are better than one."""

import cv2
import numpy as np
import pytest

from densepose_ext.surface.surface import BodySurface
from densepose_ext.texture import (
    Atlas,
    TextureExtractor,
    apply_texture,
    fill_atlas,
    fill_black,
    transfer_texture,
)
from densepose_ext.texture.atlas import charts_in_atlas, texel_iuv, tiles
from densepose_ext.texture.extract import VIEWS, Extraction
from projects_tests.texture.painted_people import example_with_people, random_atlas


def area(person):
    return int((person.result.labels > 0).sum())


@pytest.fixture(scope="module")
def scenes():
    """Pictures, each with its largest person."""
    found = [example_with_people(320, number) for number in range(4)]
    return [(picture, max(people, key=area)) for picture, people in found]


def extracted(views, tile=200):
    extractor = TextureExtractor(tile)
    for picture, person in views:
        extractor.add(picture, person)
    return extractor.extract()


@pytest.mark.slow
@pytest.mark.parametrize("tile", [100, 200])
def test_round_trip(scenes, tile):
    atlas = random_atlas(tile)
    for picture, person in scenes:
        painted = apply_texture(picture, [person], atlas)
        extraction = extracted([(painted, person)], tile)
        error = np.abs(extraction.picture.astype(int) - atlas.picture).max(-1)
        well = extraction.weight > 0.05
        assert np.percentile(error[well], 95) <= 4
        assert np.median(error[extraction.weight > 0]) <= 2
        assert (extraction.picture[extraction.weight == 0] == 0).all()
        assert 0.02 < extraction.share < 0.5
        # and painted again it looks the same, but for the outline and where charts meet
        again = apply_texture(picture, [person], fill_atlas(extraction, symmetric=False))
        error = np.abs(again.astype(int) - painted)[(painted != picture).any(-1)]
        assert np.median(error) <= 2
        assert np.percentile(error, 75) <= 8


def test_large_pictures_are_taken_smaller(scenes, monkeypatch):
    """Nearly the same atlas and coverage, at a fraction of the memory."""
    picture, person = scenes[0]
    painted = apply_texture(picture, [person], Atlas(np.full((600, 400, 3), 90, np.uint8)))
    whole = extracted([(painted, person)], 50)
    monkeypatch.setattr("densepose_ext.texture.extract.MOST_PIXELS", area(person) // 4)
    small = extracted([(painted, person)], 50)
    assert small.weight.sum() == pytest.approx(whole.weight.sum(), rel=0.2)
    assert small.share == pytest.approx(whole.share, rel=0.25)
    both = (small.weight > 0.1) & (whole.weight > 0.1)
    assert both.sum() > 200
    assert np.median(np.abs(small.picture[both].astype(int) - 90)) <= 2


def test_facing_and_near_weighs_more(scenes):
    """Weight is pixels a texel: their sum is about the person's area."""
    for picture, person in scenes:
        weight = extracted([(picture, person)]).weight
        assert 0.4 * area(person) < weight.sum() < 1.1 * area(person)
        assert weight.max() > 5 * np.median(weight[weight > 0])


def test_views_add_up_and_outliers_lose(scenes):
    atlas = random_atlas(100)
    picture, person = scenes[0]
    painted = apply_texture(picture, [person], atlas)
    one = extracted([(painted, person)], 100)
    spoilt = 255 - painted
    three = extracted([(painted, person), (spoilt, person), (painted, person)], 100)
    np.testing.assert_allclose(
        three.weight[one.weight > 1], 3 * one.weight[one.weight > 1], rtol=0.3
    )
    well = one.weight > 0.1
    error = np.abs(three.picture.astype(int) - one.picture).max(-1)[well]
    assert np.percentile(error, 99) <= 3
    several = extracted([(apply_texture(p, [q], atlas), q) for p, q in scenes], 100)
    assert several.share > max(extracted([(p, q)], 100).share for p, q in scenes)


def test_memory_is_bounded_and_the_best_views_stay(scenes):
    atlas = random_atlas(50)
    picture, person = scenes[0]
    painted = apply_texture(picture, [person], atlas)
    extractor = TextureExtractor(50)
    for _ in range(VIEWS + 3):
        extractor.add(painted, person)
    assert len(extractor._colours) == VIEWS
    one = extracted([(painted, person)], 50)
    many = extractor.extract()
    np.testing.assert_array_equal(many.picture[one.weight > 0.1], one.picture[one.weight > 0.1])


def test_nothing_seen(scenes):
    picture, person = scenes[0]
    extraction = extracted([(picture[:3, :3], person)], 20)
    assert extraction.share == 0
    assert extraction.picture.shape == (120, 80, 3)
    with pytest.raises(ValueError, match="nothing of the person"):
        fill_atlas(extraction)


def test_bad_input(scenes):
    for tile in (1, 5000):
        with pytest.raises(ValueError, match=f"tile is {tile}"):
            TextureExtractor(tile)
    with pytest.raises(ValueError, match="picture"):
        TextureExtractor(10).add(scenes[0][0][..., 0], scenes[0][1])


def test_filling_keeps_what_is_seen(scenes):
    picture, person = scenes[1]
    extraction = extracted([(picture, person)], 100)
    for symmetric in (False, True):
        filled = fill_atlas(extraction, symmetric)
        assert filled.alpha is None
        well = extraction.weight > np.median(extraction.weight[extraction.weight > 0])
        error = np.abs(filled.picture.astype(int) - extraction.picture)[well]
        assert np.percentile(error, 95) <= 16  # a twentieth of the weight is what lies around
        assert np.median(error) <= 2


@pytest.mark.parametrize("tile", [4, 7])
def test_tiles_of_few_texels(scenes, tile):
    picture, person = scenes[0]
    extraction = extracted([(picture, person)], tile)
    assert 0 < extraction.share <= 1
    assert fill_atlas(extraction).tile == tile


def test_one_colour_fills_everything():
    weight = np.zeros((60, 40), np.float32)
    weight[12:15, 3:6] = 1
    picture = np.where(weight[..., None] > 0, np.uint8([10, 100, 200]), np.uint8(0))
    filled = fill_atlas(Extraction(picture, weight)).picture
    charts = charts_in_atlas(10).hit
    np.testing.assert_allclose(filled[charts], np.full((charts.sum(), 3), [10, 100, 200]), atol=2)


def test_a_single_texel_fills_everything():
    weight = np.zeros((600, 400), np.float32)
    weight[150, 37] = 1
    picture = np.where(weight[..., None] > 0, np.uint8([10, 100, 200]), np.uint8(0))
    filled = fill_atlas(Extraction(picture, weight)).picture
    charts = charts_in_atlas(100).hit
    np.testing.assert_allclose(filled[charts], np.full((charts.sum(), 3), [10, 100, 200]), atol=2)


def test_the_other_side_fills_first():
    tile = 20
    part, _, v = texel_iuv(tile)
    # the left lower leg's front is red, everything else that is seen is blue
    weight = np.isin(part, [14, 2]).astype(np.float32)
    picture = np.zeros((6 * tile, 4 * tile, 3), np.uint8)
    picture[part == 14], picture[part == 2] = (0, 0, 255), (255, 0, 0)
    weight[(part == 2) & (v > 0.5)] = 0
    picture[weight == 0] = 0
    filled = tiles(fill_atlas(Extraction(picture, weight), symmetric=True).picture)
    assert (filled[13 - 1] == filled[14 - 1]).all()
    assert (filled[2 - 1][..., 0] > 250).all()


def test_clothes_go_around_the_limb():
    """The lower legs, seen from the front: dark to the middle, bright above; so is their back."""
    tile, surface = 40, BodySurface.load()
    drawn = charts_in_atlas(tile)
    part = np.where(drawn.hit, texel_iuv(tile)[0], 0)
    height = np.zeros(part.shape)
    corners = surface.body.vertices[surface.body.faces[drawn.face[drawn.hit]], 2]
    height[drawn.hit] = (corners * drawn.barycentric[drawn.hit]).sum(-1)
    legs = np.isin(part, [11, 12, 13, 14])
    middle = np.median(height[legs])
    front = np.isin(part, [13, 14])
    picture = np.where(height > middle, 200, 20) * front
    picture = np.repeat(picture[..., None], 3, 2).astype(np.uint8)
    filled = fill_atlas(Extraction(picture, front.astype(np.float32))).picture[..., 0]
    back = np.isin(part, [11, 12])
    assert np.median(filled[back & (height > middle + 0.07)]) > 160
    assert np.median(filled[back & (height < middle - 0.07)]) < 60


def test_black_of_published_atlases_is_filled():
    atlas = random_atlas(30)
    picture = np.maximum(atlas.picture, 40)
    charts = charts_in_atlas(30).hit
    filled = fill_black(Atlas(np.where(charts[..., None], picture, np.uint8(0))))
    assert filled.picture[~charts].max(1).min() > 20
    inner = cv2.erode(charts.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert np.median(np.abs(filled.picture.astype(int) - picture)[inner]) <= 3
    with pytest.raises(ValueError, match="nothing"):
        fill_black(Atlas(np.zeros((60, 40, 3), np.uint8)))


def test_dressed_in_oneself_one_looks_the_same(scenes):
    for picture, person in scenes[:2]:
        dressed = transfer_texture(picture, person, picture, [person])
        shown = np.zeros(picture.shape[:2], bool)
        x, y = person.corner
        labels = person.result.labels.numpy()
        shown[y : y + labels.shape[0], x : x + labels.shape[1]] = labels > 0
        np.testing.assert_array_equal(dressed[~shown], picture[~shown])
        error = np.abs(dressed.astype(int) - picture)[shown]
        assert np.median(error) <= 6
        assert error.mean() < 14


def test_an_atlas_without_light_is_even(scenes):
    """A person painted in one colour, in a light that falls off: each part is of one colour."""
    picture, person = scenes[0]
    painted = apply_texture(picture, [person], Atlas(np.full((60, 40, 3), 150, np.uint8)))
    lit = painted * np.linspace(1.3, 0.5, painted.shape[1])[None, :, None]
    spread = []
    for flatten in (True, False):
        extractor = TextureExtractor(50, flatten)
        extractor.add(np.clip(lit, 0, 255).astype(np.uint8), person)
        extraction = extractor.extract()
        torso = tiles(extraction.weight)[2 - 1] > 0.1
        spread.append(tiles(extraction.picture)[2 - 1][torso].std())
    assert spread[0] < 0.5 * spread[1]
