"""Rules for images: regions, crowds, categories, images never scored, merging."""

import numpy as np
import pytest

from densepose_ext.evaluation.detections import ArrayMaps, Detections
from densepose_ext.evaluation.matching import MODES
from densepose_ext.evaluation.people import GroundTruth
from densepose_ext.evaluation.scorecard import Scorecard
from densepose_ext.surface.official import OfficialSurface
from projects_tests.evaluation.grid_world import grid_iuv, grid_points, person

BOX, OTHER = [20.0, 30.0, 100.0, 80.0], [200.0, 100.0, 60.0, 120.0]


def detect(*boxes, scores=None, categories=None, parts=None, iuvs=None):
    """Detections whose maps agree with grid_points."""
    parts = parts or [1] * len(boxes)
    iuvs = iuvs or [grid_iuv(box, part) for box, part in zip(boxes, parts)]
    return Detections.best_first(
        np.array(boxes, float).reshape(-1, 4),
        np.ones(len(boxes)) if scores is None else scores,
        np.ones(len(boxes), int) if categories is None else categories,
        ArrayMaps([lambda iuv=iuv: iuv for iuv in iuvs]),
    )


def score(truth_path, by_image, surface, **options):
    truth = GroundTruth(truth_path)
    card = Scorecard(truth, surface, **options)
    for image_id, detections in by_image.items():
        card.add(truth.images[image_id], detections)
    return card


def test_perfect_people_score_1(write_truth, surface):
    people = [person(box, grid_points(box)) for box in (BOX, OTHER)]
    card = score(write_truth(people), {1: detect(BOX, OTHER)}, surface)
    for mode, values in card.metrics().items():
        expected = dict.fromkeys(values, 1.0)
        expected |= {"APl": -1.0, "ARl": -1.0}  # both are of medium size
        assert values == pytest.approx(expected), mode


def test_points_outside_and_on_background_stay_in_the_mean(write_truth, surface):
    """Of 5 x 5 points the left 2 columns are inside, and of these the lower 3 rows on a part."""
    half = [BOX[0], BOX[1], 45, 80]
    iuv = grid_iuv(BOX)[:, :, :45].copy()
    iuv[:, :30] = 0
    card = score(
        write_truth([person(BOX, grid_points(BOX))]), {1: detect(half, iuvs=[iuv])}, surface
    )
    (scores,) = card.images()
    # columns at 10, 30 of 45 pixels (50 is outside); rows at 40, 56, 72 (8, 24 are background)
    assert scores.gps == pytest.approx(6 / 25, abs=1e-3)


def test_all_points_outside_is_0(write_truth, surface):
    card = score(write_truth([person(BOX, grid_points(BOX))]), {1: detect([0, 0, 19, 29])}, surface)
    (scores,) = card.images()
    assert scores.gps == 0
    assert scores.mask_iou == 0


def test_a_wrong_part_is_far(write_truth, surface):
    path = write_truth([person(BOX, grid_points(BOX))])
    (scores,) = score(path, {1: detect(BOX, parts=[2])}, surface).images()
    assert scores.gps == pytest.approx(np.exp(-(0.5**2) / (2 * 0.351**2)))
    (scores,) = score(path, {1: detect(BOX, parts=[2])}, surface, kappa=0.255).images()
    assert scores.gps == pytest.approx(np.exp(-(0.5**2) / (2 * 0.255**2)))


def test_at_most_20_detections_count(write_truth, surface):
    boxes = [OTHER] * 20 + [BOX]
    scores = np.linspace(1, 0.1, 21)
    path = write_truth([person(BOX, grid_points(BOX))])
    assert score(path, {1: detect(*boxes, scores=scores)}, surface).metrics()["gps"]["AP"] == 0
    boxes = boxes[1:]
    card = score(path, {1: detect(*boxes, scores=scores[1:])}, surface)
    assert card.metrics()["gps"]["AR"] == 1


def test_images_nobody_scored_count_as_missed(write_truth, surface):
    people = [person(BOX, grid_points(BOX), image_id=n) for n in (1, 2)]
    card = score(write_truth(people, images=[{"id": 1}, {"id": 2}]), {2: detect(BOX)}, surface)
    assert card.metrics()["gps"]["AR"] == 0.5


def test_no_predictions_at_all_is_minus_one(write_truth, surface):
    card = score(write_truth([person(BOX, grid_points(BOX))]), {1: detect()}, surface)
    metrics, intervals = card.metrics(), card.intervals()
    assert {v for mode in MODES for v in metrics[mode].values()} == {-1.0}
    assert not intervals


def test_false_detections_on_images_without_people_are_ignored(write_truth, surface):
    path = write_truth([person(BOX, grid_points(BOX))], images=[{"id": 1}, {"id": 2}])
    card = score(path, {1: detect(BOX, scores=[0.5]), 2: detect(OTHER, scores=[0.9])}, surface)
    assert card.metrics()["gps"]["AP"] == pytest.approx(1)


def test_iou_with_a_crowd_is_over_the_detection(write_truth, surface):
    """For masks and boxes alike, as in pycocotools."""
    inner = [BOX[0] + 10, BOX[1] + 10, 20, 20]
    for crowd, share in ((0, 400 / 8000), (1, 1)):
        path = write_truth([person(BOX, grid_points(BOX), iscrowd=crowd)])
        (scores,) = score(path, {1: detect(inner)}, surface).images()
        assert scores.mask_iou == pytest.approx(share)
        assert scores.box_iou == pytest.approx(share)


def regions(x, y):
    return {"ignore_regions_x": [x], "ignore_regions_y": [y]}


@pytest.mark.parametrize(("columns", "left"), [(89, 2), (90, 1), (100, 1)])
def test_detections_in_ignore_regions_are_dropped(write_truth, surface, columns, left):
    """From .9 of the mask on. The mask is the right 100 columns of a box of 120."""
    image = {"id": 1} | regions([0, 150, 150, 0], [0, 0, 300, 300])
    path = write_truth([person(OTHER, grid_points(OTHER))], images=[image])
    box = [150.0 - 20 - columns, 0, 120, 10]
    iuv = grid_iuv(box)
    iuv[:, :, :20] = 0
    detections = detect(OTHER, box, scores=[0.5, 0.9], iuvs=[grid_iuv(OTHER), iuv])
    assert score(path, {1: detections}, surface).num_detections() == left


def test_boxes_without_a_whole_pixel_are_dropped_where_there_are_regions(write_truth, surface):
    thin = [200.0, 100.0, 0.9, 50]
    for image, left in (
        ({"id": 1} | regions([0, 9, 9], [0, 0, 9]), 1),
        ({"id": 1}, 2),
    ):
        path = write_truth([person(OTHER, grid_points(OTHER))], images=[image])
        card = score(path, {1: detect(OTHER, thin)}, surface)
        assert len(card.images()[0].scores) == left


def test_regions_of_images_without_people_filter_nothing(write_truth, surface):
    everywhere = regions([0, 400, 400, 0], [0, 0, 300, 300])
    people = [person(BOX, grid_points(BOX))]
    path = write_truth(people, images=[{"id": 1}, {"id": 2} | everywhere])
    card = score(path, {1: detect(BOX), 2: detect(BOX, OTHER)}, surface)
    assert card.num_detections() == 3
    # but where people are annotated, even if all of them are dropped
    path = write_truth(
        [*people, person(BOX, image_id=2)], images=[{"id": 1}, {"id": 2} | everywhere]
    )
    assert score(path, {1: detect(BOX), 2: detect(BOX, OTHER)}, surface).num_detections() == 1


def test_categories_are_scored_apart(write_truth, surface, caplog):
    people = [person(BOX, grid_points(BOX)), person(OTHER, grid_points(OTHER), category_id=2)]
    path = write_truth(people, categories=("person", "robot"))
    card = score(path, {1: detect(BOX, OTHER, categories=[1, 1])}, surface)
    gps = card.metrics()["gps"]
    assert gps["AP-person"] == pytest.approx(1)
    assert gps["AP-robot"] == 0
    assert gps["AP"] == pytest.approx(0.5)
    for unknown, message in ((7, "category 7"), (-1, "another class of the model")):
        card = score(path, {1: detect(BOX, OTHER, categories=[1, unknown])}, surface)
        assert card.num_detections() == 1
        assert f"detections of {message} are left out" in caplog.text


def test_merging_gives_the_same_numbers(write_truth, surface):
    random = np.random.default_rng(0)
    people = [person(BOX, grid_points(BOX), image_id=n) for n in range(6)]
    path = write_truth(people, images=[{"id": n} for n in range(6)])
    by_image = {
        n: detect(*(np.array(BOX) + random.normal(0, 6, (3, 4))), scores=[0.5, 0.5, 0.7])
        for n in range(6)
    }
    whole = score(path, by_image, surface)
    halves = [score(path, {n: by_image[n] for n in range(k, 6, 2)}, surface) for k in (0, 1)]
    merged = Scorecard(GroundTruth(path), surface)
    merged.merge(half.state() for half in reversed(halves))
    assert merged.metrics() == whole.metrics()
    assert merged.intervals() == whole.intervals()
    assert whole.metrics()["gps"]["AP"] > 0


def test_an_image_scored_again_replaces_itself(write_truth, surface):
    path = write_truth([person(BOX, grid_points(BOX))])
    card = score(path, {1: detect(OTHER)}, surface)
    card.add(card.truth.images[1], detect(BOX))
    assert card.metrics()["gps"]["AP"] == pytest.approx(1)
    assert card.num_detections() == 1


def test_without_a_surface_parts_and_masks_are_scored(write_truth):
    card = score(write_truth([person(BOX, grid_points(BOX))]), {1: detect(BOX)}, None)
    assert list(card.metrics()) == ["iou"]
    assert card.metrics()["iou"]["AP"] == pytest.approx(1)
    assert (card.points()[0].predicted == 1).all()


def test_a_missing_surface_file_is_named_before_anything_is_scored(write_truth, tmp_path):
    truth = GroundTruth(write_truth([person(BOX, grid_points(BOX))]))
    with pytest.raises(FileNotFoundError, match=r"SMPL_subdiv\.mat"):
        Scorecard(truth, OfficialSurface(tmp_path))


def test_nothing_is_read_of_detections_far_from_everybody(write_truth, surface):
    far = Detections.best_first(
        np.array([[300.0, 200, 20, 20]]), [1.0], [1], ArrayMaps([lambda: pytest.fail("read")])
    )
    card = score(write_truth([person(BOX, grid_points(BOX))]), {1: far}, surface)
    assert card.metrics()["gps"]["AP"] == 0
