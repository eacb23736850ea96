"""A study's table, plots and page."""

from __future__ import annotations

import base64
import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from tabulate import tabulate

from ..evaluation import plots
from ..evaluation.markup import table, write_page
from ..evaluation.publish import REPORT_FILE
from ..evaluation.report import point_rows
from ..files.atomic import write_whole
from ..processes.messages import counted
from .label_error import LabelError
from .outcome import Outcome
from .plans import Study
from .summary import COLUMNS, SCORES, Row, Score, summarize

PAGE, RAW, TABLE, PLOT = "index.html", "study.json", "table.txt", "plot.png"

_LEGEND = (
    "In percent, on test images, averaged over seeds. In brackets: 95% intervals over resampled"
    " images and, with several seeds, resampled seeds. Differences are from the first row, on the"
    " same images and seeds; if the interval contains 0, the difference may be chance. Mean GPS is"
    " over all people, with 0 for missed ones; right part and AUC are over points of detected"
    " people."
)


def write_study(
    study: Study,
    facts: str,
    outcomes: Sequence[Outcome],
    folder: Path,
    label_errors: Mapping[str, LabelError] = MappingProxyType({}),
) -> Path:
    """Writes ``index.html``, ``study.json``, ``table.txt`` and ``plot.png``.

    Args:
        facts: a description of all runs.
        outcomes: the runs that are done.
        folder: created if it does not exist.
        label_errors: errors of labels that programs made, by variant of the data.

    Returns:
        path of the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = summarize(outcomes)
    headings, cells = table_of(rows)
    align = ["left", *["right"] * (len(headings) - 1)]
    text = tabulate(cells, headings, tablefmt="simple", colalign=align, disable_numparse=True)
    write_whole(folder / TABLE, f"{text}\n".encode())
    plot = plots.interval_bars(
        {row.run: row.scores["GPS AP"].value for row in rows},
        {row.run: row.scores["GPS AP"].interval for row in rows},
        "GPS AP (%), with 95% intervals",
    )
    write_whole(folder / PLOT, base64.b64decode(plot))
    raw = {
        "study": study.name,
        "facts": facts,
        "rows": [asdict(row) for row in rows],
        "outcomes": [
            {"run": o.run, "seed": o.seed, "folder": str(o.folder), **o.measures} for o in outcomes
        ],
        "label_errors": {variant: asdict(error) for variant, error in label_errors.items()},
    }
    write_whole(folder / RAW, json.dumps(raw).encode())
    done = {outcome.run for outcome in outcomes}
    missing = [run.name for run in study.runs if run.name not in done]
    sections = [
        f"<p>{study.question}</p>",
        f"<p>{html.escape(facts)}.</p>",
        *([f"<p>Not run: {', '.join(missing)}.</p>"] if missing else []),
        "<h2>Scores</h2>",
        _table(headings, cells),
        f'<p class="note">{_LEGEND}</p>',
        _picture(plot, "GPS AP of the runs"),
        *_differences(rows),
        "<h2>Where on the body</h2>",
        '<p class="note">Points of detected people within 10 cm, in percent.</p>',
        table(*_groups(rows)),
        *_confusions(outcomes),
        *_strata(outcomes),
    ]
    for error in label_errors.values():
        note = f'<p class="note">{error.note}</p>'
        sections += [f"<h2>{error.heading}</h2>", note, table(*point_rows(error.table))]
    sections += ["<h2>Each run</h2>", _links(outcomes, folder)]
    write_page(folder / PAGE, f"Study: {study.name}", sections)
    return folder / PAGE


def table_of(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the study's table."""
    headings = ["run", "seeds"]
    for score in SCORES:
        headings += [score, "difference"]
    cells = []
    for row in rows:
        line = [row.run, str(len(row.seeds))]
        for score in row.scores.values():
            low, high = score.interval
            line += [f"{score.value:.1f} [{low:.1f}, {high:.1f}]", _difference(score)]
        cells.append([*line, *(_number(row.values[name]) for name in COLUMNS)])
    return [*headings, *COLUMNS], cells


def _difference(score: Score) -> str:
    if score.difference_interval is None:
        return "-"
    low, high = score.difference_interval
    return f"{score.difference:+.1f} [{low:+.1f}, {high:+.1f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _picture(png: str, what: str) -> str:
    return f'<img alt="{what}" src="data:image/png;base64,{png}">'


def _differences(rows: Sequence[Row]) -> list[str]:
    """A plot of the differences for each score."""
    pictures = []
    for name in SCORES:
        others = {r.run: r.scores[name] for r in rows if r.scores[name].difference_interval}
        if others:
            png = plots.interval_bars(
                {run: score.difference for run, score in others.items()},
                {run: score.difference_interval for run, score in others.items()},
                f"{name}: difference from {rows[0].run} (points), with 95% intervals",
            )
            pictures.append(_picture(png, f"differences of {name}"))
    return pictures


def _groups(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    groups = list(rows[0].by_group) if rows else []
    cells = [[row.run, *(_number(row.by_group[group]) for group in groups)] for row in rows]
    return ["run", *groups], cells


def _confusions(outcomes: Sequence[Outcome]) -> list[str]:
    """How points are classified, by each run's first seed."""
    first = _first_seeds(outcomes)
    if not first:
        return []
    kinds = list(first[0].measures["confusions"])
    cells = [
        [one.run, *(f"{100 * one.measures['confusions'][kind]:.1f}" for kind in kinds)]
        for one in first
    ]
    note = '<p class="note">Points of detected people, in percent.</p>'
    return ["<h2>How points are classified</h2>", note, table(["run", *kinds], cells)]


def _strata(outcomes: Sequence[Outcome]) -> list[str]:
    """GPS AP by stratum, of each run's first seed."""
    first = _first_seeds(outcomes)
    if not first:
        return []
    sections = [
        "<h2>Which people</h2>",
        '<p class="note">GPS AP on the people of each kind, with 95% intervals; all other people'
        " are ignored.</p>",
    ]
    # Runs from before clothing was recorded lack its kinds.
    kinds = {kind: names for one in first for kind, names in one.measures["strata"].items()}
    for kind, names in kinds.items():
        headings = [
            kind,
            *(f"{name} ({counted(row['people'], 'person')})" for name, row in names.items()),
        ]
        cells = [
            [one.run, *(_stratum(one.measures["strata"].get(kind, {}).get(name)) for name in names)]
            for one in first
        ]
        sections.append(_table(headings, cells))
    return sections


def _table(headings: list[str], cells: list[list[str]]) -> str:
    """A table whose cells do not wrap."""
    return table(headings, [[cell.replace(" ", "\u00a0") for cell in row] for row in cells])


def _links(outcomes: Sequence[Outcome], folder: Path) -> str:
    links = []
    for one in outcomes:
        report = os.path.relpath(one.folder / REPORT_FILE, folder)
        links.append(f'<a href="{report}">{one.run}, seed {one.seed}</a>')
    return f"<p>People and parts: {'; '.join(links)}.</p>"


def _stratum(row: dict | None) -> str:
    if row is None or not row["people"]:
        return "-"
    low, high = row["interval"]
    return f"{100 * max(row['AP'], 0):.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _first_seeds(outcomes: Sequence[Outcome]) -> list[Outcome]:
    first: dict[str, Outcome] = {}
    for outcome in outcomes:
        first.setdefault(outcome.run, outcome)
    return list(first.values())
