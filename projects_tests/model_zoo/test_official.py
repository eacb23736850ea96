"""Official checkpoints by name, made up and served from here."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.utils.file_io import PathManager

from densepose_ext import DensePosePredictor, load_config
from densepose_ext.commands.main import main
from densepose_ext.files import download
from densepose_ext.files.download import cached_path
from densepose_ext.model_zoo import OfficialModel, official, official_models, official_names
from densepose_ext.model_zoo.official_models import official_of_config
from densepose_ext.modeling.embeddings import embedder
from projects_tests.file_server import file_server
from projects_tests.tiny_model import tiny_model

NAME = "quick_schedules/densepose_rcnn_R_18_FPN_instant_test"


@pytest.fixture(scope="module")
def content():
    """A checkpoint of a tiny model in the official form."""
    weights = {name: value.numpy() for name, value in tiny_model().state_dict().items()}
    return pickle.dumps({"model": weights, "__author__": "made up"})


@pytest.fixture
def published(tmp_path, monkeypatch, content):
    """A server with that checkpoint, which the table lists under NAME."""
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path / "cache"))
    file_hash = hashlib.md5(content).hexdigest()[:6]
    monkeypatch.setattr(download, "_PAUSE", 0)
    with file_server() as files:
        path = f"/{NAME}/1/model_final_{file_hash}.pkl"
        files.contents[path] = content
        model = OfficialModel(NAME, files.url + path, file_hash, 1.0, 2.0, 3.0, 4.0, 5.0)
        monkeypatch.setattr(official_models, "_models", lambda: {NAME: model})
        files.model, files.path = model, path
        yield files


def test_the_table():
    assert len(official_names()) == 41
    hashes = {official(name).file_hash for name in official_names()}
    assert len(hashes) == 41
    for name in official_names():
        model = official(name)
        assert Path(model.config).is_file()
        assert len(model.file_hash) == 6
        int(model.file_hash, 16)
        assert model.url.startswith(f"https://dl.fbaipublicfiles.com/densepose/{name}/")
        assert 0 < model.gps_ap < model.gpsm_ap < model.box_ap + 10
        assert 200 < model.megabytes < 400
    with pytest.raises(ValueError, match="no official checkpoint 'other'"):
        official("other")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["densepose_rcnn_R_50_FPN_WC2_s1x", "cse/densepose_rcnn_R_50_FPN_s1x"]
)
def test_megabytes_are_those_of_the_parameters(name):
    cfg = load_config(official(name).config, ["MODEL.DEVICE", "meta", "MODEL.WEIGHTS", ""]).clone()
    for settings in cfg.MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBEDDERS.values():
        settings["INIT_FILE"] = ""
    with torch.device("meta"):
        parameters = build_model(cfg).state_dict().values()
    assert official(name).megabytes == round(
        sum(p.numel() * p.element_size() for p in parameters) / 1e6, 1
    )


def test_weights_official_are_those_of_the_configs_name(tmp_path):
    assert all(official_of_config(official(name).config).name == name for name in official_names())
    for name in ("densepose_rcnn_R_50_FPN_s1x", "cse/densepose_rcnn_R_50_FPN_s1x"):
        cfg = load_config(official(name).config, ["MODEL.WEIGHTS", "official"])
        assert f"densepose://{name}" == cfg.MODEL.WEIGHTS
    copy = tmp_path / "densepose_rcnn_R_50_FPN_s1x.yaml"
    assert official_of_config(str(copy)).name == copy.stem
    for other in ("cse/densepose_rcnn_R_50_FPN_new_s1x.yaml", "densepose_teacher_R_50.yaml"):
        with pytest.raises(ValueError, match=rf"{other}: the official project has published no"):
            official_of_config(other)


@pytest.mark.slow
def test_predictor_by_name(published, capsys):
    predictor = DensePosePredictor(NAME, device="cpu")
    for name, value in tiny_model().state_dict().items():
        assert torch.equal(predictor.model.state_dict()[name], value)
    said = capsys.readouterr().err
    assert said.count("CC BY-SA 3.0; trained on data for non-commercial use") == 1
    # From the cache, with nothing said; also by weights alone.
    published.status = 500
    for config, weights in ((NAME, None), (published.model.config, "official")):
        again = DensePosePredictor(config, weights, device="cpu")
        assert f"densepose://{NAME}" == again.cfg.MODEL.WEIGHTS
    assert "licence" not in capsys.readouterr().err
    assert published.asked == [""]


def test_a_checkpoint_of_another_hash_is_named(published, caplog):
    published.contents[published.path] = pickle.dumps({"model": {}})
    PathManager.get_local_path(f"densepose://{NAME}")
    assert f"begins with {published.model.file_hash}" in caplog.text


def test_embedders_find_theirs_before_the_model_is_loaded(published):
    assert embedder._weights(f"densepose://{NAME}").keys() == tiny_model().state_dict().keys()


def test_a_page_in_place_of_a_checkpoint(published):
    published.contents[published.path] = b"<!doctype html><title>Log in</title>"
    with pytest.raises(ValueError, match="is a web page"):
        PathManager.get_local_path(f"densepose://{NAME}")
    assert not cached_path(published.model.url).exists()


def test_cut_off_and_missing(published, capsys, tmp_path):
    picture = tmp_path / "nobody.png"
    picture.write_bytes(b"")
    published.ends = [500] * 4
    arguments = ["predict", str(picture), "--out", str(tmp_path / "out"), "--model", NAME]
    assert main(arguments) == 2
    announced, error = capsys.readouterr().err.splitlines()
    assert announced.startswith(f"fetching {NAME}, about 5 MB")
    assert error.startswith(f"densepose-ext predict: cannot fetch {published.model.url}: ")
    assert "ended after 500 of" in error
    published.status = 404
    assert main(arguments) == 2
    assert "HTTP 404 Not Found" in capsys.readouterr().err


def test_models_command(published, capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("densepose_rcnn_EffLite0_FPN_synth" in line and "default" in line for line in lines)
    (row,) = [line.split() for line in lines if line.strip().startswith(NAME)]
    assert row == [NAME, "1.0", "2.0", "3.0", "4.0", "5", "no"]
    PathManager.get_local_path(f"densepose://{NAME}")
    capsys.readouterr()
    assert main(["models"]) == 0
    assert f"{'5':>9}  yes" in capsys.readouterr().out
    assert main(["models", NAME]) == 0
    assert published.model.url in capsys.readouterr().out
    assert main(["models", "other"]) == 2
    assert "no official checkpoint 'other'" in capsys.readouterr().err


def test_an_unknown_official_path():
    with pytest.raises(ValueError, match="no official checkpoint 'other'"):
        PathManager.get_local_path("densepose://other")
