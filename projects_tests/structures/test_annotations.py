"""Lists of annotations: people with and without dense pose, points and masks."""

import torch

from densepose_ext.structures import ABSENT, DensePoseAnnotation, DensePoseAnnotationList


def person(points: int, masks: bool = True) -> DensePoseAnnotation:
    values = torch.full((points,), float(points))
    segm = torch.full((256, 256), points, dtype=torch.uint8) if masks else None
    return DensePoseAnnotation(values, values, torch.full((points,), 1), values, values, segm)


def points_of(annotations) -> list[int | None]:
    return [None if one is None else len(one.x) for one in annotations]


def test_elements_are_those_it_was_made_of():
    people = [None, person(3), person(0), None, person(5, masks=False)]
    annotations = DensePoseAnnotationList(people)
    assert points_of(annotations) == [None, 3, 0, None, 5]
    assert annotations.present.tolist() == [False, True, True, False, True]
    assert annotations.person.tolist() == [ABSENT, 0, 1, ABSENT, 2]
    assert annotations[0] is None
    assert annotations[-1].segm is None
    assert (annotations[1].segm == 3).all()
    assert repr(annotations) == "DensePoseAnnotationList(people=5, with_dense_pose=3)"


def test_indexing_takes_slices_masks_and_indices():
    annotations = DensePoseAnnotationList([person(1), None, person(2)])
    assert points_of(annotations[1:]) == [None, 2]
    assert points_of(annotations[torch.tensor([True, True, False])]) == [1, None]
    assert points_of(annotations[torch.tensor([2, 2, 1, 0])]) == [2, 2, None, 1]


def test_lists_are_joined_with_their_points_and_masks():
    first = DensePoseAnnotationList([person(1), None, person(2, masks=False)])
    second = DensePoseAnnotationList([None, person(3)])
    joined = DensePoseAnnotationList.cat([first[1:], DensePoseAnnotationList([]), second])
    assert points_of(joined) == [None, 2, None, 3]
    assert joined[1].segm is None
    assert (joined[3].segm == 3).all()
    assert (joined[3].u == 3).all()


def test_without_people_there_are_empty_tensors():
    for annotations in (DensePoseAnnotationList([]), DensePoseAnnotationList([None])):
        assert annotations.x.shape == (0,)
        assert annotations.segm.shape == (0, 256, 256)
        assert not annotations.present.any()
