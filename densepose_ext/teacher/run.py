"""Trains a teacher on a dataset, and writes its dense targets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils import comm

from ..data.coco import register_densepose_coco
from ..data.json_file import read_json
from ..engine.trainer import DensePoseTrainer
from ..surface.registry import check_surface
from .write import write_annotations, write_targets

META_ARCHITECTURE = "DensePoseTeacher"


def teach(cfg: CfgNode, json_file: str, image_root: str, surface: str, out: Path) -> None:
    """Trains a teacher, then writes targets and ``annotations.json``. Resumes an interrupted run.

    Called in every process that ``launch`` starts.

    Args:
        cfg: config of the teacher; OUTPUT_DIR has its checkpoints.
        json_file, image_root, surface: as for ``register_densepose_coco``.
        out: folder for the targets.

    Raises:
        ValueError, OSError: the data cannot be used, or ``out`` cannot be written.
    """
    check_surface(surface)  # only what is written in the end depends on it
    cfg = cfg.clone()
    cfg.defrost()
    name = json_file  # in Detectron2's catalogue and in messages
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = (name,), ()
    register_densepose_coco(name, json_file, image_root, surface=surface)
    try:
        images = DatasetCatalog.get(name)
        _check_teachable(images, json_file)
        trainer = DensePoseTrainer(cfg)
        trainer.resume_or_load(resume=True)
        if trainer.start_iter < cfg.SOLVER.MAX_ITER:
            trainer.train()
        teacher = getattr(trainer.model, "module", trainer.model).eval()
        write_targets(teacher, images, cfg.INPUT.FORMAT, out)
        comm.synchronize()
        if comm.is_main_process():
            write_annotations(json_file, out, surface)
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def _check_teachable(images: list[dict], json_file: str) -> None:
    people = [p for image in images for p in image["annotations"] if "segmentation" in p]
    if not any("dp_x" in person for person in people):
        raise ValueError(f"{json_file}: nobody has points (dp_x) and a mask (segmentation)")
    # Targets are named after annotations, and the reader has given new ids to some of these.
    contents: Any = read_json(Path(json_file))
    ids = Counter(a.get("id") if isinstance(a, dict) else None for a in contents["annotations"])
    for number, count in ids.items():
        if number is None or count > 1:
            which = "no id" if number is None else f"the id {number}"
            raise ValueError(f"{json_file}: annotations with {which}: {count}, expected unique ids")
