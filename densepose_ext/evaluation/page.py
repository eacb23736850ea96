"""The report as a self-contained HTML page."""

from __future__ import annotations

import html
import os

from ..processes.messages import counted
from . import plots
from .gallery import NUM_BEST, draw_people
from .markup import table, write_page
from .people import GroundTruth
from .report import (
    MODE_NAMES,
    Report,
    common_confusions,
    metric_rows,
    point_rows,
)


def write_report(report: Report, truth: GroundTruth, path: str | os.PathLike) -> None:
    """Writes the page, atomically.

    Args:
        report: of an evaluation.
        truth: its ground truth.
        path: of the HTML file.
    """
    title = f"Dense pose of {report.facts.get('dataset', truth.source.name)}"
    sections = [_facts(report), "<h2>Scores</h2>"]
    sections.append(table(*metric_rows(report.metrics, report.intervals)))
    sections.append(
        '<p class="note">In percent, with 95% intervals over resampled images. AP is averaged over '
        "thresholds .5 to .95 of the similarity; GPSm is the geometric mean of GPS and mask IoU. "
        "A dash: no ground truth.</p>"
    )
    if report.parts["people"]:
        sections += [_plots(report), *_tables(report), *_people(report, truth)]
    write_page(path, title, sections)


def _facts(report: Report) -> str:
    parts = report.parts
    shown = [f"{key} {value}" for key, value in report.facts.items() if value is not None]
    if parts["people"]:
        shown.append(
            f"{counted(parts['people'], 'person')} with dense pose, {parts['found']:.1%} found"
        )
    return f"<p>{html.escape(', '.join(shown))}.</p>"


def _plots(report: Report) -> str:
    parts = report.parts
    pictures = [
        ("average precision", plots.precision_bars(report.metrics, report.intervals, MODE_NAMES)),
        ("points by body group", plots.group_bars(parts["by_group"])),
    ]
    if parts["curve"]["share"] is not None:
        pictures += [
            ("points by geodesic error", plots.error_curve(parts["curve"])),
            ("people by GPS", plots.gps_histogram(report.people_gps)),
        ]
    images = "".join(
        f'<img alt="{name}" src="data:image/png;base64,{data}">' for name, data in pictures
    )
    return f'<div class="plots">{images}</div>'


def _tables(report: Report) -> list[str]:
    parts = report.parts
    confusions = "".join(
        f"<li>{html.escape(true)} taken for {html.escape(predicted)}: "
        f"{counted(count, 'point')}, {share:.0%} of the part's</li>"
        for true, predicted, count, share in common_confusions(parts["confusion"])
    )
    return [
        "<h2>Where on the body</h2>",
        '<p class="note">Over the annotated points of people detected with a box IoU of at least '
        ".5. A point on predicted background has the wrong part and an infinite error.</p>",
        table(*point_rows({**parts["by_group"], **parts["by_side"]})),
        table(*point_rows(parts["by_part"])),
        "<h2>Which people</h2>",
        table(*point_rows(parts["by_size"])),
        '<p class="note">By area: small to 32², medium to 96² pixels.</p>',
        table(*point_rows(parts["by_visible_share"])),
        '<p class="note">By the share of the 14 body regions that have annotated points.</p>',
        "<h2>Parts taken for others</h2>",
        f"<ul>{confusions}</ul>" if confusions else "<p>None.</p>",
        f'<img alt="confusion of parts" style="max-width:100%" src="data:image/png;base64,'
        f'{plots.confusion_matrix(parts["confusion"])}">',
    ]


def _people(report: Report, truth: GroundTruth) -> list[str]:
    sections: list[str] = []
    for name, people, exhibits in (
        ("Worst people found", report.worst, report.gallery.worst),
        ("Best people found", report.best[:NUM_BEST], report.gallery.best),
        ("Largest people not found", report.missed, []),
    ):
        if not people:
            continue
        figures = "".join(
            f'<figure><img alt="annotation and prediction" src="data:image/jpeg;base64,{jpeg}">'
            f"<figcaption>image {person['image_id']}, annotation {person['person_id']}: GPS "
            f"{person['gps']:.3f}, mask IoU {person['mask_iou']:.3f}<br>"
            f"{html.escape(person['what'])}</figcaption></figure>"
            for person, jpeg in draw_people(people, exhibits, truth)
        )
        sections += [f"<h2>{name}</h2>", f'<div class="people">{figures}</div>']
    sections.append(
        '<p class="note">Left: the annotated points in the colours of their parts. Right: the '
        "predicted parts; crosses mark points where they are wrong.</p>"
    )
    return sections
