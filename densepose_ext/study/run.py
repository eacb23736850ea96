"""Runs a whole study: data, runs and page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..files.datasets_folder import datasets_folder
from ..files.writable_folder import make_writable
from ..processes.cores import number_of_cores
from .annotation import NAME as ANNOTATION
from .annotation import run_annotation_study
from .budget import BUDGETS
from .data import StudyData
from .label_error import LabelError, annotators_error, fitted_error, teacher_error
from .outcome import Outcome
from .page import write_study
from .plans import TRAINING_STUDIES, Study, plan
from .robustness import QUESTION, RUNS, Tester
from .runner import Runner, check_runs

ROBUSTNESS = "robustness"
#: Variants of the data whose labels are compared with the true ones.
_LABEL_ERRORS = {
    "teacher": teacher_error,
    "by hand": annotators_error,
    "fitted": fitted_error,
}
STUDIES = (*TRAINING_STUDIES, ROBUSTNESS, ANNOTATION)


def run_study(
    name: str,
    budget: str,
    out: Path,
    seeds: int = 1,
    chosen: Sequence[str] = (),
    model: str | None = None,
    weights: str | None = None,
    overrides: Sequence = (),
) -> Path:
    """Executes the runs of a study that are not done yet, and updates the page after each.

    Args:
        name: one of STUDIES. budget: a key of BUDGETS.
        out: output folder; images go to $DETECTRON2_DATASETS or ``./datasets``.
        seeds: number of trainings per run.
        chosen: names of the runs to execute; empty: all.
        model, weights: the model for "robustness", as for DensePosePredictor.
        overrides: ``KEY VALUE`` pairs for every training.

    Returns:
        path of the page.

    Raises:
        ValueError: a name is unknown, or a config cannot be used.
    """
    if name not in STUDIES:
        raise ValueError(f"no study {name!r}; there are: {', '.join(STUDIES)}")
    if budget not in BUDGETS:
        raise ValueError(f"no budget {budget!r}; there are: {', '.join(BUDGETS)}")
    if seeds < 1:
        raise ValueError(f"--seeds {seeds}, expected 1 or more")
    if name == ANNOTATION:
        if seeds > 1 or chosen or model or weights or overrides:
            raise ValueError(f"{name} takes only --budget and --out")
        make_writable(out)
        return run_annotation_study(budget, out)
    size = BUDGETS[budget]
    trains = name != ROBUSTNESS
    if trains and (model or weights):
        raise ValueError(
            f"{name} trains its own models: --model and --weights are for {ROBUSTNESS}"
        )
    if not trains and overrides:
        raise ValueError(f"{name} trains nothing: --set {overrides[0]} would have no effect")
    study = plan(name, size) if trains else Study(name, QUESTION, RUNS)
    runs = _chosen(study, chosen)
    if trains:
        check_runs(size, runs, overrides)
    data = StudyData(size, Path(datasets_folder()))
    executor = Runner(size, out, data, overrides) if trains else Tester(model, weights, out, data)
    make_writable(out)
    data.make(number_of_cores())
    folder = out / f"{name}_{budget}"
    what = size.training(overrides) if trains else model or "the shipped model"
    facts = f"Budget {budget}: {what}; tested on {size.val} other images"
    outcomes: list[Outcome] = []
    errors: dict[str, LabelError] = {}
    for seed in range(1, (seeds if trains else 1) + 1):
        for run in runs:
            outcomes.append(executor.outcome(run, seed))
            if run.data in _LABEL_ERRORS and run.data not in errors:
                path = executor.annotations(run.data)
                errors[run.data] = _LABEL_ERRORS[run.data](path, data.truth)
            page = write_study(study, facts, outcomes, folder, errors)
    return page


def _chosen(study: Study, names: Sequence[str]) -> list:
    known = {run.name: run for run in study.runs}
    for name in names:
        if name not in known:
            raise ValueError(f"{study.name} has no run {name!r}; it has: {', '.join(known)}")
    if not names:
        return list(study.runs)
    return [run for run in study.runs if run.name in names]
