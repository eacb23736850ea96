"""The report as one HTML page that needs nothing beside it."""

from __future__ import annotations

import html
import os
from pathlib import Path

from ..surface.cache import replacing
from . import plots
from .gallery import NUM_BEST, draw_people
from .people import GroundTruth
from .report import (
    MODE_NAMES,
    Report,
    common_confusions,
    metric_rows,
    point_rows,
)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1120px; margin: 2em auto; padding: 0 1em;
       color: #222; background: #fff; }
h1, h2 { font-weight: 600; line-height: 1.2; } h2 { margin-top: 2em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1em 0; }
th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; }
.plots { display: flex; flex-wrap: wrap; gap: 1em; } .plots img { max-width: 100%; }
.people { display: flex; flex-wrap: wrap; gap: 1.2em; }
figure { margin: 0; } figure img { height: 260px; max-width: 100%; object-fit: contain; }
figcaption, .note { font-size: 13px; color: #555; max-width: 60em; }
"""


def write_report(
    report: Report, truth: GroundTruth, path: str | os.PathLike, images: str | Path | None = None
) -> None:
    """Writes the page; the file appears when it is complete.

    Args:
        report: the findings.
        truth: the people they are about.
        path: of the HTML file.
        images: folder of the dataset's images, for the pictures of people; None for grey ones.
    """
    title = f"Dense pose of {report.facts.get('dataset', truth.source.name)}"
    sections = [f"<h1>{html.escape(title)}</h1>", _facts(report), "<h2>Scores</h2>"]
    sections.append(_table(*metric_rows(report)))
    sections.append(
        '<p class="note">In percent, with 95% intervals over resampled images. AP is averaged over '
        "thresholds .5 to .95 of the similarity; GPSm is the geometric mean of GPS and mask IoU. "
        "A dash stands where nobody is to be found.</p>"
    )
    if report.parts["people"]:
        sections += [_plots(report), *_tables(report), *_people(report, truth, images)]
    text = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>'
        f"{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )
    with replacing(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _facts(report: Report) -> str:
    parts = report.parts
    shown = [f"{key} {value}" for key, value in report.facts.items() if value is not None]
    if parts["people"]:
        shown.append(f"{parts['people']} people with dense pose, {parts['found']:.1%} found")
    return f"<p>{html.escape(', '.join(shown))}.</p>"


def _table(headings: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


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
        f"<li>{html.escape(true)} taken for {html.escape(predicted)}: {count} points, "
        f"{share:.0%} of the part's</li>"
        for true, predicted, count, share in common_confusions(parts["confusion"])
    )
    return [
        "<h2>Where on the body</h2>",
        '<p class="note">Over the annotated points of people found by a box of IoU .5 or more. '
        "A point on predicted background has the wrong part and an infinite error.</p>",
        _table(*point_rows({**parts["by_group"], **parts["by_side"]})),
        _table(*point_rows(parts["by_part"])),
        "<h2>Which people</h2>",
        _table(*point_rows(parts["by_size"])),
        '<p class="note">By area: small to 32², medium to 96² pixels.</p>',
        _table(*point_rows(parts["by_visible_share"])),
        '<p class="note">By the share of the 14 body regions that have annotated points.</p>',
        "<h2>Parts taken for others</h2>",
        f"<ul>{confusions}</ul>" if confusions else "<p>None.</p>",
        f'<img alt="confusion of parts" style="max-width:100%" src="data:image/png;base64,'
        f'{plots.confusion_matrix(parts["confusion"])}">',
    ]


def _people(report: Report, truth: GroundTruth, images: str | Path | None) -> list[str]:
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
            for person, jpeg in draw_people(people, exhibits, truth, images)
        )
        sections += [f"<h2>{name}</h2>", f'<div class="people">{figures}</div>']
    sections.append(
        '<p class="note">Left the annotated points in the colours of their parts, right the '
        "predicted parts; a cross marks a point with the wrong one.</p>"
    )
    return sections
