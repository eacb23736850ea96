"""The evaluator of dense pose, for Detectron2."""

from __future__ import annotations

import json
import logging
import os
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances
from detectron2.utils import comm

from ..data.annotation_file import read_annotations
from ..structures import (
    DensePoseEmbeddingOutput,
    DensePoseOutput,
    DensePoseResult,
    VertexResult,
)
from ..surface.meshes import get_mesh
from ..surface.registry import Surface, get_surface
from .detections import ArrayMaps, Detections, OutputMaps, PersonMaps
from .gallery import Gallery
from .gps import Kappa
from .mesh_alignment import mesh_alignment, read_key_vertices
from .people import GroundTruth, Image
from .publish import publish, scores_survive
from .results import result_entry, write_results
from .scorecard import Scorecard
from .vertex_maps import EmbeddingMaps, VertexArrayMaps
from .vertex_scoring import VertexScorer

logger = logging.getLogger(f"detectron2.{__name__}")

#: Names of the three similarities in Detectron2's results.
TASKS = {"gps": "densepose_gps", "gpsm": "densepose_gpsm", "iou": "densepose_segm"}

RESULTS_FILE = "coco_densepose_results.json"


class DensePoseEvaluator(DatasetEvaluator):
    """GPS, GPSm and mask AP of a dense pose model on a dataset with ``dp_*`` annotations.

    Images are scored one by one, and only their similarity matrices are kept. ``evaluate`` gathers
    those of all processes and returns, on the main process, ``densepose_gps``, ``densepose_gpsm``
    and ``densepose_segm``, each with AP, AP50, AP75, APm, APl, AR, AR50, AR75, ARm, ARl in percent
    (-1 if there is no ground truth). It logs tables of parts and errors, and writes
    ``metrics.json`` and ``report.html`` to the output folder.
    """

    def __init__(
        self,
        dataset_name: str,
        distributed: bool = True,
        output_dir: str | os.PathLike | None = None,
        *,
        surface: str | os.PathLike | Surface | None = None,
        gps: bool | None = None,
        kappa: Kappa = "per-part",
        min_iou_threshold: float = 0.5,
        image_ids: Collection[int | str] | None = None,
        categories: Sequence[int] | None = None,
        category_map: Mapping[int, int] | None = None,
        by_vertices: bool = False,
        alignment_meshes: Sequence[str] | None = None,
        save_results: bool = False,
        report: bool = True,
    ):
        """
        Args:
            dataset_name: registered with Detectron2; its metadata has ``json_file`` and
                ``surface``.
            distributed: gather the scores of all processes; False: only those of this one.
            output_dir: folder for the files; None: write none.
            surface: of the annotations, instead of the metadata's: a name, a folder with the
                official files, or an object with closest_vertex and geodesic.
            gps: False: score only parts and masks, which needs no surface. None: score GPS if the
                geodesics of the surface are available, and log a warning if not.
            kappa: tolerance of GPS: "per-part", or a length in metres (.255 in the paper).
            min_iou_threshold: .4, .3 or .2 add AP40, AP30, AP20.
            image_ids: score only these images.
            categories, category_map: ids to keep, and id -> id to replace it with, as in training.
            by_vertices: compare predicted vertices with ``dp_vertex``, on the meshes that
                annotations name, without a surface.
            alignment_meshes: with ``by_vertices``, meshes whose embeddings are compared with each
                other; empty: those of the model; None: do not compare.
            save_results: write all detections to ``coco_densepose_results.json``.
            report: write ``report.html``, with plots and the best and worst people.

        Raises:
            ValueError, OSError: annotations or surface cannot be used.
        """
        self._metadata = MetadataCatalog.get(dataset_name)
        json_file = getattr(self._metadata, "json_file", None)
        if json_file is None:
            raise ValueError(f"dataset {dataset_name!r} has no json_file; is it registered?")
        if save_results and output_dir is None:
            raise ValueError("save_results needs an output_dir")
        self._alignment_meshes = alignment_meshes or ()
        self._key_vertices: dict[str, dict[str, int]] | None = None
        if by_vertices:
            surface = None
            if alignment_meshes is not None:
                self._key_vertices = read_key_vertices()
        elif surface is None and gps is not False:
            surface = _registered_surface(dataset_name)
        if isinstance(surface, (str, os.PathLike)):
            surface = get_surface(surface)
        if gps is None and not by_vertices:
            gps = surface is not None and _has_geodesics(surface)
        annotations = read_annotations(json_file, getattr(self._metadata, "image_root", ""))
        self._truth = GroundTruth(
            annotations.of_categories(categories, category_map), image_ids, by_vertices
        )
        if gps is None:
            gps = _meshes_have_geodesics(self._truth)
        self._make_card = lambda: Scorecard(
            self._truth,
            surface if gps else None,
            kappa,
            min_iou_threshold,
            VertexScorer(gps, kappa) if by_vertices else None,
        )
        self._vertices: dict[str, np.ndarray] = {}
        self._facts = {
            "dataset": dataset_name,
            "surface": surface.name if gps and surface is not None else None,
            "kappa": kappa if gps else None,
        }
        self._distributed = distributed
        self._output = Path(output_dir) if output_dir is not None else None
        self._reports = report and self._output is not None
        self._saves = save_results
        self._stream: TextIO | None = None
        self._part: Path | None = None
        self._abandon: weakref.finalize | None = None
        self.reset()

    @classmethod
    def from_config(
        cls, cfg: CfgNode, dataset_name: str, output_dir: str | os.PathLike | None = None
    ) -> DensePoseEvaluator:
        """The evaluator of a config: the keys of DENSEPOSE_EVALUATION, and the categories of
        DATASETS.WHITELISTED_CATEGORIES and DATASETS.CATEGORY_MAPS.
        """
        node = cfg.DENSEPOSE_EVALUATION
        return cls(
            dataset_name,
            node.DISTRIBUTED_INFERENCE,
            output_dir,
            min_iou_threshold=node.MIN_IOU_THRESHOLD,
            by_vertices=node.TYPE == "cse",
            alignment_meshes=(
                node.MESH_ALIGNMENT_MESH_NAMES if node.EVALUATE_MESH_ALIGNMENT else None
            ),
            categories=cfg.DATASETS.WHITELISTED_CATEGORIES.get(dataset_name),
            category_map=cfg.DATASETS.CATEGORY_MAPS.get(dataset_name),
        )

    @property
    def scorecard(self) -> Scorecard:
        """The scores of the images so far; those of all processes on the main one at the end."""
        return self._card

    def reset(self) -> None:
        self._card = self._make_card()
        self._gallery = Gallery()
        # Known once the dataset is loaded, which may be after the evaluator is built.
        contiguous = getattr(self._metadata, "thing_dataset_id_to_contiguous_id", None)
        if contiguous is None:
            contiguous = {category: n for n, category in enumerate(sorted(self._truth.categories))}
        self._category_of_class = {n: category for category, n in contiguous.items()}
        if self._saves and self._output is not None:
            if self._abandon is not None:
                self._abandon()
            self._output.mkdir(parents=True, exist_ok=True)
            # A unique name for this process's detections: other runs may write to the folder.
            self._part = self._output / f".{RESULTS_FILE}.{uuid.uuid4().hex}.tmp"
            self._stream = open(self._part, "w", encoding="utf-8")  # noqa: SIM115
            # An evaluation that fails leaves no file behind.
            self._abandon = weakref.finalize(self, _discard, self._stream, self._part)

    def process(self, inputs: Sequence[Mapping], outputs: Sequence[Mapping]) -> None:
        """Scores images.

        Args:
            inputs: dicts with ``image_id``.
            outputs: dicts with ``instances``: boxes, scores, classes, and ``pred_densepose``, the
                network's maps or a list of DensePoseResult.

        Raises:
            ValueError: an image is not in the dataset, or detections have no dense pose.
        """
        for given, output in zip(inputs, outputs):
            image = self._image(given["image_id"])
            if image is None:
                continue
            detections = self._detections(image, output["instances"])
            found = self._card.add(image, detections)
            if self._reports and self._card.has_gps and not self._truth.by_vertices:
                with scores_survive("a person cannot be shown in the report"):
                    self._gallery.add(found)
            if self._stream is not None:
                for n in np.argsort(detections.order):
                    rest = detections.categories[n], detections.boxes[n], detections.scores[n]
                    entry = result_entry(image.id, *rest, detections.whole(n))
                    self._stream.write(json.dumps(entry, separators=(",", ":")) + "\n")

    def _image(self, image_id: int | str) -> Image | None:
        """The image of an input, or None if it is not among the chosen ones."""
        image = self._truth.images.get(image_id)
        if image is None and image_id not in self._truth.known_ids:
            raise ValueError(f"image {image_id!r} is not in {self._truth.source}")
        return image

    def _detections(self, image: Image, instances: Instances) -> Detections:
        count = len(instances)
        boxes = np.zeros((0, 4), np.float32)
        if count:
            boxes = instances.pred_boxes.tensor.detach().cpu().numpy().astype(np.float32)
            boxes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
        classes = instances.pred_classes.tolist() if count else []
        maps: PersonMaps = ArrayMaps([])
        if count:
            if not instances.has("pred_densepose"):
                raise ValueError(
                    f"the detections of image {image.id} have no pred_densepose; "
                    "is MODEL.DENSEPOSE_ON set, and MODEL.ROI_HEADS.NAME DensePoseROIHeads?"
                )
            maps = self._maps(instances.pred_densepose, boxes[:, 2:])
        try:
            return Detections.best_first(
                boxes.astype(float),
                instances.scores.detach().cpu().numpy().astype(float) if count else np.zeros(0),
                np.array([self._category_of_class.get(n, -1) for n in classes], int),
                maps,
            )
        except ValueError as error:
            raise ValueError(f"image {image.id}: {error}") from error

    def _maps(self, dense_pose: Any, sizes: np.ndarray) -> PersonMaps:
        """The dense pose of N detections, from the network's maps or from N results."""
        is_output = isinstance(dense_pose, (DensePoseOutput, DensePoseEmbeddingOutput))
        first = dense_pose if is_output else dense_pose[0]
        of_vertices = isinstance(first, (DensePoseEmbeddingOutput, VertexResult))
        if of_vertices != self._truth.by_vertices:
            found, expected = ("embeddings", "iou") if of_vertices else ("charts", "cse")
            raise ValueError(
                f"the model predicts {found}, which DENSEPOSE_EVALUATION.TYPE {expected} cannot"
                " score"
            )
        if isinstance(dense_pose, DensePoseEmbeddingOutput):
            if self._key_vertices is not None and not self._vertices and dense_pose.meshes:
                self._vertices = {
                    name: value.detach().float().cpu().numpy()
                    for name, value in dense_pose.meshes.vertices.items()
                }
            return EmbeddingMaps(dense_pose, sizes)
        if of_vertices:
            return VertexArrayMaps([partial(one.map, torch.Tensor.cpu) for one in dense_pose])
        if is_output:
            return OutputMaps(dense_pose, sizes)
        return ArrayMaps([partial(_iuv, result) for result in dense_pose])

    def evaluate(self) -> OrderedDict:
        """The metrics in percent on the main process, an empty dictionary on the others.

        They are computed first; failures to write files or pictures after that are only logged.
        """
        if self._stream is not None and self._abandon is not None:
            self._stream.close()
            self._abandon.detach()  # the main process reads the file, then removes it
        parts = [self._part]
        if self._distributed:
            comm.synchronize()
            states = comm.gather(self._card.state(), dst=0)
            galleries = comm.gather(self._gallery, dst=0)
            parts = comm.gather(self._part, dst=0)
            if not comm.is_main_process():
                return OrderedDict()
            self._card.merge(states)
            self._gallery = Gallery.merged(galleries)
        metrics, _ = publish(
            self._card, self._gallery, self._facts, logger.info, self._output, self._reports
        )
        if self._saves and self._output is not None:
            path = self._output / RESULTS_FILE
            with scores_survive(f"cannot write {path}"):
                _join_results(path, [part for part in parts if part is not None])
        results = OrderedDict(
            (TASKS[mode], {name: _percent(value) for name, value in values.items()})
            for mode, values in metrics.items()
        )
        if self._key_vertices is not None:
            with scores_survive("the alignment of meshes cannot be scored"):
                results["densepose_mesh_alignment"] = mesh_alignment(
                    self._vertices, self._key_vertices, self._alignment_meshes
                )
        return results


def _discard(stream: TextIO, path: Path) -> None:
    stream.close()
    path.unlink(missing_ok=True)


def _join_results(path: Path, parts: Sequence[Path]) -> None:
    """Joins the results files of all processes."""

    def entries() -> Iterator[dict]:
        for part in parts:
            with open(part, encoding="utf-8") as stream:
                yield from map(json.loads, stream)

    write_results(path, entries())
    for part in parts:
        part.unlink()


def _registered_surface(dataset_name: str) -> str:
    """The surface in the metadata of a dataset."""
    surface = getattr(MetadataCatalog.get(dataset_name), "surface", None)
    if not surface:
        raise ValueError(
            f"the metadata of dataset {dataset_name!r} names no surface; register it with one "
            "(surface='open', 'smpl' or a folder of official files), since scores on the wrong "
            "body would look like scores"
        )
    return surface


def _has_geodesics(surface: Surface) -> bool:
    """Whether GPS can be scored; if not, a warning is logged, since it must not stop training."""
    vertex = np.zeros(1, np.int64)
    try:
        surface.geodesic(vertex, vertex)
        surface.closest_vertex(np.ones(1, np.int64), np.zeros(1), np.zeros(1))
    except FileNotFoundError as error:
        logger.warning(f"GPS is not scored, parts and masks are: {error}")
        return False
    return True


def _meshes_have_geodesics(truth: GroundTruth) -> bool:
    """As :func:`_has_geodesics`, for the meshes that people are annotated on."""
    for mesh in truth.meshes():
        try:
            get_mesh(mesh).geodesic(np.zeros(1, np.int64), np.zeros(1, np.int64))
        except FileNotFoundError as error:
            logger.warning(f"GPS is not scored, masks are: {error}")
            return False
        except ValueError as error:
            raise ValueError(f"{truth.source}: ref_model {mesh!r}: {error}") from error
    return True


def _percent(value: float) -> float:
    return value * 100 if value >= 0 else value


def _iuv(result: DensePoseResult) -> np.ndarray:
    return result.iuv_uint8().cpu().numpy()


#: The official project's name, which other code imports.
DensePoseCOCOEvaluator = DensePoseEvaluator
