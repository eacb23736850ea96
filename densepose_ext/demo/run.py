"""The steps of the demonstration. Each leaves files, and is passed over when they are there."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.evaluation import inference_on_dataset
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger
from tqdm import tqdm

from ..bfloat16_trainer import multiplies_bfloat16
from ..config import get_config_file
from ..data.build import build_densepose_test_loader
from ..engine import build_evaluator, load_config
from ..predictor import DensePosePredictor
from ..surface.cache import content_key, replacing
from .page import write_demo_page
from .pictures import draw_pictures
from .preparation import prepare
from .training import train

#: What is trained: for a quarter of an hour of two CPU cores, or for ten minutes of a GPU.
CONFIG_ON_CPU = "densepose_rcnn_EffLite0_FPN_synth_demo.yaml"
CONFIG_ON_GPU = "densepose_rcnn_EffLite0_FPN_synth.yaml"


def run_demo(out: Path, config: str | None = None, overrides: list[str] | None = None) -> Path:
    """Makes synthetic people, trains on them, scores, draws, and writes a page about it all.

    A broken run goes on where it was: people that are there are kept, training resumes at its
    last checkpoint, scores that are there are not measured again.

    Args:
        out: folder for everything but the data set, which goes to $DETECTRON2_DATASETS or
            ``./datasets``.
        config: YAML file; default: CONFIG_ON_GPU if there is a GPU, else CONFIG_ON_CPU.
        overrides: ``KEY VALUE`` pairs on top of it.

    Returns:
        path of the page.

    Raises:
        ValueError: the folder holds a run with another config, or DATASETS.TEST is not one set of
            synthetic people, whose truth is drawn beside what the model sees.
    """
    given = list(overrides or [])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    device = dict(zip(given[::2], given[1::2])).get("MODEL.DEVICE", device)
    on_gpu = device.startswith("cuda")
    config = config or get_config_file(CONFIG_ON_GPU if on_gpu else CONFIG_ON_CPU)
    own = ["MODEL.DEVICE", device, "OUTPUT_DIR", str(out / "training")]
    if not on_gpu and multiplies_bfloat16():
        own += ["SOLVER.AMP.ENABLED", True]
    if on_gpu:  # which would wait for pictures otherwise
        own += ["DATALOADER.NUM_WORKERS", min(os.cpu_count() or 1, 8)]
    cfg = load_config(config, [*own, *given])
    _check_tests(cfg.DATASETS.TEST)
    out.mkdir(parents=True, exist_ok=True)
    _claim(out / "config.yaml", cfg)
    _log_to(out / "log.txt")

    _say("1/4  synthetic people")
    prepare([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST])

    _say(f"2/4  training on {device}, {cfg.SOLVER.MAX_ITER} steps; Ctrl-C, and it goes on later")
    weights = train(cfg, functools.partial(_log_to, out / "log.txt"))

    _say("3/4  scores on people that were not trained on")
    predictors = {
        "this run": DensePosePredictor(cfg, weights, device),
        "shipped model": DensePosePredictor(device=device),
    }
    (dataset,) = cfg.DATASETS.TEST
    scores = {
        name: _score(name, predictor, dataset, out / "scores" / name.replace(" ", "_"))
        for name, predictor in predictors.items()
    }

    _say("4/4  pictures")
    pictures = draw_pictures(out / "pictures", predictors, dataset)
    page = out / "index.html"
    write_demo_page(page, cfg, scores, pictures)
    return page


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _claim(path: Path, cfg: CfgNode) -> None:
    """Keeps the config of the run, and refuses to mix two runs in a folder."""
    text = cfg.dump()
    if path.exists() and path.read_text() != text:
        raise ValueError(
            f"{path.parent} holds a run with another config ({path}); choose another --out, or"
            " delete the folder"
        )
    with replacing(path) as temporary:
        temporary.write_text(text)


def _check_tests(names: Sequence[str]) -> None:
    records = [MetadataCatalog.get(name).get("synthetic") for name in names]
    if len(records) != 1 or not records[0] or records[0]["backgrounds"]:
        raise ValueError(
            f"DATASETS.TEST = {names}; expected one set of synthetic people without photographs"
        )


def _log_to(path: Path) -> None:
    """Detectron2's log goes to a file; warnings also to the terminal."""
    for name in ("detectron2", "fvcore"):
        logger = setup_logger(str(path), distributed_rank=comm.get_rank(), name=name)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.WARNING)


def _score(name: str, predictor: DensePosePredictor, dataset: str, folder: Path) -> dict:
    """Scores on a dataset, kept in the folder: of boxes by Detectron2, of dense pose with tables.

    Returns:
        "box", Detectron2's scores of the boxes in percent; "densepose", what ``metrics.json``
        holds; "milliseconds", the mean time of an image, of boxes and dense pose.
    """
    path, weights = folder / "box.json", content_key(predictor.cfg.MODEL.WEIGHTS)
    if not path.exists() or json.loads(path.read_text()).get("weights") != weights:
        folder.mkdir(parents=True, exist_ok=True)
        loader = build_densepose_test_loader(predictor.cfg, dataset)
        evaluator = build_evaluator(predictor.cfg, dataset, str(folder))
        start = time.perf_counter()
        with (
            contextlib.closing(tqdm(loader, desc=name, unit="image", mininterval=0.5)) as bar,
            open(folder / "boxes.txt", "w") as log,
            contextlib.redirect_stdout(log),  # pycocotools prints
        ):
            results = inference_on_dataset(predictor.model, bar, evaluator)
        milliseconds = (time.perf_counter() - start) * 1000 / len(loader)
        with replacing(path) as temporary:
            own = {"milliseconds": milliseconds, "weights": weights}
            temporary.write_text(json.dumps(results["bbox"] | own))
    box = json.loads(path.read_text())
    del box["weights"]
    return {
        "milliseconds": box.pop("milliseconds"),
        "box": box,
        "densepose": json.loads((folder / "metrics.json").read_text()),
    }
