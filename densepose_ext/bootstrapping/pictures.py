"""The unlabelled images of a dataset: image files, and key frames of videos."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog
from torch.utils.data import Dataset

from ..data.build import load_registered
from ..data.left_out import warn_once
from ..data.picture_files import read_picture_as
from ..data.sampler import Sample
from ..data.seeding import Purpose, generator
from ..files.media import PICTURE_SUFFIXES, is_video
from .key_frames import key_frame_times, read_key_frame, require_pyav

logger = logging.getLogger(f"detectron2.{__name__}")


@dataclass(frozen=True)
class Unlabelled:
    """An image to label.

    Attributes:
        path: path of the image or video.
        key_frame: index of the key frame in the video; -1: a random one; None: not a video.
        annotations: from ``load_densepose_coco``, used for their categories.
    """

    path: str
    key_frame: int | None = None
    annotations: Sequence[dict] = ()


def find_unlabelled(
    dataset: str,
    *,
    where: str,
    loader_type: str = "",
    strategy: str = "random_k",
    num_images: int = 4,
    categories: Sequence[int] | None = None,
    category_map: dict | None = None,
) -> list[Unlabelled]:
    """Lists the images of a dataset, with an entry for each key frame to take from a video.

    Args:
        dataset: a registered dataset (only the categories of its labels are used), or a folder.
        where: key in the config, for messages.
        loader_type: "image" or "video_keyframe": only these; "": both.
        strategy, num_images: the key frames to take from a video: "random_k", "first_k" or "all".
        categories, category_map: for a registered dataset, as for ``load_densepose_coco``: use
            only images with these categories.

    Raises:
        OSError, ValueError: there is no such dataset, or nothing to label in it.
    """
    if os.path.isdir(dataset):
        records = [{"file_name": path} for path in _files_of(dataset)]
    elif dataset in DatasetCatalog:
        records = load_registered(dataset, categories, category_map)
        if categories is not None:
            records = [record for record in records if record["annotations"]]
    else:
        raise FileNotFoundError(
            f"{where}.DATASET = {dataset!r} is neither a registered dataset nor a folder"
        )
    found: list[Unlabelled] = []
    for record in records:
        path = record["file_name"]
        if not is_video(path):
            if loader_type != "video_keyframe":
                found.append(Unlabelled(path, annotations=record.get("annotations", ())))
        elif loader_type != "image":
            found += _key_frames(path, strategy, num_images)
    missing = sum(not os.path.isfile(picture.path) for picture in found)
    if missing == len(found):
        kinds = {"": "images or videos", "image": "images", "video_keyframe": "videos"}
        reason = f": none of its {len(found)} exists, the first is {found[0].path}" if found else ""
        raise FileNotFoundError(
            f"{where}.DATASET = {dataset!r} has no {kinds[loader_type]} to bootstrap from{reason}"
        )
    if missing:
        logger.warning(f"{dataset}: left out {missing} of {len(found)}, whose files are missing")
    return [picture for picture in found if os.path.isfile(picture.path)]


def _files_of(folder: str) -> list[str]:
    """All images and videos in a folder, recursively, in a fixed order."""
    paths = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [
            os.path.join(place, file)
            for file in sorted(files)
            if not file.startswith(".")
            and (os.path.splitext(file)[1].lower() in PICTURE_SUFFIXES or is_video(file))
        ]
    return paths


def _key_frames(video: str, strategy: str, num_images: int) -> list[Unlabelled]:
    require_pyav(video)
    if strategy == "random_k":
        return [Unlabelled(video, -1)] * num_images
    if strategy == "first_k":
        return [Unlabelled(video, n) for n in range(num_images)]
    try:
        return [Unlabelled(video, n) for n in range(len(key_frame_times(video)))]
    except (OSError, ValueError) as error:
        warn_once(f"left out: {error}")
        return []


def surface_of(names: Sequence[str]) -> str | None:
    """The body that the labels of registered datasets, and hence pseudo-labels, refer to."""
    surfaces = (getattr(MetadataCatalog.get(name), "surface", None) for name in names)
    return next((surface for surface in surfaces if surface is not None), None)


class UnlabelledPictures(Dataset):
    """Reads the images of a dataset. The sample determines which one, and which key frame."""

    def __init__(self, pictures: Sequence[Unlabelled], image_format: str = "BGR"):
        """
        Args:
            pictures: from :func:`find_unlabelled`.
            image_format: Detectron2's INPUT.FORMAT.
        """
        self.pictures = pictures
        self._format = image_format

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, sample: Sample) -> tuple[Sample, np.ndarray | None]:
        """The sample and its image (H, W, 3) uint8, or None if it cannot be read."""
        picture = self.pictures[sample.image]
        try:
            return sample, self._read(picture, sample)
        except (OSError, ValueError) as error:
            warn_once(f"not bootstrapped from: {error}")
            return sample, None

    def _read(self, picture: Unlabelled, sample: Sample) -> np.ndarray:
        if picture.key_frame is None:
            return read_picture_as(picture.path, self._format)
        times = key_frame_times(picture.path)
        number = picture.key_frame
        if number < 0:
            number = generator(sample.seed, Purpose.KEY_FRAME, sample.position).integers(len(times))
        frame = read_key_frame(picture.path, times[number % len(times)])
        return frame if self._format == "BGR" else np.ascontiguousarray(frame[:, :, ::-1])
