"""The results of a run, and the name of its folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

#: Its existence marks a run as done.
MEASURES = "measures.json"


@dataclass(frozen=True)
class Outcome:
    """The results of a run.

    Attributes:
        run: name of the run in the study. seed: seed of its training.
        folder: its files. measures: see ``measures.measures``.
    """

    run: str
    seed: int
    folder: Path
    measures: dict


def read_outcome(run: str, seed: int, folder: Path) -> Outcome:
    """Reads the results of a run that is done."""
    return Outcome(run, seed, folder, json.loads((folder / MEASURES).read_bytes()))


def digest(settings: dict) -> str:
    """Folder name of a run with these settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
