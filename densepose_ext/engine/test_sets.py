"""Checks before training that the test sets of a run can be scored."""

from __future__ import annotations

from contextlib import suppress

from detectron2.engine import DefaultTrainer

from ..data.build import load_registered
from ..data.classes import check_test_classes, joint_classes
from ..data.picture_files import check_pictures


def check_test_sets(trainer: DefaultTrainer) -> None:
    """Reads the annotations of all test sets, compares their classes with those of training, builds
    their evaluators, decodes their pictures.

    Raises:
        ValueError, OSError: a set cannot be scored; the message names the file and the fault.
    """
    datasets = trainer.cfg.DATASETS
    trained = None
    if datasets.TRAIN:
        with suppress(ValueError):  # a trainer whose own loader numbers classes that disagree
            trained, _ = joint_classes(datasets.TRAIN)
    for name in datasets.TEST:
        with suppress(NotImplementedError):  # a trainer that does not test
            trainer.build_evaluator(trainer.cfg, name)
        images = load_registered(
            name, datasets.WHITELISTED_CATEGORIES.get(name), datasets.CATEGORY_MAPS.get(name)
        )
        check_test_classes(name, trained or ())
        check_pictures(images, f"test dataset {name!r}")
