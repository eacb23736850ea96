"""The files of measured/: what was measured on one kind of machine, as JSON.

A file has the machine in words, and tables: "stages" by bench_model.py, "memory" by
bench_memory.py. A table has a date, versions, rows and, where one is needed, a note.
"""

from __future__ import annotations

import datetime
import json
import platform
from pathlib import Path

import torch
from timing import THREADS

FOLDER = Path(__file__).parent / "measured"
#: The keys of a row that are no settings.
_MEASURED = ("ms", "in_all", "megabytes")


def machine_facts() -> dict[str, str | int]:
    """The processor, the GPU if there is one, and the versions that are measured."""
    import detectron2

    import densepose_ext

    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        model = next((ln.split(":")[1].strip() for ln in lines if "model name" in ln), model)
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "processor": model,
        **gpu,
        "threads": THREADS,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "detectron2": detectron2.__version__,
        "densepose_ext": densepose_ext.__version__,
    }


def read(path: Path) -> dict:
    """A file's content; an empty one if there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def save(path: Path, table: str, rows: list[dict], machine: str | None = None) -> None:
    """Puts rows into a table of a file, with the date and the machine's facts.

    Rows of the same settings are replaced, and so are all that were measured with other versions.

    Args:
        machine: the machine in words, needed for a new file.

    Raises:
        ValueError: the file is new, and the machine has no words.
    """
    content = read(path)
    machine = machine or content.get("machine")
    if not machine:
        raise ValueError(f"{path} is new: --machine says in words what was measured on")
    content["machine"] = machine
    before, versions = content.get(table, {}), machine_facts()
    new = [_settings(row) for row in rows]
    kept = before["rows"] if before.get("versions") == versions else []
    rows = [row for row in kept if _settings(row) not in new] + rows
    content[table] = {"date": f"{datetime.date.today()}", "versions": versions, "rows": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _settings(row: dict) -> dict:
    """A row without what was measured."""
    return {key: value for key, value in row.items() if key not in _MEASURED}


def rounded(value: float) -> float:
    """To three significant digits."""
    return float(f"{value:.3g}")
