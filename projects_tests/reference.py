"""Measured outputs of the official project, which the conformance tests compare with.

They are not part of this repository. ``DENSEPOSE_EXT_CONFORMANCE`` names their folder; without it a
folder beside the checkout is tried, and the tests are skipped where there is none.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def conformance_cases(kind: str) -> list:
    """Pytest parameters, one a case folder of a kind (``model``), or one that is skipped."""
    default = ROOT.parent / "shared" / "conformance"
    folder = Path(os.environ.get("DENSEPOSE_EXT_CONFORMANCE", default)) / kind
    cases = sorted(path for path in folder.glob("*") if path.is_dir())
    if cases:
        return [pytest.param(case, id=case.name) for case in cases]
    return [pytest.param(None, marks=pytest.mark.skip(reason=f"no cases in {folder}"))]


def conformance_file(name: str) -> Path | None:
    """A file of the conformance folder, None where it is absent."""
    default = ROOT.parent / "shared" / "conformance"
    path = Path(os.environ.get("DENSEPOSE_EXT_CONFORMANCE", default)) / name
    return path if path.is_file() else None
