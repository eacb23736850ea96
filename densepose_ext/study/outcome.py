"""What a run of a study leaves, and under which name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

#: The file that says that a run is done.
MEASURES = "measures.json"


@dataclass(frozen=True)
class Outcome:
    """What a run has left.

    Attributes:
        run: its name in the study. seed: of the training.
        folder: of the run. measures: see ``measures.measures``.
    """

    run: str
    seed: int
    folder: Path
    measures: dict


def read_outcome(run: str, seed: int, folder: Path) -> Outcome:
    """Of a run that is done."""
    return Outcome(run, seed, folder, json.loads((folder / MEASURES).read_bytes()))


def digest(settings: dict) -> str:
    """The name of the folder of a run with these settings (fit for JSON)."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
