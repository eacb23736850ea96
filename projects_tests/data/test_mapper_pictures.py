"""Files of pictures as the mapper reads them: of any kind, and damaged ones."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from densepose_ext.data import DensePoseDatasetMapper
from densepose_ext.data.left_out import warn_once
from densepose_ext.data.picture_files import check_pictures, picture_size
from densepose_ext.prediction.pictures import to_bgr


@pytest.fixture(autouse=True)
def _warn_again():
    warn_once.cache_clear()


def size_of(image: dict) -> tuple[int, int]:
    return image["height"], image["width"]


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("image_format", ["BGR", "RGB", "L"])
def test_16_bit_grey_is_scaled_as_by_the_predictor(image, tmp_path, suffix, image_format):
    path, (height, width) = str(tmp_path / f"deep{suffix}"), size_of(image)
    grey = np.linspace(0, 65535, height * width).round().astype(np.uint16).reshape(height, width)
    cv2.imwrite(path, grey)
    image["file_name"] = path
    mapper = DensePoseDatasetMapper(False, augmentations=[], image_format=image_format)
    found = mapper(image)["image"].numpy()
    predicted = to_bgr(path).transpose(2, 0, 1)
    np.testing.assert_array_equal(found, predicted[:1] if image_format == "L" else predicted)
    assert (found.min(), found.max()) == (0, 255)
    assert abs(int(found[0, height // 2, 0]) - 128) <= 1


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("image_format", ["BGR", "RGB"])
def test_colour_is_read_as_by_the_predictor(image, tmp_path, channels, suffix, image_format):
    """16 bits, for which Pillow has no TIFF reader, and transparency."""
    path, (height, width) = str(tmp_path / f"deep{suffix}"), size_of(image)
    colours = np.random.default_rng(0).integers(0, 65536, (height, width, channels), np.uint16)
    cv2.imwrite(path, colours)
    image["file_name"] = path
    check_pictures([image], "dataset")
    assert picture_size(path) == (width, height)
    mapper = DensePoseDatasetMapper(False, augmentations=[], image_format=image_format)
    found = mapper(image)["image"].numpy()
    predicted = to_bgr(path).transpose(2, 0, 1)
    np.testing.assert_array_equal(found if image_format == "BGR" else found[::-1], predicted)


@pytest.mark.parametrize("kind", ["missing", "empty", "truncated", "text", "folder", "wrong size"])
def test_pictures_that_cannot_be_used_are_skipped_in_training_only(image, tmp_path, caplog, kind):
    path = tmp_path / f"{kind}.jpg"
    content = Path(image["file_name"]).read_bytes()
    if kind in ("empty", "truncated", "text"):
        path.write_bytes({"empty": b"", "truncated": content[:3000], "text": b"picture"}[kind])
    elif kind == "folder":
        path.mkdir()
    elif kind == "wrong size":
        cv2.imwrite(str(path), np.zeros((image["height"] + 1, image["width"], 3), np.uint8))
    image["file_name"] = str(path)

    with caplog.at_level(logging.WARNING):
        train = DensePoseDatasetMapper(True, augmentations=[], image_format="BGR")
        assert train(image) is None
        assert train(image) is None
    (record,) = caplog.records  # once, not in every epoch
    assert str(path) in record.getMessage()
    with pytest.raises(ValueError, match=f"{kind}.jpg"):
        DensePoseDatasetMapper(False, augmentations=[], image_format="BGR")(image)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff", ".gif"])
def test_damaged_pictures_never_end_a_training_run(image, tmp_path, suffix):
    rng, (height, width) = np.random.default_rng(0), size_of(image)
    picture = np.tile(np.arange(width, dtype=np.uint8), (height, 1))[..., None].repeat(3, 2)
    content = cv2.imencode(suffix, picture)[1].tobytes()
    image["file_name"] = str(tmp_path / f"damaged{suffix}")
    train = DensePoseDatasetMapper(True, augmentations=[], image_format="BGR")
    read = 0
    for n in range(60):
        damaged = bytearray(content)
        if n % 2:
            damaged = damaged[: rng.integers(len(damaged))]
        for place in rng.integers(0, max(min(len(damaged), 400), 1), 6):
            if damaged:
                damaged[place] = rng.integers(256)
        Path(image["file_name"]).write_bytes(damaged)
        mapped = train(image)
        read += mapped is not None
    assert read < 60
