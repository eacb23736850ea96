"""Ground truth: reading annotations, and what can be wrong with them."""

import json

import numpy as np
import pytest

from densepose_ext.evaluation.people import GroundTruth
from projects_tests.evaluation.grid_world import grid_points, person, rle

BOX = [20.5, 30.25, 100, 80]


def test_points_are_divided_by_255(write_truth):
    """The evaluation divides by 255; training divides by 256."""
    annotation = person(BOX, [[0, 0, 1, 0, 0]])
    annotation["dp_x"], annotation["dp_y"] = [255], [51]
    (found,) = GroundTruth(write_truth([annotation])).people(1)
    assert found.x[0] == 255 * 100 / 255.0 + 20.5
    assert found.y[0] == 51 * 80 / 255.0 + 30.25


def test_background_points_leave(write_truth):
    points = np.concatenate([grid_points(BOX, part=0), grid_points(BOX, part=3)])
    (found,) = GroundTruth(write_truth([person(BOX, points)])).people(1)
    assert len(found.x) == 25
    assert set(found.parts) == {3}
    assert found.has_points


def test_points_on_background_alone_are_still_dense_pose(write_truth):
    (found,) = GroundTruth(write_truth([person(BOX, grid_points(BOX, part=0))])).people(1)
    assert found.has_points
    assert not len(found.x)


def test_vertices_are_looked_up_once(write_truth, surface):
    (found,) = GroundTruth(write_truth([person(BOX, grid_points(BOX))])).people(1)
    vertices = found.vertices(surface)
    np.testing.assert_array_equal(vertices, surface.closest_vertex(found.parts, found.u, found.v))
    assert found.vertices(None) is vertices


def test_mask_is_that_of_dp_masks_then_segmentation_then_nothing(write_truth):
    other = np.zeros((300, 400))
    other[:5, :7] = 1
    people = [
        person(BOX, grid_points(BOX), segmentation=rle(other)),
        person(BOX, grid_points(BOX), masks=False, segmentation=rle(other)),
        person(BOX, grid_points(BOX), masks=False),
        person(BOX, grid_points(BOX), dp_masks=[], segmentation=rle(other)),
    ]
    areas = [p.mask().area for p in GroundTruth(write_truth(people)).people(1)]
    # an empty list of dp_masks is an empty mask, not a missing one
    assert areas == [100 * 80, 35, 0, 0]


def test_people_without_points(write_truth):
    embedding = person(BOX, grid_points(BOX))
    for key in ("dp_I", "dp_U", "dp_V"):
        del embedding[key]
    embedding["dp_vertex"] = [1] * 25
    truth = GroundTruth(write_truth([person(BOX, grid_points(BOX)), person(BOX), embedding]))
    assert [p.has_points for p in truth.people(1)] == [True, False, False]


def test_unusable_dense_pose_is_ignored_and_counted(write_truth, caplog):
    good = person(BOX, grid_points(BOX))
    bad = [good | {"dp_U": [0.5]}, good | {"dp_I": [25] * 25}, good | {"dp_V": [np.nan] * 25}]
    truth = GroundTruth(write_truth([good, *bad]))
    assert [p.has_points for p in truth.people(1)] == [True, False, False, False]
    assert "left out 3 dense poses" in caplog.text
    assert "annotation 2 of image 1" in caplog.text


def test_chosen_images(write_truth):
    people = [person(BOX, grid_points(BOX), image_id=n) for n in (1, 2)]
    path = write_truth(people, images=[{"id": 2}, {"id": 1}])
    assert list(GroundTruth(path).images) == [1, 2]
    assert list(GroundTruth(path, [2]).images) == [2]
    with pytest.raises(ValueError, match="no image 7"):
        GroundTruth(path, [1, 7])


def test_people_in_ignore_regions_are_dropped(write_truth):
    """From .7 of the whole-pixel box on; a box without a whole pixel as well."""

    def region(width):
        return {"ignore_regions_x": [[0, width, width, 0]], "ignore_regions_y": [[0, 0, 300, 300]]}

    box = [0, 0, 100.9, 50]
    people = [person(box, grid_points(box)), person([300, 0, 0.5, 50])]
    for width, number in ((69, 1), (70, 0)):
        truth = GroundTruth(write_truth(people, images=[{"id": 1} | region(width)]))
        assert len(truth.people(1)) == number
        assert truth.has_people(1)
    empty = {"id": 1, "ignore_regions_x": [], "ignore_regions_y": []}
    assert len(GroundTruth(write_truth(people, images=[empty])).people(1)) == 2


@pytest.mark.parametrize(
    ("change", "left", "message"),
    [
        ({"bbox": [1, 2, 3]}, 1, r"annotation 2 of image 1: bbox = [1, 2, 3], expected four"),
        ({"bbox": [1, 2, 3, float("nan")]}, 1, "bbox = [1, 2, 3, nan]"),
        ({"image_id": 9}, 1, "annotation 2 of image 9: its image is not in the file"),
        ({"dp_masks": [{"size": [1, 1], "counts": "1"}]}, 2, "dp_masks: 1 entries"),
    ],
)
def test_bad_annotations_are_left_out_and_named(write_truth, caplog, change, left, message):
    good = person(BOX, grid_points(BOX))
    people = GroundTruth(write_truth([good, good | change])).people(1)
    assert [p.has_points for p in people] == [True, False][:left]
    assert all(np.isfinite(p.mask().area) for p in people)
    assert message in caplog.text


def test_bad_files_are_named(tmp_path, write_truth):
    with pytest.raises(ValueError, match=r"truth\.json: no annotation has usable dense pose"):
        GroundTruth(write_truth([person(BOX)]))
    with pytest.raises(ValueError, match="width"):
        GroundTruth(write_truth([person(BOX)], images=[{"id": 1, "width": None}]))
    path = tmp_path / "bad.json"
    for text in ("{", "[]", json.dumps({"images": [], "annotations": 3}), '{"images": [1]}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"bad\.json"):
            GroundTruth(path)
    with pytest.raises(FileNotFoundError):
        GroundTruth(tmp_path / "nowhere.json")
