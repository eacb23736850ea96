"""Writes the tables of MODEL_ZOO.md from the files of measured/.

python benchmarks/tables.py
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from measured_files import FOLDER, read
from tabulate import tabulate

DOCUMENT = FOLDER.parents[1] / "MODEL_ZOO.md"
BEGIN = "<!-- Written by benchmarks/tables.py from benchmarks/measured/: change nothing here. -->\n"
END = "<!-- End of what benchmarks/tables.py writes. -->\n"
#: Versions that are told beside a table.
_TOLD = ("torch", "densepose_ext")


def tables(folder: Path = FOLDER) -> str:
    """All tables of a folder, as Markdown."""
    files = [read(path) for path in sorted(folder.glob("*.json"))]
    return "".join(
        f"\n{_heading(content, name)}\n\n{render(content[name]['rows'])}\n"
        for name, render in (("stages", stages), ("memory", memory))
        for content in files
        if name in content
    )


def updated(document: str, folder: Path = FOLDER) -> str:
    """A document with the tables between BEGIN and END.

    Raises:
        ValueError: the document lacks these lines.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{DOCUMENT.name} lacks the lines between which the tables belong")
    return f"{before}{BEGIN}{tables(folder)}\n{END}{after}"


def _heading(content: dict, name: str) -> str:
    table = content[name]
    versions = table.get("versions", {})
    told = [f"{package} {versions[package]}" for package in _TOLD if package in versions]
    kind = {"stages": "milliseconds a picture", "memory": "memory"}[name]
    note = f" {table['note']}" if "note" in table else ""
    text = f"**{content['machine']}**, {kind} ({', '.join([table['date'], *told])}).{note}"
    return textwrap.fill(text, 115, break_on_hyphens=False)


def stages(rows: list[dict]) -> str:
    """The table of bench_model.py: its columns are the stages that any row has."""
    names = list(dict.fromkeys(stage for row in rows for stage in row["ms"]))
    cells = [
        [
            *(row[setting] for setting in _settings(rows)),
            *(_number(row["ms"].get(name)) for name in names),
            _number(row["in_all"]),
            f"{1e3 / row['in_all']:.1f}",
        ]
        for row in rows
    ]
    headings = [*_settings(rows).values(), *names, "ms in all", "pictures/s"]
    return tabulate(cells, headings, tablefmt="github", disable_numparse=True)


def _settings(rows: list[dict]) -> dict[str, str]:
    """Columns of settings: key -> heading, without those that no row has."""
    headings = {
        "model": "model",
        "shorter_side": "shorter side",
        "precision": "precision",
        "mode": "mode",
        "batch": "batch",
    }
    return {key: heading for key, heading in headings.items() if key in rows[0]}


def memory(rows: list[dict]) -> str:
    """The table of bench_memory.py."""
    cells = [(row["what"], f"{row['megabytes']:,.0f}") for row in rows]
    return tabulate(cells, ("what", "MB"), tablefmt="github", disable_numparse=True)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def main() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(updated(text), encoding="utf-8")


if __name__ == "__main__":
    main()
