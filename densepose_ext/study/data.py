"""The data of studies: one set of synthetic images, with several variants of the annotations."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog

from ..data.chart_vertices import with_vertices
from ..data.coco import register_densepose_coco
from ..files.atomic import write_whole
from ..surface.dense_target import DENSE_KEY
from ..surface.surface import BodySurface
from ..synthetic.annotators import annotate_by_hand
from ..synthetic.dataset import generate
from .budget import Budget
from .fitted import label_by_fits
from .outcome import MEASURES
from .strata import records_clothing

#: Variants of the training annotations: exact points; these points with the nearest vertex of the
#: open body; points of half or a tenth of the people (the others keep boxes, masks and keypoints);
#: points with the errors of human annotators; points of bodies fitted to keypoints; points and a
#: teacher's dense targets.
VARIANTS = ("points", "vertices", "half", "tenth", "by hand", "fitted", "teacher")
_SHARES = {"half": 0.5, "tenth": 0.1}
#: Seed of the annotators' errors, and of the choice of people who keep their points.
_SEED = 0


class StudyData:
    """The data of a budget, whose images are rendered by :meth:`make`.

    Attributes:
        folder: folder of the images and true annotations.
        images: folder of the training images.
        truth: the true annotations of the training images.
        test: name of the test set in Detectron2's catalogues.
    """

    def __init__(self, budget: Budget, root: Path):
        """
        Args:
            root: folder of datasets.
        """
        self.folder = root / f"densepose_study_{budget.name}"
        self.images = self.folder / "train"
        self.truth = self.folder / "densepose_train.json"
        self._budget = budget
        self.test = f"study_{budget.name}_val"
        self._test_truth = self.folder / "densepose_val.json"

    def make(self, workers: int) -> None:
        """Renders missing images, in so many processes, and registers the test set.

        Raises:
            OSError, ValueError: the folder cannot be written, or has other people.
        """
        budget = self._budget
        generate(self.folder, budget.people, {"train": budget.train, "val": budget.val}, workers)
        if not records_clothing(json.loads(self._test_truth.read_bytes())["annotations"]):
            print(
                f"{self._test_truth} is from a version that did not record clothing: there will be"
                f" no results by clothing; to have them, delete {self.folder} and {MEASURES} of"
                " finished runs",
                file=sys.stderr,
            )
        _register(self.test, self._test_truth, self.folder / "val")

    def record(self, variant: str) -> dict:
        """Everything that determines a variant, as JSON."""
        budget = self._budget
        counts = {"train": budget.train, "val": budget.val}
        return {"people": budget.people.record(), **counts, "variant": variant}

    def annotations(self, variant: str, folder: Path) -> Path:
        """The training annotations of a variant other than a teacher's; written if missing.

        Args:
            variant: one of VARIANTS.
            folder: for annotations that differ from the true ones.

        Raises:
            ValueError: the people cannot be annotated so; the message names the file.
        """
        if variant == "points":
            return self.truth
        path = folder / f"{self.folder.name}_{variant.replace(' ', '_')}.json"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            try:
                contents = self._annotated(variant, path.with_suffix(".parts"))
            except ValueError as error:
                raise ValueError(f"{self.truth}: {error}") from error
            write_whole(path, json.dumps(contents).encode())
        return path

    def train(self, variant: str, annotations: Path) -> str:
        """Registers the annotations of a variant; returns its name in Detectron2's catalogues."""
        name = f"study_{self._budget.name}_{variant.replace(' ', '_')}"
        _register(name, annotations, self.images)
        return name

    def test_for(self, variant: str, folder: Path) -> str:
        """Name of the test set for models trained on a variant, in Detectron2's catalogues.

        It has the same people and points for all; for "vertices", with vertices too.

        Args:
            folder: for annotations that differ from the true ones.
        """
        if variant != "vertices":
            return self.test
        path = folder / f"{self.folder.name}_val_vertices.json"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            contents = _without_dense(self._test_truth)
            _add_vertices(contents)
            write_whole(path, json.dumps(contents).encode())
        name = f"{self.test}_vertices"
        _register(name, path, self.folder / "val")
        return name

    def _annotated(self, variant: str, parts: Path) -> dict:
        contents = _without_dense(self.truth)
        people = contents["annotations"]
        rng = np.random.default_rng(_SEED)
        if variant == "vertices":
            _add_vertices(contents)
            return contents
        if variant == "by hand":
            surface = BodySurface.load()
            contents["annotations"] = [annotate_by_hand(rng, one, surface) for one in people]
            return contents
        if variant == "fitted":
            label_by_fits(contents, parts)
            return contents
        for person in _left_out(people, _SHARES[variant], rng):
            for key in [key for key in person if key.startswith("dp_")]:
                del person[key]
        return contents


def _without_dense(path: Path) -> dict:
    """Annotations without dense targets: unused, and their paths are relative to the file."""
    contents = json.loads(path.read_bytes())
    for person in contents["annotations"]:
        person.pop(DENSE_KEY, None)
    return contents


def _add_vertices(contents: dict) -> None:
    contents["annotations"] = [with_vertices(person) for person in contents["annotations"]]


def _left_out(people: list[dict], share: float, rng: np.random.Generator) -> list[dict]:
    """People whose points are dropped, so that a share of the people, at least one, keeps them."""
    annotated = [person for person in people if "dp_x" in person]
    kept = max(round(len(annotated) * share), 1)
    return [annotated[k] for k in rng.permutation(len(annotated))[kept:]]


def _register(name: str, json_file: Path, images: Path) -> None:
    if name in DatasetCatalog:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
    register_densepose_coco(name, json_file, images, surface="open")
