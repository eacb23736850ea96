"""The steps of the demo. Each writes files, and is skipped if they exist."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.utils import comm

from ..config import load_config
from ..engine.bfloat16_trainer import multiplies_bfloat16
from ..files.atomic import replacing
from ..files.configs import get_config_file
from ..model_zoo import get
from ..prediction.predictor import DensePosePredictor
from ..processes.cores import number_of_cores
from .log import log_to
from .page import write_demo_page
from .pictures import draw_pictures
from .preparation import prepare
from .processes import in_processes
from .scoring import is_scored, read_scores, score
from .training import train, trained_weights

#: Configs for a quarter of an hour on two CPU cores, or for ten minutes on a GPU.
CONFIG_ON_CPU = "densepose_rcnn_EffLite0_FPN_synth_demo.yaml"
CONFIG_ON_GPU = "densepose_rcnn_EffLite0_FPN_synth_demo_gpu.yaml"


def run_demo(out: Path, config: str | None = None, overrides: list[str] | None = None) -> Path:
    """Renders synthetic people, trains on them, evaluates, draws, and writes a page about it.

    An interrupted run is resumed: existing people and scores are kept, and training continues from
    its last checkpoint.

    Args:
        out: folder for everything except the dataset, which goes to $DETECTRON2_DATASETS or
            ``./datasets``.
        config: YAML file; default: CONFIG_ON_GPU if there is a GPU, else CONFIG_ON_CPU.
        overrides: ``KEY VALUE`` pairs on top of it.

    Returns:
        path of the page.

    Raises:
        ValueError: the folder holds a run with another config, or DATASETS.TEST is not a single
            dataset of synthetic people, whose ground truth is drawn beside predictions.
    """
    given = list(overrides or [])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    device = dict(zip(given[::2], given[1::2])).get("MODEL.DEVICE", device)
    on_gpu = device.startswith("cuda")
    config = config or get_config_file(CONFIG_ON_GPU if on_gpu else CONFIG_ON_CPU)
    own = ["MODEL.DEVICE", device, "OUTPUT_DIR", str(out / "training")]
    if not on_gpu and multiplies_bfloat16():
        own += ["SOLVER.AMP.ENABLED", True]
    if on_gpu:  # otherwise it would wait for pictures
        own += ["DATALOADER.NUM_WORKERS", min(number_of_cores(), 8)]
    cfg = load_config(config, [*own, *given])
    _check_tests(cfg.DATASETS.TEST)
    out.mkdir(parents=True, exist_ok=True)
    _claim(out / "config.yaml", cfg)
    log_to(out / "log.txt")

    _say("1/4  synthetic people")
    images = prepare([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST])

    _say(f"2/4  training on {device}, {cfg.SOLVER.MAX_ITER} steps; stop by Ctrl-C, resume later")
    folders = {name: out / "scores" / name.replace(" ", "_") for name in _models(cfg)}
    if not trained_weights(cfg).exists() or _unscored(cfg, folders):
        in_processes(_train_and_score, cfg, images, folders, out / "log.txt")
    scores = {name: read_scores(folder) for name, folder in folders.items()}

    _say("4/4  pictures")
    predictors = {name: _predictor(cfg, name) for name in folders}
    pictures = draw_pictures(out / "pictures", predictors, *cfg.DATASETS.TEST)
    page = out / "index.html"
    write_demo_page(page, cfg, scores, pictures)
    return page


def _train_and_score(cfg: CfgNode, folders: dict[str, Path], log: Path) -> None:
    """Runs in each process. Skips what an earlier run has done."""
    log_to(log)
    if not trained_weights(cfg).exists():
        train(cfg)
    comm.synchronize()  # one of the processes writes the weights
    if comm.is_main_process():
        _say("3/4  evaluation on other people than those trained on")
    for name in _unscored(cfg, folders):
        score(name, _predictor(cfg, name), *cfg.DATASETS.TEST, folders[name])


def _models(cfg: CfgNode) -> dict[str, tuple[CfgNode | None, Path]]:
    """Config and weights of the models to compare."""
    return {"this run": (cfg, trained_weights(cfg)), "shipped model": (None, get().weights)}


def _predictor(cfg: CfgNode, name: str) -> DensePosePredictor:
    return DensePosePredictor(*_models(cfg)[name], cfg.MODEL.DEVICE)


def _unscored(cfg: CfgNode, folders: dict[str, Path]) -> list[str]:
    """Names of the models without scores, or with scores of other weights."""
    return [
        name for name, (_, weights) in _models(cfg).items() if not is_scored(weights, folders[name])
    ]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _claim(path: Path, cfg: CfgNode) -> None:
    """Saves the config of the run, and refuses to mix two runs in a folder."""
    text = cfg.dump()
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"{path.parent} holds a run with another config ({path}); choose another --out, or"
            " delete the folder"
        )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _check_tests(names: Sequence[str]) -> None:
    records = [MetadataCatalog.get(name).get("synthetic") for name in names]
    if len(records) != 1 or not records[0] or records[0]["backgrounds"]:
        raise ValueError(
            f"DATASETS.TEST = {names}; expected one synthetic dataset without photographs"
        )
