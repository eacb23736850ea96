"""Results files: exact round trips, and what can be wrong with one."""

import base64
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.evaluation.people import Image
from densepose_ext.evaluation.results import (
    Results,
    decode_iuv,
    encode_iuv,
    result_entry,
    write_results,
)
from projects_tests.reference import ROOT

REAL = Path(os.environ.get("DENSEPOSE_EXT_REAL", ROOT.parent / "shared" / "real"))


def entry(**change):
    iuv = np.zeros((3, 6, 5), np.uint8)
    iuv[:, 2, 3] = 24, 255, 7
    return result_entry(3, 1, [1.5, 2.5, 5.9, 6.9], 0.25, iuv) | change


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), h=st.integers(1, 40), w=st.integers(1, 40))
def test_maps_come_back_exactly(seed, h, w):
    iuv = np.random.default_rng(seed).integers(0, 256, (3, h, w)).astype(np.uint8)
    iuv[0] %= 25
    np.testing.assert_array_equal(decode_iuv(encode_iuv(iuv), [3, h, w]), iuv)


def test_channels_are_red_green_blue_for_i_u_v():
    png = np.frombuffer(base64.b64decode(encode_iuv(np.array([[[1]], [[2]], [[3]]], "u1"))), "u1")
    assert cv2.imdecode(png, cv2.IMREAD_UNCHANGED)[0, 0].tolist() == [3, 2, 1]


def test_a_file_comes_back_exactly(tmp_path):
    random = np.random.default_rng(0)
    entries = [
        entry(image_id=int(n % 3), score=float(random.random()), bbox=[*random.random(2), 5.5, 6.5])
        for n in range(7)
    ]
    assert write_results(tmp_path / "r.json", iter(entries)) == 7
    results = Results.read(tmp_path / "r.json")
    assert len(results) == 7
    assert sorted(results.entries(), key=str) == sorted(entries, key=str)
    assert json.loads((tmp_path / "r.json").read_text()) == entries


def test_an_empty_file(tmp_path):
    assert write_results(tmp_path / "r.json", []) == 0
    assert len(Results.read(tmp_path / "r.json")) == 0


def test_nothing_is_written_when_writing_fails(tmp_path):
    def entries():
        yield entry()
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        write_results(tmp_path / "r.json", entries())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not (REAL / "example_results.json").is_file(), reason="no real results")
def test_real_results(tmp_path):
    results = Results.read(REAL / "example_results.json")
    assert len(results) == 21
    decoded = [decode_iuv(e["uv_data"], e["uv_shape"]) for e in results.entries()]
    rewritten = [
        result_entry(e["image_id"], e["category_id"], e["bbox"], e["score"], iuv)
        for e, iuv in zip(results.entries(), decoded)
    ]
    write_results(tmp_path / "r.json", rewritten)
    again = Results.read(tmp_path / "r.json")
    for old, new, iuv in zip(results.entries(), again.entries(), decoded):
        keys = ("image_id", "category_id", "bbox", "score", "uv_shape")
        assert [old[k] for k in keys] == [new[k] for k in keys]
        np.testing.assert_array_equal(decode_iuv(new["uv_data"], new["uv_shape"]), iuv)
    assert sum(iuv[0].any() for iuv in decoded) > 10


def test_scores_as_text_are_numbers():
    """As in files of the first, Caffe2, release."""
    assert next(Results("f", [entry(score="0.5")]).entries())["score"] == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": float("nan")}, "score is nan"),
        ({"score": "high"}, "score is 'high'; expected a finite number"),
        ({"score": 10**400}, "score is 1000.*; expected a finite number"),
        ({"bbox": [1, 2, 10**400, 6]}, "bbox is .*expected .x, y, w, h."),
        ({"bbox": None}, "bbox is None"),
        ({"category_id": 10**30}, "category_id is 1000.*; expected an integer"),
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"bbox": [1, 2, -3, 6]}, "bbox"),
        ({"bbox": [0, 0, 50, 6]}, r"uv_shape is \[3, 6, 5\]; expected \[3, 6, 50\]"),
        ({"uv_shape": [6, 5]}, "uv_shape"),
        ({"uv_shape": [3, 0, 5]}, "uv_shape"),
        ({"image_id": 3.5}, "image_id"),
        ({"category_id": None}, "category_id"),
    ],
)
def test_bad_entries_are_named(change, message):
    with pytest.raises(ValueError, match=message) as error:
        Results("dets.json", [entry(), entry(**change)])
    assert "dets.json: entry 1" in str(error.value)


@pytest.mark.parametrize("key", ["image_id", "bbox", "score", "uv_shape", "uv_data"])
def test_missing_keys_are_named(key):
    bad = entry()
    del bad[key]
    with pytest.raises(ValueError, match=f"has no {key}"):
        Results("dets.json", [bad])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("???", "base64"),
        ("", "not a PNG"),
        (base64.b64encode(b"text").decode(), "not a PNG"),
        (encode_iuv(np.zeros((3, 5, 6), np.uint8)), r"\[3, 5, 6\] .*uv_shape says \[3, 6, 5\]"),
        (encode_iuv(np.full((3, 6, 5), 25, np.uint8)), "part 25"),
        (
            base64.b64encode(cv2.imencode(".png", np.zeros((6, 5), "u1"))[1]).decode(),
            r"\[1, 6, 5\]",
        ),
    ],
)
def test_bad_maps_are_named(data, message):
    image = Image(3, 100, 100)
    detections = Results("dets.json", [entry(uv_data=data)]).detections(image)
    with pytest.raises(ValueError, match=message) as error:
        detections.whole(0)
    assert "image 3" in str(error.value)
    assert "dets.json" in str(error.value)


@pytest.mark.parametrize("box", [[100, 2, 5, 6], [-6, 2, 5.5, 6], [2, 300, 5, 6], [2, -6, 5, 6]])
def test_a_box_outside_the_image_is_named(box):
    with pytest.raises(ValueError, match="outside the image of 100 x 90"):
        Results("f", [entry(bbox=box)]).detections(Image(3, 100, 90))


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "r.json"
    for text in ("", "{}", "[1]", "[{"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"r\.json"):
            Results.read(path)


def test_maps_of_a_file_stay_there(tmp_path):
    path = tmp_path / "r.json"
    write_results(path, [entry(), entry(image_id=4)])
    results = Results.read(path)
    assert results.by_image == {3: [entry()], 4: [entry(image_id=4)]}
    assert entry()["uv_data"] not in str(vars(results))
    assert list(results.entries()) == [entry(), entry(image_id=4)]
    path.write_text("[]")
    with pytest.raises(ValueError, match=r"r\.json.*has changed"):
        list(results.entries())
