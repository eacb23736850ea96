"""The results of an evaluation, as tables in the log and as ``metrics.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tabulate import tabulate

from ..files.atomic import replacing
from ..processes.messages import counted
from ..surface.parts import FINE_PART_NAMES
from .gallery import Gallery
from .pointwise import WITHIN_CM, PointMeasures
from .scorecard import Scorecard

#: Headings of the three similarities.
MODE_NAMES = {"gps": "GPS", "gpsm": "GPSm", "iou": "mask IoU"}

#: Length of the lists of people, and of that of confused parts.
NUM_RANKED, NUM_CONFUSIONS = 10, 8


@dataclass
class Report:
    """The results of an evaluation.

    Attributes:
        facts: dataset, surface, kappa, and so on.
        metrics: AP and AR of each mode, 0 to 1, or -1 without ground truth.
        intervals: 95% interval of every AP.
        parts: tables over annotated points (``PointMeasures.tables``).
        worst, best: the detected people with the lowest and the highest GPS.
        missed: the largest missed people.
        people_gps: GPS of each person, for the histogram.
        gallery: maps of the best and worst people, to be drawn.
    """

    facts: dict
    metrics: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, tuple[float, float]]]
    parts: dict
    worst: list[dict]
    best: list[dict]
    missed: list[dict]
    people_gps: list[float]
    gallery: Gallery = field(repr=False)

    @classmethod
    def of(cls, card: Scorecard, gallery: Gallery, facts: dict) -> Report:
        measures = PointMeasures(card.points(), card.has_gps)
        return cls(
            facts={
                **facts,
                "images": len(card.truth.images),
                "detections": card.num_detections(),
            },
            metrics=card.metrics(),
            intervals=card.intervals(),
            parts=measures.tables(),
            worst=measures.ranked(NUM_RANKED),
            best=measures.ranked(NUM_RANKED, worst=False),
            missed=measures.missed(NUM_RANKED),
            people_gps=measures.gps.tolist(),
            gallery=gallery,
        )

    def to_json(self) -> dict:
        """Everything except pictures, as JSON values."""
        return {
            **self.metrics,
            "intervals": self.intervals,
            "parts": self.parts,
            "worst": self.worst,
            "missed": self.missed,
            **self.facts,
        }


def write_metrics(content: dict, path: str | os.PathLike) -> None:
    """Writes ``metrics.json``, atomically.

    Args:
        content: :meth:`Report.to_json`, or only the scores.
    """
    text = json.dumps(content, indent=1, allow_nan=False)
    with replacing(Path(path)) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def metric_rows(
    metrics: dict[str, dict], intervals: dict[str, dict]
) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table of a report's metrics, in percent with 95% intervals."""
    headings = ["", *(MODE_NAMES[mode] for mode in metrics)]
    rows = []
    for name in next(iter(metrics.values())):
        row = [name]
        for mode, values in metrics.items():
            cell = _percent(values[name])
            if name in intervals.get(mode, {}):
                low, high = intervals[mode][name]
                cell += f"  [{low:.1%}, {high:.1%}]".replace("%", "")
            row.append(cell)
        rows.append(row)
    return headings, rows


def point_rows(table: dict[str, dict]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table of points (by part, group, side) or people (by size)."""
    first = next(iter(table.values()))
    columns = {
        "people": ("people", str),
        "found": ("found %", _percent),
        "mean_gps": ("mean GPS", lambda value: f"{value:.3f}"),
        "points": ("points", str),
        "right_part": ("right part %", _percent),
        "median_cm": ("median cm", lambda value: f"{value:.1f}"),
        **{f"within_{bound}cm": (f"<= {bound} cm %", _percent) for bound in WITHIN_CM},
        "auc10": ("AUC10", _percent),
        "auc30": ("AUC30", _percent),
    }
    shown = {key: column for key, column in columns.items() if key in first}
    rows = [
        [name, *("-" if row[key] is None else show(row[key]) for key, (_, show) in shown.items())]
        for name, row in table.items()
    ]
    return ["", *(heading for heading, _ in shown.values())], rows


def common_confusions(confusion: list[list[int]]) -> list[tuple[str, str, int, float]]:
    """The commonest wrong parts: true part, predicted part, points, share of the true part's."""
    table = np.array(confusion)
    wrong = table.copy()
    wrong[np.arange(len(table)), np.arange(len(table)) + 1] = 0
    order = np.argsort(-wrong, axis=None, kind="stable")[:NUM_CONFUSIONS]
    return [
        (FINE_PART_NAMES[i + 1], FINE_PART_NAMES[j], int(wrong[i, j]), wrong[i, j] / table[i].sum())
        for i, j in zip(*np.unravel_index(order, wrong.shape))
        if wrong[i, j]
    ]


def people_rows(people: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table of people."""
    rows = [
        [
            str(person["image_id"]),
            str(person["person_id"]),
            f"{person['gps']:.3f}",
            f"{person['mask_iou']:.3f}",
            f"{person['area']:.0f}",
            person["what"],
        ]
        for person in people
    ]
    return ["image", "annotation", "GPS", "mask IoU", "area", "what"], rows


def scores_table(metrics: dict, intervals: dict, facts: dict) -> str:
    """The table of a report's metrics as text."""
    said = ", ".join(f"{key} {value}" for key, value in facts.items() if value is not None)
    title = f"Dense pose scores ({said}), in percent with 95% intervals:"
    return _text(title, *metric_rows(metrics, intervals))


def text_tables(report: Report) -> Iterator[str]:
    """The tables as text, each with a title."""
    yield scores_table(report.metrics, report.intervals, report.facts)
    parts = report.parts
    if not parts["people"]:
        return
    yield _text(
        f"Annotated points of the people found, {counted(parts['people'], 'person')}, "
        f"{parts['found']:.1%} found{_areas(parts['curve'])}:",
        *point_rows({"all": _points_only(parts), **parts["by_group"], **parts["by_side"]}),
    )
    yield _text("By part:", *point_rows(parts["by_part"]))
    yield _text(
        "By size and by visible share of the person:",
        *point_rows({**parts["by_size"], **parts["by_visible_share"]}),
    )
    confusions = [
        f"{true} as {predicted} ({counted(count, 'point')}, {share:.0%})"
        for true, predicted, count, share in common_confusions(parts["confusion"])
    ]
    if confusions:
        yield f"Commonest wrong parts: {'; '.join(confusions)}"
    for name, people in (("Worst people found:", report.worst), ("Not found:", report.missed)):
        if people:
            yield _text(name, *people_rows(people))


def _points_only(table: dict) -> dict:
    keys = ("points", "right_part", "median_cm", *(f"within_{bound}cm" for bound in WITHIN_CM))
    return {key: table[key] for key in keys if key in table}


def _areas(curve: dict) -> str:
    if curve["auc10"] is None:
        return ""
    return f", AUC10 {curve['auc10']:.3f}, AUC30 {curve['auc30']:.3f}"


def _percent(value: float) -> str:
    return f"{value * 100:.1f}" if value >= 0 else "-"


def _text(title: str, headings: list[str], rows: list[list[str]]) -> str:
    align = ["left", *["right"] * (len(headings) - 1)]
    table = tabulate(rows, headings, tablefmt="simple", colalign=align, disable_numparse=True)
    return f"{title}\n{table}"
