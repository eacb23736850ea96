"""``densepose-ext evaluate``: its output and files, and one line per error."""

import json

import numpy as np
import pytest
import torch

from densepose_ext.commands.main import main
from densepose_ext.evaluation.results import Results, result_entry, write_results
from densepose_ext.surface import registry
from projects_tests.evaluation.grid_world import GridSurface, grid_iuv, grid_points, person

BOX, OTHER = [20.0, 30.0, 100.0, 80.0], [200.0, 100.0, 60.0, 120.0]


@pytest.fixture(autouse=True)
def _grid(monkeypatch):
    monkeypatch.setattr(registry, "_factories", registry._factories | {"grid": GridSurface})
    monkeypatch.setattr(registry, "_surfaces", {})


@pytest.fixture
def truth(write_truth):
    return write_truth([person(box, grid_points(box)) for box in (BOX, OTHER)])


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "results.json"
    write_results(path, [result_entry(1, 1, box, 0.5, grid_iuv(box)) for box in (BOX, OTHER)])
    return path


def command(*arguments):
    return main(["evaluate", *map(str, arguments)])


@pytest.mark.slow
def test_scores_a_file(truth, results, tmp_path, capsys):
    out = tmp_path / "new" / "report"
    arguments = ("--annotations", truth, "--results", results, "--surface", "grid", "--out", out)
    assert command(*arguments) == 0
    written = json.loads((out / "metrics.json").read_text())
    for mode in ("gps", "gpsm", "iou"):
        assert written[mode]["AP"] == pytest.approx(1)
    assert written["parts"]["right_part"] == 1
    assert written["surface"] == "grid"
    output = capsys.readouterr().out
    for word in ("GPSm", "AP75", "torso", "median cm", "By part", "Worst"):
        assert word in output
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "report.html"]


@pytest.mark.slow
def test_kappa_and_thresholds(truth, tmp_path):
    path = tmp_path / "r.json"
    write_results(path, [result_entry(1, 1, BOX, 0.5, grid_iuv(BOX, part=2))])
    means = []
    for kappa in ("per-part", "0.255"):
        out = tmp_path / kappa
        assert command(
            *("--annotations", truth, "--results", path, "--surface", "grid"),
            *("--kappa", kappa, "--min-threshold", 0.2, "--out", out),
        ) == 0  # fmt: skip
        written = json.loads((out / "metrics.json").read_text())
        means.append(written["worst"][0]["gps"])
        assert "AP20" in written["gps"]
    assert means == pytest.approx(np.exp(-0.125 / np.array([0.351, 0.255]) ** 2))


@pytest.mark.slow
def test_ceiling_and_no_gps(truth, results, tmp_path, capsys):
    out = tmp_path / "o"
    assert command("--annotations", truth, "--ceiling", "--surface", "grid", "--out", out) == 0
    assert json.loads((out / "metrics.json").read_text())["gps"]["AP"] == pytest.approx(1)
    assert command("--annotations", truth, "--results", results, "--no-gps", "--out", out) == 0
    written = json.loads((out / "metrics.json").read_text())
    assert "gps" not in written
    assert written["parts"]["right_part"] == 1


@pytest.mark.slow
def test_an_empty_list_scores_minus_one(truth, tmp_path):
    path = tmp_path / "empty.json"
    path.write_text("[]")
    out = tmp_path / "o"
    assert command(
        "--annotations", truth, "--results", path, "--surface", "grid", "--out", out
    ) == 0  # fmt: skip
    written = json.loads((out / "metrics.json").read_text())
    assert set(written["gps"].values()) == {-1.0}
    assert written["parts"]["found"] == 0
    assert len(written["missed"]) == 2


def bad_results(tmp_path, **change):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps([result_entry(1, 1, BOX, 0.5, grid_iuv(BOX)) | change]))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 9}, "image 9, not in"),
        ({"bbox": [500, 30, 100, 80]}, "outside the image"),
        ({"score": float("nan")}, "score is nan"),
        ({"uv_shape": [3, 81, 100]}, "uv_shape says [3, 81, 100]"),
        (
            {"uv_data": result_entry(1, 1, BOX, 0, np.full((3, 80, 100), 30, "u1"))["uv_data"]},
            "the part 30",
        ),
    ],
)
def test_unusable_results(truth, tmp_path, capsys, change, message):
    out = tmp_path / "o"
    code = command(
        *("--annotations", truth, "--results", bad_results(tmp_path, **change)),
        *("--surface", "grid", "--out", out),
    )
    assert code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert "bad.json" in lines[0]
    assert not any(out.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--annotations", "no.json", "--results", "{r}", "--surface", "grid"],
            "no.json",
        ),
        (
            ["--annotations", "{a}", "--results", "no.json", "--surface", "grid"],
            "no.json",
        ),
        (["--annotations", "{a}", "--results", "{r}", "--surface", "moon"], "no surface 'moon'"),
        (["--annotations", "{a}", "--results", "{r}", "--surface", "{d}"], "SMPL_subdiv.mat"),
        (
            ["--annotations", "{r}", "--results", "{r}", "--surface", "grid"],
            "expected a COCO object",
        ),
        (["--annotations", "{a}", "--results", "{a}", "--surface", "grid"], "list of detections"),
        (["--annotations", "{a}", "--results", "{r}"], "--surface"),
        (["--annotations", "{a}", "--surface", "grid"], "--ceiling"),
        (["--results", "{r}", "--surface", "grid"], "--annotations"),
        (
            ["--annotations", "{a}", "--ceiling", "--surface", "grid", "--image-ids", "5"],
            "no image 5",
        ),
        (
            ["--annotations", "{a}", "--ceiling", "--surface", "grid", "--out", "{r}/sub"],
            "results.json",
        ),
        (
            ["--annotations", "{a}", "--ceiling", "--surface", "grid", "--out", "{r}"],
            "results.json: it is a file, expected a folder",
        ),
        (
            ["--annotations", "{a}", "--ceiling", "--surface", "grid", "--images", "{d}/none"],
            "empty/none: there is no such folder",
        ),
        (
            ["--annotations", "{a}", "--ceiling", "--surface", "grid", "--min-threshold", "nan"],
            "minimum threshold nan, expected 0 to 1",
        ),
    ],
)
def test_unusable_arguments(truth, results, tmp_path, capsys, arguments, message):
    (tmp_path / "empty").mkdir()
    fill = {"a": truth, "r": results, "d": tmp_path / "empty"}
    assert command(*(argument.format(**fill) for argument in arguments)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("densepose-ext evaluate: ")


@pytest.mark.parametrize("kappa", ["0", "-1", "nan", "wide"])
def test_bad_kappa(kappa, capsys):
    with pytest.raises(SystemExit) as error:
        command("--kappa", kappa)
    assert error.value.code == 2
    assert "per-part" in capsys.readouterr().err


def test_options_are_checked_before_results_are_read(truth, results, tmp_path, monkeypatch):
    monkeypatch.setattr(Results, "read", None)
    for wrong in (
        ("--surface", "moon"),
        ("--surface", "grid", "--no-gps"),
        ("--surface", "grid", "--min-threshold", "5"),
        ("--surface", "grid", "--out", results),
        ("--surface", "grid", "--save-results", results / "new.json"),
    ):
        assert command("--annotations", truth, "--results", results, *wrong) == 2


def test_a_file_that_cannot_be_written_takes_no_scores_along(truth, tmp_path, capsys):
    out = tmp_path / "out"
    (out / "metrics.json").mkdir(parents=True)
    assert command("--annotations", truth, "--ceiling", "--surface", "grid", "--out", out) == 2
    printed = capsys.readouterr()
    assert "AP50" in printed.out
    assert "Traceback" not in printed.err
    assert printed.err.endswith("metrics.json was not written, for the reason above\n")


def test_annotations_without_dense_pose(write_truth, results, capsys):
    assert (
        command("--annotations", write_truth([person(BOX)]), "--results", results, "--no-gps") == 2
    )
    assert "no annotation has usable dense pose" in capsys.readouterr().err


class DensePoseChartResultQuantized:
    """Pickles as the class of the official project does."""


DensePoseChartResultQuantized.__module__ = "densepose.structures.chart_result"


def official_predictions(path, **change):
    """A file in the form in which the official project saves detections."""
    predictions = []
    for box in (BOX, OTHER):
        stored = DensePoseChartResultQuantized()
        stored.labels_uv_uint8 = torch.from_numpy(grid_iuv(box))
        predictions.append(
            {"image_id": 1, "category_id": 1, "bbox": box, "score": 0.5, "densepose": stored}
            | {"segmentation": {"size": [1, 1], "counts": b"1"}}
            | change
        )
    with pytest.MonkeyPatch.context() as patch:
        import sys
        import types

        for name in ("densepose", "densepose.structures", "densepose.structures.chart_result"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        module = sys.modules["densepose.structures.chart_result"]
        module.DensePoseChartResultQuantized = DensePoseChartResultQuantized
        torch.save(predictions, path)
    return path


@pytest.mark.slow
def test_predictions_of_the_official_project(truth, results, tmp_path):
    path = official_predictions(tmp_path / "coco_densepose_predictions.pth")
    converted = tmp_path / "converted.json"
    assert command("--results", path, "--save-results", converted) == 0
    assert converted.read_text() == results.read_text()
    out = tmp_path / "o"
    arguments = ("--annotations", truth, "--surface", "grid", "--out", out)
    assert command("--results", path, *arguments) == 0
    assert json.loads((out / "metrics.json").read_text())["gps"]["AP"] == pytest.approx(1)


class _Malicious:
    def __reduce__(self):
        return print, ("owned",)


def test_unusable_predictions(tmp_path, capsys):
    path, out = tmp_path / "p.pth", tmp_path / "r.json"
    for content, message in (
        ([_Malicious()], "print"),
        ({"a": 1}, "list of predictions"),
        ([{"image_id": 1}], "prediction 0"),
    ):
        torch.save(content, path)
        assert command("--results", path, "--save-results", out) == 2
        captured = capsys.readouterr()
        assert message in captured.err
        assert "owned" not in captured.out
        assert not out.exists()
    path.write_text("text")
    assert command("--results", path, "--save-results", out) == 2
    assert "p.pth" in capsys.readouterr().err


def test_saved_results_are_equal(results, tmp_path):
    again = tmp_path / "again.json"
    assert command("--results", results, "--save-results", again) == 0
    assert list(Results.read(again).entries()) == list(Results.read(results).entries())
