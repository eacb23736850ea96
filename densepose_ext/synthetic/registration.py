"""Synthetic datasets in Detectron2's catalogue, generated on first use."""

import logging
import os
from dataclasses import replace
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from ..data.chart_vertices import write_with_vertices
from ..data.coco import load_densepose_coco, register_densepose_coco
from ..files.datasets_folder import datasets_folder
from ..processes.cores import number_of_cores
from .settings import SPLITS, Settings

logger = logging.getLogger(f"detectron2.{__name__}")

#: What is registered by default: split, images, settings. Training images have more points than
#: human annotators place, since exact points cost nothing; validation images have as many as
#: DensePose-COCO. Published figures are measured on densepose_synth_val: it is as hard as the
#: training images, and must not change.
DEFAULTS = {
    "densepose_synth_train": ("train", 800, Settings(size=384, points=40)),
    "densepose_synth_small_train": ("train", 2400, Settings(size=256, points=40)),
    "densepose_synth_many_train": ("train", 8000, Settings(size=256, points=40)),
    "densepose_synth_large_train": ("train", 4000, Settings(size=384, points=40)),
    "densepose_synth_things_train": (
        "train",
        4000,
        Settings(size=384, seed=1, points=40, things=5),
    ),
    "densepose_synth_photographs_train": (
        "train",
        12000,
        Settings(size=384, seed=2, points=40, things=4),
    ),
    "densepose_synth_facing_train": (
        "train",
        4000,
        Settings(size=384, seed=3, points=40, things=4, facing=0.85),
    ),
    "densepose_synth_val": ("val", 120, Settings(size=384)),
}
#: Those whose backgrounds and prints on clothes come from photographs, where there are any in
#: PHOTOGRAPHS, under $DETECTRON2_DATASETS; tools/gather_photographs.py gathers them.
WITH_PHOTOGRAPHS = ("densepose_synth_photographs_train", "densepose_synth_facing_train")
PHOTOGRAPHS = "photographs"


def register_synthetic(
    name: str,
    split: str,
    count: int,
    settings: Settings,
    folder: str | os.PathLike | None = None,
    workers: int | None = None,
    vertices: bool = False,
    photographs: str | os.PathLike | None = None,
) -> None:
    """Registers a synthetic dataset, which is generated when Detectron2 first asks for it.

    Args:
        name: name in Detectron2's catalogues.
        split: "train" or "val": different images with the same settings.
        count: number of images.
        settings: of the images.
        folder: where the dataset is kept; default: its name, under $DETECTRON2_DATASETS or
            ``./datasets``. A folder belongs to one set of settings.
        workers: number of generating processes; default: one for each core.
        vertices: people also have ``dp_vertex`` on the mesh "open". These annotations are in a
            separate file, so the folder can be shared with a dataset without vertices.
        photographs: folder of photographs for backgrounds and prints on clothes; if there is none
            when images are generated, both are drawn.

    Raises:
        ValueError: the split is unknown, or the count below 1.
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r}; expected one of {', '.join(SPLITS)}")
    if count < 1:
        raise ValueError(f"{count} images of {name}; expected 1 or more")
    if folder is None:
        root = datasets_folder()
        folder = os.path.join(root, name)
    folder = Path(folder)
    annotations, images = str(folder / f"densepose_{split}.json"), str(folder / split)
    used = annotations.replace(".json", "_cse.json") if vertices else annotations
    register_densepose_coco(name, used, images, surface="open")

    def load():
        # Imported on use: registration should stay fast.
        from .dataset import generate

        finished = Path(annotations).exists()
        found = None if photographs is None else Path(photographs)
        if found is not None and not found.is_dir():
            found = None
        if not finished:
            logger.info("generating %d synthetic images (%s) in %s, once", count, split, folder)
        # A finished dataset is of use where its photographs are not.
        if found is not None or photographs is None or not finished:
            rendered = settings
            if found is not None:
                rendered = replace(settings, backgrounds=str(found), printed=True)
            generate(folder, rendered, {split: count}, workers or number_of_cores())
        if vertices and _is_older(Path(used), Path(annotations)):
            write_with_vertices(annotations, used)
        return load_densepose_coco(used, images, name, surface="open")

    DatasetCatalog.remove(name)
    DatasetCatalog.register(name, load)
    MetadataCatalog.get(name).set(synthetic=settings.record())


def _is_older(file: Path, source: Path) -> bool:
    """Whether a file is missing, or older than the one that it is made from."""
    return not file.exists() or file.stat().st_mtime_ns < source.stat().st_mtime_ns


def register_default_synthetic() -> None:
    """Registers the datasets of DEFAULTS, and each also with vertices, as NAME_cse.

    The latter share the folder and the pictures of the former.
    """
    root = datasets_folder()
    for name, (split, count, settings) in DEFAULTS.items():
        folder = os.path.join(root, name)
        photographs = os.path.join(root, PHOTOGRAPHS) if name in WITH_PHOTOGRAPHS else None
        for registered, vertices in ((name, False), (f"{name}_cse", True)):
            if registered not in DatasetCatalog:
                register_synthetic(
                    registered,
                    split,
                    count,
                    settings,
                    folder,
                    vertices=vertices,
                    photographs=photographs,
                )
