"""The ``dp_*`` keys of one person: what is accepted, and what is refused."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.data import AnnotationError, densepose_annotation, read_densepose
from densepose_ext.data.annotations import POINT_KEYS, has_densepose
from projects_tests.tiny_dataset import make_person

IMAGE = {"id": 1, "height": 300, "width": 400}


def person(**changes) -> dict:
    """An annotation with three points, and whatever the test changes. None removes a key."""
    annotation = {
        "id": 7,
        "bbox": [10, 20, 100, 200],
        "dp_x": [0.0, 100.5, 255.0],
        "dp_y": [1.0, 128.0, 254.5],
        "dp_I": [1.0, 13.0, 24.0],
        "dp_U": [0.0, 0.5, 1.0],
        "dp_V": [0.25, 0.75, 0.125],
    }
    annotation.update(changes)
    return {key: value for key, value in annotation.items() if value is not None}


def test_points_become_tensors_of_the_documented_types():
    checked = read_densepose(person())
    assert set(checked) == set(POINT_KEYS)
    annotation = densepose_annotation(checked)
    for name, dtype in (("x", "float32"), ("y", "float32"), ("i", "int64"), ("u", "float32")):
        assert getattr(annotation, name).dtype == getattr(torch, dtype)
    assert annotation.x.tolist() == [0.0, 100.5, 255.0]
    assert annotation.y.tolist() == [1.0, 128.0, 254.5]
    assert annotation.i.tolist() == [1, 13, 24]
    assert annotation.u.tolist() == [0.0, 0.5, 1.0]
    assert annotation.v.tolist() == [0.25, 0.75, 0.125]
    assert annotation.segm is None


def test_part_masks_are_painted_into_one_map():
    annotation = make_person(np.random.default_rng(0), 1, IMAGE)
    checked = read_densepose(annotation)
    assert set(checked) == {*POINT_KEYS, "dp_masks"}
    segm = densepose_annotation(checked).segm
    assert segm.shape == (256, 256)
    assert segm.dtype == torch.uint8
    assert set(segm.unique().tolist()) <= set(range(15))
    assert segm.any()


@pytest.mark.parametrize("masks", [[], None])
def test_without_masks_there_is_no_map(masks):
    checked = read_densepose(person(dp_masks=masks))
    assert densepose_annotation(checked).segm is None
    assert "dp_masks" not in checked


def test_without_points_there_is_no_dense_pose():
    assert read_densepose({"id": 1, "bbox": [0, 0, 5, 5]}) is None
    assert read_densepose({}) is None
    # Masks without points are not trained on.
    assert read_densepose({"dp_masks": []}) is None
    assert has_densepose(person())
    assert not has_densepose({"bbox": [0, 0, 5, 5]})


def test_background_points_are_accepted():
    assert read_densepose(person(dp_I=[0, 13, 24]))["dp_I"].tolist() == [0, 13, 24]


def test_numbers_may_be_strings():
    assert read_densepose(person(dp_x=["1", "2.5", "3e1"]))["dp_x"].tolist() == [1, 2.5, 30]


def test_keys_without_a_value_are_not_there():
    nothing = dict.fromkeys((*POINT_KEYS, "dp_masks"))
    assert read_densepose({**person(), **nothing}) is None
    with pytest.raises(AnnotationError, match="has dp_y, dp_I, dp_U, dp_V but lacks dp_x"):
        read_densepose({**person(), "dp_x": None})


def test_rounding_errors_of_u_and_v_are_clamped():
    checked = read_densepose(person(dp_U=[-1e-3, 1.001, 0.5], dp_V=[1.0005, -0.0005, 1]))
    assert checked["dp_U"].tolist() == [0, 1, 0.5]
    assert checked["dp_V"].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dp_U": None}, r"has dp_x, dp_y, dp_I, dp_V but lacks dp_U"),
        ({"dp_I": None, "dp_V": None}, r"lacks dp_I, dp_V"),
        ({"dp_x": [1.0, 2.0]}, r"differing lengths: dp_x 2, dp_y 3, dp_I 3"),
        ({"dp_V": [0.5] * 4}, r"differing lengths: .*dp_V 4"),
        ({key: [] for key in POINT_KEYS}, r"has no points"),
        ({"dp_I": [1, 25, 2]}, r"dp_I\[1\] = 25, expected a part, 0 to 24"),
        ({"dp_I": [1, 2, -1]}, r"dp_I\[2\] = -1, expected a part, 0 to 24"),
        ({"dp_I": [1.5, 2, 3]}, r"dp_I\[0\] = 1.5, expected a part, 0 to 24"),
        ({"dp_U": [0, 1.0011, 0]}, r"dp_U\[1\] = 1.0011, expected 0 to 1"),
        ({"dp_V": [0, 0, -0.0011]}, r"dp_V\[2\] = -0.0011, expected 0 to 1"),
        ({"dp_x": [0, 256.1, 0]}, r"dp_x\[1\] = 256.1, expected 0 to 256"),
        ({"dp_y": [-0.1, 0, 0]}, r"dp_y\[0\] = -0.1, expected 0 to 256"),
        ({"dp_U": [0, float("nan"), 0]}, r"dp_U has values that are not finite"),
        ({"dp_x": [0, float("inf"), 0]}, r"dp_x has values that are not finite"),
        ({"dp_I": [1, None, 2]}, r"dp_I is not a flat list of numbers"),
        ({"dp_I": [True, False, True]}, r"dp_I is not a flat list of numbers"),
        ({"dp_x": [0, 1e300, 0]}, r"dp_x\[1\] = 1e\+300, expected 0 to 256"),
        ({"dp_x": [0, 10**400, 0]}, r"dp_x is not a flat list of numbers"),
        ({"dp_x": ["a", "b", "c"]}, r"dp_x is not a flat list of numbers"),
        ({"dp_y": "123"}, r"dp_y is not a flat list of numbers"),
        ({"dp_y": 3}, r"dp_y is not a flat list"),
        ({"dp_y": {"0": 1}}, r"dp_y is not a flat list of numbers"),
        ({"dp_y": [[1, 2, 3]]}, r"dp_y is not a flat list"),
        ({"dp_y": [[1], [2, 3], 4]}, r"dp_y is not a flat list of numbers"),
        ({"dp_masks": [[]] * 13}, r"dp_masks: 13 entries"),
        ({"dp_masks": {"size": [256, 256], "counts": "1"}}, r"runs of 1 pixels in all"),
        (
            {"dp_masks": [{"size": [256, 256], "counts": "1"}, *[[]] * 13]},
            r"dp_masks\[0\] \(torso\): runs of 1 pixels in all",
        ),
    ],
)
def test_wrong_annotations_are_refused(changes, message, recwarn):
    with pytest.raises(AnnotationError, match=message):
        read_densepose(person(**changes))
    assert not recwarn.list


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-300, 300)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*POINT_KEYS, "dp_masks", "dp_vertex"]), json_values),
)
def test_any_json_is_refused_or_usable(changes):
    """Any values: either points in range, or a refusal that names the reason."""
    annotation = json.loads(json.dumps(person())) | changes
    try:
        checked = read_densepose(annotation)
    except AnnotationError as error:
        assert str(error)  # noqa: PT017 (a refusal is one of two good answers)
        return
    result = densepose_annotation(checked)
    assert len({len(v) for v in (result.x, result.y, result.i, result.u, result.v)}) == 1
    assert 0 <= int(result.i.min()) <= int(result.i.max()) <= 24
    for values, high in ((result.x, 256), (result.y, 256), (result.u, 1), (result.v, 1)):
        assert torch.isfinite(values).all()
        assert 0 <= float(values.min()) <= float(values.max()) <= high
