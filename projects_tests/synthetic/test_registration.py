"""Synthetic data sets in Detectron2's catalogues, and the command."""

import argparse
import json

import cv2
import numpy as np
import pytest

detectron2 = pytest.importorskip("detectron2.data")
DatasetCatalog, MetadataCatalog = detectron2.DatasetCatalog, detectron2.MetadataCatalog

from densepose_ext.commands import synth  # noqa: E402
from densepose_ext.synthetic.registration import register_synthetic  # noqa: E402
from densepose_ext.synthetic.settings import Settings  # noqa: E402

SMALL = Settings(size=96, seed=1, people=2)


@pytest.fixture
def name():
    yield "synthetic_test"
    for catalog in (DatasetCatalog, MetadataCatalog):
        if "synthetic_test" in catalog.list():
            catalog.remove("synthetic_test")


def test_generated_on_first_use(name, tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    register_synthetic(name, "val", 2, SMALL, workers=1)
    metadata = MetadataCatalog.get(name)
    assert metadata.surface == "open"
    assert metadata.evaluator_type == "coco"
    assert not (tmp_path / name).exists()
    found = DatasetCatalog.get(name)
    assert len(found) == 2
    assert metadata.thing_classes == ["person"]
    assert (tmp_path / name / "densepose_val.json").is_file()
    assert any("dp_x" in a for d in found for a in d["annotations"])


def test_photographs_are_used_where_there_are_any(name, tmp_path):
    photographs = tmp_path / "photographs"

    def image(folder):
        for catalog in (DatasetCatalog, MetadataCatalog):
            if name in catalog.list():
                catalog.remove(name)
        register_synthetic(
            name,
            "val",
            1,
            SMALL,
            tmp_path / folder,
            workers=1,
            photographs=tmp_path / "photographs",
        )
        return cv2.imread(DatasetCatalog.get(name)[0]["file_name"])

    drawn = image("drawn")
    photographs.mkdir()
    cv2.imwrite(str(photographs / "a.png"), np.full((64, 64, 3), (200, 40, 40), np.uint8))
    assert np.abs(image("printed").astype(int) - drawn).mean() > 10
    record = json.loads((tmp_path / "printed" / "settings.json").read_text())
    assert record["printed"]
    assert record["backgrounds"]
    printed = image("printed")
    (photographs / "a.png").unlink()
    photographs.rmdir()
    np.testing.assert_array_equal(image("printed"), printed)


def test_nonsense_is_refused(name):
    with pytest.raises(ValueError, match="split 'test'"):
        register_synthetic(name, "test", 2, SMALL)
    with pytest.raises(ValueError, match="0 images"):
        register_synthetic(name, "val", 0, SMALL)


def _run(*arguments):
    parser = argparse.ArgumentParser()
    synth.add_arguments(parser)
    return synth.run(parser.parse_args(arguments))


@pytest.mark.slow
def test_command(tmp_path, capsys):
    out = str(tmp_path / "out")
    common = ["--size", "96", "--workers", "1", "--people", "1"]
    assert _run("--out", out, "--train", "1", "--val", "0", *common) == 0
    assert "densepose_train.json" in capsys.readouterr().out
    assert not (tmp_path / "out" / "densepose_val.json").exists()
    sheet = tmp_path / "sheet.png"
    assert _run("--preview", str(sheet), *common) == 0
    assert sheet.stat().st_size > 1000
    with pytest.raises(ValueError, match="--out DIR"):
        _run(*common)
    with pytest.raises(ValueError, match="size is 0"):
        _run("--out", out, "--size", "0")
