"""Self-contained HTML pages."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable
from pathlib import Path

from ..files.atomic import replacing

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1120px; margin: 2em auto; padding: 0 1em;
       color: #222; background: #fff; }
h1, h2 { font-weight: 600; line-height: 1.2; } h2 { margin-top: 2em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1em 0; }
th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; }
.plots { display: flex; flex-wrap: wrap; gap: 1em; }
.people { display: flex; flex-wrap: wrap; gap: 1.2em; }
img { max-width: 100%; }
figure { margin: 0; } figure img { height: 260px; max-width: 100%; object-fit: contain; }
figure.wide img { height: auto; width: 100%; }
pre { background: #f4f4f4; padding: .6em 1em; overflow-x: auto; }
figcaption, .note { font-size: 13px; color: #555; max-width: 60em; }
"""


def write_page(path: str | os.PathLike, title: str, sections: Iterable[str]) -> None:
    """Writes a page, atomically.

    Args:
        path: of the HTML file.
        title: plain text, also the heading.
        sections: HTML.
    """
    title = html.escape(title)
    text = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )
    with replacing(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A table of plain texts."""
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
