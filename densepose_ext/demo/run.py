"""The steps of the demonstration. Each leaves files, and is passed over when they are there."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.evaluation import inference_on_dataset
from detectron2.utils.env import seed_all_rng
from detectron2.utils.logger import setup_logger
from torch import nn
from tqdm import tqdm

from .. import model_zoo
from ..checkpoint import DensePoseCheckpointer
from ..config import get_config_file
from ..data.build import build_densepose_test_loader
from ..engine import DensePoseTrainer, build_evaluator, build_model, load_config
from ..surface.cache import replacing
from .page import write_demo_page
from .pictures import draw_pictures
from .progress import Progress

#: What is trained: ten minutes on two CPU cores, or ten minutes on a GPU.
CONFIG_ON_CPU = "densepose_rcnn_EffLite0_FPN_synth_demo.yaml"
CONFIG_ON_GPU = "densepose_rcnn_EffLite0_FPN_synth.yaml"


def run_demo(out: Path, config: str | None = None, overrides: list[str] | None = None) -> Path:
    """Makes synthetic people, trains on them, scores, draws, and writes a page about it all.

    A broken run goes on where it was: people that are there are kept, training resumes at its
    last checkpoint, scores and pictures that are there are not made again.

    Args:
        out: folder for everything but the data set, which goes to $DETECTRON2_DATASETS or
            ``./datasets``.
        config: YAML file; default: CONFIG_ON_GPU if there is a GPU, else CONFIG_ON_CPU.
        overrides: ``KEY VALUE`` pairs on top of it.

    Returns:
        path of the page.

    Raises:
        ValueError: the folder holds a run with another config.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = config or get_config_file(CONFIG_ON_GPU if device == "cuda" else CONFIG_ON_CPU)
    own = ["MODEL.DEVICE", device, "OUTPUT_DIR", str(out), "SEED", 1]
    cfg = load_config(config, [*own, *(overrides or [])])
    out.mkdir(parents=True, exist_ok=True)
    _claim(out / "config.yaml", cfg)
    _log_to(out / "log.txt")

    _say("1/4  synthetic people")
    for name in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST):
        DatasetCatalog.get(name)

    _say(f"2/4  training on {device}, {cfg.SOLVER.MAX_ITER} steps; Ctrl-C, and it goes on later")
    model = _train(cfg)

    _say("3/4  scores on people that were not trained on")
    models = {"this run": (cfg, model), **_shipped(cfg, device)}
    scores = {
        name: _score(name, *of, out / "inference" / name.replace(" ", "_"))
        for name, of in models.items()
    }

    _say("4/4  pictures")
    pictures = draw_pictures(out / "pictures", models, cfg.DATASETS.TEST[0])
    page = out / "index.html"
    write_demo_page(page, cfg, scores, pictures, out)
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


def _log_to(path: Path) -> None:
    """Detectron2's log goes to a file; warnings also to the terminal."""
    for name in ("detectron2", "fvcore"):
        for handler in setup_logger(str(path), name=name).handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.WARNING)


def _train(cfg: CfgNode) -> nn.Module:
    """The trained model, from where an earlier run was."""
    quiet = cfg.clone()
    quiet.defrost()
    quiet.DATASETS.TEST = ()  # scored by itself, with a bar
    quiet.freeze()
    seed_all_rng(cfg.SEED)
    trainer = DensePoseTrainer(quiet)
    trainer.resume_or_load(resume=True)
    if trainer.start_iter < trainer.max_iter:
        trainer.register_hooks([Progress()])
        trainer.train()
    return trainer.model.eval()


def _shipped(cfg: CfgNode, device: str) -> dict[str, tuple[CfgNode, nn.Module]]:
    """The model that comes with the package, to compare with."""
    shipped = model_zoo.get().load_config(["MODEL.DEVICE", device])
    model = build_model(shipped).eval()
    DensePoseCheckpointer(model).load(shipped.MODEL.WEIGHTS)
    return {"shipped model": (shipped, model)}


def _score(name: str, cfg: CfgNode, model: nn.Module, folder: Path) -> dict:
    """Scores on the test set by task, and how long that took; kept in the folder."""
    path = folder / "scores.json"
    if path.exists():
        return json.loads(path.read_text())
    (dataset,) = cfg.DATASETS.TEST
    loader = build_densepose_test_loader(cfg, dataset)
    evaluator = build_evaluator(cfg, dataset, str(folder))
    start = time.perf_counter()
    with contextlib.closing(tqdm(loader, desc=name, unit="image", mininterval=0.5)) as bar:
        results = inference_on_dataset(model, bar, evaluator)
    scores = {"results": results, "seconds": time.perf_counter() - start, "images": len(loader)}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(scores, indent=1))
    return scores
