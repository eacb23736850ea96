"""What studies consist of, before anything is trained."""

import pytest

from densepose_ext.commands.main import main
from densepose_ext.study.budget import BUDGETS
from densepose_ext.study.plans import TRAINING_STUDIES, plan
from densepose_ext.study.runner import check_runs


@pytest.mark.slow
@pytest.mark.parametrize("name", BUDGETS)
def test_every_run_has_a_config(name):
    budget = BUDGETS[name]
    for study in (plan(study, budget) for study in TRAINING_STUDIES):
        assert len({run.name for run in study.runs}) == len(study.runs) >= 5
        check_runs(budget, study.runs, ["MODEL.DEVICE", "cpu"])


def test_all_studies_start_from_the_same_run():
    first = [plan(name, BUDGETS["quick"]).runs[0] for name in TRAINING_STUDIES]
    assert {(run.changes, run.data) for run in first} == {((), "points")}


def test_embeddings_are_trained_on_vertices():
    charts, *embeddings = plan("embeddings", BUDGETS["quick"]).runs
    assert charts.data == "points"
    assert {run.data for run in embeddings} == {"vertices"}


def test_a_larger_backbone_is_compared_from_the_same_start():
    for budget in BUDGETS.values():
        names = [run.name for run in plan("ablation", budget).runs]
        assert ("larger backbone" in names) == (not budget.from_shipped)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ablations"], "no study 'ablations'; there are: ablation, supervision, embeddings"),
        (["ablation", "--budget", "tpu"], "no budget 'tpu'; there are: quick, cpu, gpu"),
        (["ablation", "--seeds", "0"], "--seeds 0, expected 1 or more"),
        (["ablation", "--runs", "hands"], "ablation has no run 'hands'; it has: dense pose, masks"),
        (["ablation", "--weights", "x.pth"], "--model and --weights are for robustness"),
        (["robustness", "--set", "SEED", "2"], "robustness trains nothing: --set SEED"),
        (["ablation", "--set", "SOLVER.STEPZ", "2"], "run 'dense pose': "),
        (["robustness", "--model", "nothing"], "no config 'nothing'"),
    ],
)
def test_what_cannot_be_studied(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    assert main(["study", *arguments, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("densepose-ext study: ")
    assert message in line
    assert not any(tmp_path.iterdir())
