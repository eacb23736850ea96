"""The picture files of a dataset: paths, sizes, and checks that they can be read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PureWindowsPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..files.picture_reader import decode_picture, exif_orientation

#: What is raised for files that are missing, damaged or not pictures.
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def picture_path(folder: str, file_name: str) -> str:
    """The path of a picture whose ``file_name`` is given in an annotation file.

    Labelling tools may write backslashes, or an absolute path on another machine. If the file does
    not exist, the ends of the path are tried in the folder, the longest first.
    """
    path = os.path.join(folder, file_name)
    windows = PureWindowsPath(file_name)
    is_foreign = "\\" in file_name or windows.drive or os.path.isabs(file_name)
    if is_foreign and not os.path.exists(path):
        for start in range(len(windows.parts)):
            candidate = os.path.join(folder, *windows.parts[start:])
            if os.path.exists(candidate):
                return candidate
    return path


def picture_size(path: str) -> tuple[int, int]:
    """Width and height of a picture after its EXIF orientation is applied.

    Raises:
        one of UNREADABLE.
    """
    with open(path, "rb") as stream:
        try:
            picture = Image.open(stream)
        except UnidentifiedImageError:  # OpenCV may know it, and has to decode it for its size
            height, width = decode_picture(stream).shape[:2]
            return width, height
        with picture:
            width, height = picture.size
            orientation = exif_orientation(picture)
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def read_picture_as(path: str, image_format: str) -> np.ndarray:
    """Reads a picture as predictors do, in the format of a Detectron2 config.

    Args:
        path: local, or of Detectron2's PathManager.
        image_format: INPUT.FORMAT.

    Returns:
        (H, W, C) uint8, with the EXIF orientation applied.

    Raises:
        OSError: the file does not exist, or may not be read.
        ValueError: the file is damaged, or not a picture.
    """
    from detectron2.data import detection_utils

    with detection_utils.PathManager.open(path, "rb") as stream:
        try:
            picture = decode_picture(stream)
        except ValueError as error:
            raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    if image_format == "BGR":
        return picture
    rgb = Image.fromarray(picture[:, :, ::-1])
    return detection_utils.convert_PIL_to_numpy(rgb, image_format)


def check_pictures(images: Sequence[dict], source: str) -> None:
    """Decodes all pictures, JPEGs at an eighth of their size, and compares sizes with annotations.

    Args:
        images: with file_name (a path), width, height.
        source: of the images, for the message.

    Raises:
        ValueError: some cannot be used; the message has their number, the first one, and why.
    """
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as threads:
        faults = [fault for fault in threads.map(_fault, images) if fault]
    if faults:
        raise ValueError(
            f"{source}: {len(faults)} of {len(images)} pictures cannot be used, but all are needed"
            f" for evaluation; the first: {faults[0]}"
        )


def _fault(image: dict) -> str | None:
    """What is wrong with a picture; None if nothing is."""
    path, expected = image["file_name"], (image["width"], image["height"])
    try:
        size = picture_size(path)
        _decode_small(path)
    except FileNotFoundError:
        return f"{path} does not exist"
    except UNREADABLE as error:
        return f"{path} cannot be read: {error}"
    if size != expected:
        return f"{path} has {size} pixels (width, height), but its annotations say {expected}"
    return None


def _decode_small(path: str) -> None:
    try:
        picture = Image.open(path)
    except UnidentifiedImageError:
        return  # picture_size has decoded it
    with picture:
        picture.draft("RGB", (picture.width // 8, picture.height // 8))
        picture.load()
