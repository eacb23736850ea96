"""The page of the demo: scores, learning curve, pictures, next steps."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path

from detectron2.config import CfgNode

from ..evaluation import plots
from ..evaluation.markup import table, write_page
from ..evaluation.report import MODE_NAMES, metric_rows, point_rows
from ..processes.messages import counted
from .pictures import Picture

_LEGEND = (
    "In percent. AP is averaged over thresholds .5 to .95 of a similarity: of boxes, of masks, or"
    " of dense pose (GPS, the mean closeness of predicted to true points on the body; GPSm includes"
    " the mask). A point has the right part if its pixel has the right one of 24 labels; points of"
    " people who were not detected are left out."
)


def write_demo_page(
    path: Path, cfg: CfgNode, scores: Mapping[str, dict], pictures: Sequence[Picture]
) -> None:
    """Writes the page.

    Args:
        path: of the HTML file.
        cfg: of the model that was trained, with its OUTPUT_DIR.
        scores: of each model, from ``read_scores``.
        pictures: JPEGs to show.
    """
    name, trained = next(iter(scores.items()))
    densepose = trained["densepose"]
    sections = [
        f"<p>A DensePose R-CNN, trained for {counted(cfg.SOLVER.MAX_ITER, 'step')} of"
        f" {counted(cfg.SOLVER.IMS_PER_BATCH, 'synthetic picture')}"
        f" ({', '.join(cfg.DATASETS.TRAIN)}) and tested on {counted(densepose['images'], 'other')}"
        f" ({', '.join(cfg.DATASETS.TEST)}), compared with"
        " the model shipped with the package, which was trained longer by the same recipe."
        f"{_versions(cfg)}</p>",
        "<h2>Scores</h2>",
        _overview(scores),
        f'<p class="note">{html.escape(_LEGEND)}</p>',
        "<h2>Pictures</h2>",
        *(_figure(picture) for picture in pictures),
        "<h2>Learning curve</h2>",
        _image(plots.learning_curve(read_losses(Path(cfg.OUTPUT_DIR) / "metrics.json")), "losses"),
        f"<h2>Where on the body: {html.escape(name)}</h2>",
        _body_plots(densepose),
        table(*point_rows({**densepose["parts"]["by_group"], **densepose["parts"]["by_side"]})),
        f"<h2>All scores, with 95% intervals: {html.escape(name)}</h2>",
        table(*metric_rows(_modes(densepose), densepose["intervals"])),
        f"<p>More: {_links(scores, path)}.</p>",
        "<h2>What next</h2>",
        _next_steps(cfg),
    ]
    write_page(path, "DensePose, from nothing", sections)


def _versions(cfg: CfgNode) -> str:
    """A sentence on the test-time augmentation of the trained model, if there is any."""
    if not cfg.TEST.AUG.ENABLED:
        return ""
    seen = "each picture and its mirror image" if cfg.TEST.AUG.FLIP else "versions of each picture"
    return (
        f" This run's predictions are averages over {seen} (TEST.AUG), those of the shipped model"
        " are not."
    )


def read_losses(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Iteration and value of every loss in the JSON lines that Detectron2's trainer writes.

    A resumed run may have written an iteration twice; the last one counts.
    """
    found: dict[str, dict[int, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the run was killed while it wrote this line
        for key, value in entry.items():
            if "loss" in key:
                found.setdefault(key, {})[entry["iteration"]] = value
    return {key: sorted(values.items()) for key, values in found.items()}


def _modes(densepose: dict) -> dict[str, dict]:
    return {mode: densepose[mode] for mode in MODE_NAMES if mode in densepose}


#: Rows of the overview: the keys of each score, and its factor to percent.
_OVERVIEW = {
    "boxes AP": (("box", "AP"), 1),
    "boxes AP50": (("box", "AP50"), 1),
    "masks AP": (("densepose", "iou", "AP"), 100),
    "masks AP50": (("densepose", "iou", "AP50"), 100),
    "GPS AP": (("densepose", "gps", "AP"), 100),
    "GPS AP50": (("densepose", "gps", "AP50"), 100),
    "GPSm AP": (("densepose", "gpsm", "AP"), 100),
    "people found": (("densepose", "parts", "found"), 100),
    "points with the right part": (("densepose", "parts", "right_part"), 100),
    "points within 10 cm": (("densepose", "parts", "within_10cm"), 100),
    "milliseconds per picture, with scoring": (("milliseconds",), 1),
}


def _overview(scores: Mapping[str, dict]) -> str:
    rows = []
    for what, (keys, factor) in _OVERVIEW.items():
        values = [reduce(getitem, keys, score) for score in scores.values()]
        # None, or -1 for AP: there is no ground truth.
        rows.append([what, *("-" if v is None or v < 0 else f"{v * factor:.1f}" for v in values)])
    return table(["", *scores], rows)


def _body_plots(densepose: dict) -> str:
    parts = densepose["parts"]
    pictures = _image(plots.group_bars(parts["by_group"]), "points by body group")
    if parts["curve"]["share"] is not None:  # somebody was found
        pictures += _image(plots.error_curve(parts["curve"]), "points by geodesic error")
    return f'<div class="plots">{pictures}</div>'


def _image(png: str, what: str) -> str:
    return f'<img alt="{html.escape(what)}" src="data:image/png;base64,{png}">'


def _figure(picture: Picture) -> str:
    jpeg = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    caption = html.escape(picture.caption)
    return (
        f'<figure class="wide"><img alt="{caption}" src="data:image/jpeg;base64,{jpeg}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _links(scores: Mapping[str, dict], path: Path) -> str:
    return ", ".join(
        f'<a href="scores/{name.replace(" ", "_")}/report.html">people and parts,'
        f" {html.escape(name)}</a>"
        for name in scores
    )


def _next_steps(cfg: CfgNode) -> str:
    steps = {
        "Your own pictures": "densepose-ext predict PICTURES --out found --format overlay,iuv,json",
        "The same with the model just trained": "densepose-ext predict PICTURES --out found"
        f" --model {cfg.OUTPUT_DIR}/../config.yaml --weights {cfg.OUTPUT_DIR}/model_final.pth",
        "Train longer, as the shipped model": "make model",
        "Train on DensePose-COCO, if you have it": "python train_net.py --config-file"
        " configs/densepose_rcnn_R_50_FPN_s1x.yaml --num-gpus 8",
    }
    return "".join(
        f"<p>{html.escape(what)}:</p><pre>{html.escape(command)}</pre>"
        for what, command in steps.items()
    )
