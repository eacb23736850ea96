"""Elements of a group are kept, pickled and sent without the group."""

import copy
import io
import pickle
from multiprocessing.reduction import ForkingPickler

import pytest
import torch

from densepose_ext import DensePoseAnnotation, DensePoseAnnotationList, DensePoseOutput

SIDE, PEOPLE = 28, 20


def pickled(value) -> bytes:
    return pickle.dumps(value)


def saved(value) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def annotation(points: int, part: int) -> DensePoseAnnotation:
    values = torch.full((points,), 0.5)
    segm = torch.full((256, 256), part, dtype=torch.uint8)
    return DensePoseAnnotation(values, values, torch.full((points,), part), values, values, segm)


def output() -> DensePoseOutput:
    """As the network makes it: all maps are views of what one convolution gives."""
    maps = torch.rand(PEOPLE, 2 + 3 * 25, SIDE, SIDE).split([2, 25, 25, 25], dim=1)
    return DensePoseOutput(*maps)


@pytest.mark.parametrize("written", [pickled, saved])
def test_the_output_of_one_person_is_pickled_alone(written):
    one = output()[3]
    size = (2 + 3 * 25) * SIDE * SIDE * 4
    assert size < len(written(one)) < 1.1 * size + 4000
    again = copy.deepcopy(one)
    for name, value in one.items():
        assert torch.equal(getattr(again, name), value)
        assert getattr(again, name).untyped_storage().nbytes() == value.nbytes


@pytest.mark.parametrize("written", [pickled, saved])
def test_the_annotation_of_one_person_is_pickled_alone(written):
    people = DensePoseAnnotationList([annotation(100, part) for part in range(1, 15)])
    size = 256 * 256 + 100 * (4 * 4 + 8)
    assert size < len(written(people[5])) < size + 5000
    assert size < len(written(people[5:6])) < size + 8000


def test_selected_annotations_come_back_as_they_were():
    """RoIs of few people, in any order, with repetitions and gaps."""
    people = [annotation(10 * n, n) if n % 2 else None for n in range(1, 8)]
    selected = DensePoseAnnotationList(people)[torch.tensor([6, 1, 2, 6, 3])]
    again = pickle.loads(pickle.dumps(selected))
    assert len(again) == 5
    assert again.offsets.tolist() == [0, 30, 100]
    for found, expected in zip(again, selected):
        assert (found is None) == (expected is None)
        if expected is not None:
            assert torch.equal(found.i, expected.i)
            assert torch.equal(found.segm, expected.segm)


def test_the_output_of_one_person_is_sent_alone():
    """A queue puts storages into shared memory: that of the person alone."""
    one = output()[3]
    again = pickle.loads(ForkingPickler.dumps(one))
    assert torch.equal(again.u, one.u)
    assert again.u.untyped_storage().nbytes() == one.u.nbytes
