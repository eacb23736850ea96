"""Pictures as the content of files."""

import cv2
import numpy as np
import pytest

from densepose_ext.files.picture_encoding import encode_picture


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (4, 5, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pngs_keep_every_value(shape, dtype):
    picture = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)
    content = np.frombuffer(encode_picture(".png", picture), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(content, cv2.IMREAD_UNCHANGED), picture)


def test_jpegs_are_smaller_at_a_lower_quality():
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert len(encode_picture(".jpg", picture, 10)) < len(encode_picture(".jpg", picture, 90))


def test_a_picture_too_large_for_its_format_is_an_error():
    with pytest.raises(ValueError, match=r"cannot write a \.jpg of shape \(70000, 1\)"):
        encode_picture(".jpg", np.zeros((70000, 1), np.uint8))
