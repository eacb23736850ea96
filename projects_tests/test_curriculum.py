"""Training that begins on other data sets than it goes on with."""

from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext import register_densepose_coco
from projects_tests.tiny_dataset import make_dataset, make_surface
from projects_tests.tiny_run import assert_same_weights, config, train, weights

NAMES = ("begun_with", "gone_on_with")


@pytest.fixture(scope="module", autouse=True)
def _datasets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curriculum")
    surface = make_surface(folder / "surface")
    for number, name in enumerate(NAMES):
        path = make_dataset(folder / name, images=3 + number)
        register_densepose_coco(name, path, path.parent, surface=surface)
    yield
    for name in NAMES:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def curriculum(folder, *overrides):
    return config(
        folder, "DATASETS.TRAIN_FIRST", NAMES[:1], "DATASETS.TRAIN", NAMES[1:],
        "SOLVER.TRAIN_FIRST_ITERS", 3, *overrides,
    )  # fmt: skip


class Seen:
    """Which data set the images of each iteration were of."""

    def __init__(self):
        self.of: dict[int, set[str]] = {}

    def __call__(self, trainer):
        forward = type(trainer.model).forward

        def watched(batch):
            names = {Path(image["file_name"]).parent.name for image in batch}
            self.of[trainer.iter] = names & set(NAMES) or {batch[0]["file_name"]}
            return forward(trainer.model, batch)

        trainer.model.forward = watched


def final(trainer) -> dict:
    return weights(Path(trainer.cfg.OUTPUT_DIR) / "model_final.pth")


def test_data_sets_follow_one_another(tmp_path):
    seen = Seen()
    train(curriculum(tmp_path), before_step=seen)
    assert seen.of == {n: {NAMES[n >= 3]} for n in range(6)}


@pytest.mark.parametrize("killed_at", [2, 4])
def test_resumed_before_or_after_the_change_gives_the_same_weights(killed_at, tmp_path):
    class Killed(Exception):
        pass

    def kill(trainer):
        if trainer.iter == killed_at:
            raise Killed

    whole = final(train(curriculum(tmp_path / "whole")))
    with pytest.raises(Killed):
        train(curriculum(tmp_path / "killed"), after_step=kill)
    seen = Seen()
    resumed = train(curriculum(tmp_path / "killed"), resume=True, before_step=seen)
    assert resumed.start_iter == 2 * (killed_at // 2)
    assert seen.of == {n: {NAMES[n >= 3]} for n in range(resumed.start_iter, 6)}
    assert_same_weights(final(resumed), whole)


def test_the_later_data_sets_are_not_read_before_their_time(tmp_path):
    def unread():
        raise AssertionError("read too early")

    DatasetCatalog.register("not_made_yet", unread)
    try:
        later = ["DATASETS.TRAIN", ("not_made_yet",)]
        train(curriculum(tmp_path, *later, "SOLVER.MAX_ITER", 3))
        with pytest.raises(AssertionError, match="read too early"):
            train(curriculum(tmp_path, *later, "SOLVER.MAX_ITER", 4), resume=True)
    finally:
        DatasetCatalog.remove("not_made_yet")


@pytest.mark.parametrize(("names", "iterations"), [((), 3), (NAMES[:1], 0)])
def test_a_beginning_has_data_sets_and_a_length(names, iterations, tmp_path):
    with pytest.raises(ValueError, match=rf"TRAIN_FIRST_ITERS = {iterations}, .*expected a number"):
        curriculum(tmp_path, "DATASETS.TRAIN_FIRST", names, "SOLVER.TRAIN_FIRST_ITERS", iterations)
