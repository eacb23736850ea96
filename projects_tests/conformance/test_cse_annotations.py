"""Flipped and resized annotations with vertices, compared with the official project's."""

import json
import zlib

import numpy as np
import pytest
from detectron2.data import transforms as T

from densepose_ext.data import densepose_annotation, read_densepose
from densepose_ext.data.transforms import affine_matrix, transform_densepose
from densepose_ext.surface.meshes import get_mesh
from projects_tests.reference import conformance_file

FILE = conformance_file("cse/annotations/cases.json")
CASES = json.loads(FILE.read_text()) if FILE else []


@pytest.mark.skipif(not CASES, reason="no cse/annotations/cases.json")
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_annotation(case, monkeypatch):
    monkeypatch.setenv("DENSEPOSE_EXT_MESHES", str(FILE.parents[1] / "meshes"))
    transforms = T.TransformList(
        [
            getattr(T, step["type"])(**{k: v for k, v in step.items() if k != "type"})
            for step in case["transforms"]
        ]
    )
    x, y, w, h = case["annotation"]["bbox"]
    box = np.array([x, y, x + w, y + h])
    found = transform_densepose(
        densepose_annotation(read_densepose(case["annotation"])),
        affine_matrix(transforms),
        box,
        transforms.apply_box(box[None])[0],
        None,
        lambda mesh, vertices: get_mesh(mesh).symmetry[vertices],
    )
    expected = case["expected"]
    assert found.mesh == case["annotation"]["ref_model"]
    assert found.i is None
    for name in ("x", "y", "vertex"):
        np.testing.assert_allclose(getattr(found, name), expected[name], atol=1e-4, err_msg=name)
    if "segm_counts" not in expected:
        assert found.segm is None
        return
    segm = found.segm.numpy()
    counts = np.bincount(segm.ravel(), minlength=len(expected["segm_counts"]))
    assert counts.tolist() == expected["segm_counts"]
    assert zlib.crc32(segm.tobytes()) == expected["segm_crc32"]
