"""Several people in one picture, against painting pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.visualization import compose_iuv
from densepose_ext.visualization.compose import compose_labels
from projects_tests.visualization.people import flat_person, random_person

SIZE = 20, 30

coordinate = st.floats(-40, 60, width=32)
boxes = st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=5)


def pixel_by_pixel(people, size):
    iuv = np.zeros((*size, 3), np.uint8)
    instances = np.zeros(size, int)
    best = np.full(size, -np.inf)
    for n, person in enumerate(people):
        x0, y0 = person.corner
        own = person.result.iuv_uint8().numpy()
        for y, x in np.argwhere(own[0] > 0):
            row, column = y0 + y, x0 + x
            inside = 0 <= row < size[0] and 0 <= column < size[1]
            if inside and person.score > best[row, column]:
                best[row, column] = person.score
                iuv[row, column] = own[:, y, x]
                instances[row, column] = n + 1
    return iuv, instances


@settings(deadline=None, max_examples=60)
@given(boxes, st.integers(0, 10**6))
def test_as_pixel_by_pixel(corners, seed):
    rng = np.random.default_rng(seed)
    people = [random_person(rng, box, float(rng.integers(0, 3))) for box in corners]
    iuv, instances = compose_iuv(people, SIZE)
    expected_iuv, expected_instances = pixel_by_pixel(people, SIZE)
    np.testing.assert_array_equal(iuv, expected_iuv)
    np.testing.assert_array_equal(instances, expected_instances)
    np.testing.assert_array_equal(compose_labels(people, SIZE), iuv[..., 0])


def test_channels_and_truncation():
    iuv, instances = compose_iuv([flat_person((2, 3, 6, 8), part=7, u=0.999, v=1.5)], SIZE)
    assert iuv.dtype == instances.dtype == np.uint8
    assert (iuv[3:8, 2:6] == [7, 254, 255]).all()
    assert (instances > 0).sum() == 20


def test_higher_score_on_top_in_any_order():
    low, high = flat_person((0, 0, 9, 9), 1, score=0.3), flat_person((5, 5, 12, 12), 2, score=0.8)
    for people in ([low, high], [high, low]):
        iuv, instances = compose_iuv(people, SIZE)
        assert iuv[7, 7, 0] == 2
        assert people[instances[7, 7] - 1] is high
        assert people[instances[1, 1] - 1] is low


def test_background_in_a_box_hides_nobody():
    front, behind = flat_person((0, 0, 9, 9), 1, score=0.9), flat_person((0, 0, 9, 9), 2, score=0.1)
    front.result.labels[:4] = 0
    iuv, instances = compose_iuv([front, behind], SIZE)
    assert (iuv[:4, :9, 0] == 2).all()
    assert (instances[:4, :9] == 2).all()
    assert (iuv[4:9, :9, 0] == 1).all()


def test_nobody():
    iuv, instances = compose_iuv([], SIZE)
    assert iuv.shape == (*SIZE, 3)
    assert instances.shape == SIZE
    assert not iuv.any()
    assert not instances.any()


def test_more_people_than_a_byte_counts():
    people = [flat_person((n % 30, n // 30, n % 30 + 1, n // 30 + 1)) for n in range(300)]
    _, instances = compose_iuv(people, SIZE)
    assert instances.dtype == np.uint16
    np.testing.assert_array_equal(instances.ravel()[:300], np.arange(1, 301))


@pytest.mark.parametrize("box", [(5, 5, 5, 5), (5, 5, 5.4, 19)])
def test_box_of_no_size_is_a_pixel_wide(box):
    iuv, _ = compose_iuv([flat_person(box)], SIZE)
    assert iuv[5:, 5, 0].any()
    assert not iuv[:, 6:].any()
