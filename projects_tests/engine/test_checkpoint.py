"""Checkpoints: official ones load without warnings and can be saved back; none runs code."""

import codecs
import io
import logging
import pickle
import random
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.modeling import build_model
from torch import nn

from densepose_ext.config import load_config
from densepose_ext.engine.checkpoint import DensePoseCheckpointer
from densepose_ext.files.plain_pickle import read_plain_pickle
from projects_tests.reference import ROOT, conformance_cases
from projects_tests.tiny_model import tiny_model


@pytest.fixture(scope="module")
def model():
    return tiny_model("MODEL.ROI_BOX_HEAD.FC_DIM", "16")


@pytest.fixture
def arrays(model):
    """Its weights, doubled, as a published .pkl file has them."""
    return {name: 2 * value.numpy() for name, value in model.state_dict().items()}


def load(model, path, **checkpointables):
    return DensePoseCheckpointer(model, **checkpointables).load(str(path))


def warnings_of(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.slow
@pytest.mark.parametrize("case", conformance_cases("model"))
@pytest.mark.parametrize("suffix", [".pth", ".pkl"])
def test_official_names_load_without_a_warning_and_save_back(case, suffix, tmp_path, caplog):
    official = torch.load(case / "model.pth", weights_only=True)["model"]
    path = tmp_path / f"official{suffix}"
    if suffix == ".pkl":
        content = {"model": {k: v.numpy() for k, v in official.items()}, "__author__": "somebody"}
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save({"model": official}, path)
    built = build_model(load_config(str(case / "config.yaml"), ["MODEL.DEVICE", "cpu"]))
    with caplog.at_level(logging.INFO):
        load(built, path)
    assert not warnings_of(caplog)
    assert "do not match" not in caplog.text

    DetectionCheckpointer(built, str(tmp_path)).save("saved")
    saved = torch.load(tmp_path / "saved.pth", weights_only=True)["model"]
    assert set(saved) - {"pixel_mean", "pixel_std"} == set(official) - {"pixel_mean", "pixel_std"}
    for name, value in official.items():
        torch.testing.assert_close(saved[name], value.to(saved[name].dtype), rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_arrays_of_every_protocol(model, arrays, tmp_path, caplog, protocol):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "tests"}, protocol=protocol))
    load(model, path)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, torch.from_numpy(arrays[name]).to(value.dtype))
    assert not warnings_of(caplog)
    model.load_state_dict(before)


def test_weights_of_imagenet_in_the_form_of_caffe2(model, tmp_path):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    stem = np.random.default_rng(0).normal(size=(64, 3, 7, 7)).astype(np.float32)
    for content in ({"conv1_w": stem, "conv1_w_momentum": stem}, {"blobs": {"conv1_w": stem}}):
        path = tmp_path / "imagenet.pkl"
        path.write_bytes(pickle.dumps(content, protocol=2))
        load(model, path)
        np.testing.assert_array_equal(model.backbone.bottom_up.stem.conv1.weight.detach(), stem)
        model.load_state_dict(before)


class Runs:
    """Runs code when it is unpickled by plain pickle."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


class Sets:
    def __reduce__(self):
        return codecs.encode, ("abc", "rot13")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {"a": "RUNS"}, "__author__": "x"}, r"it holds a _?io\.open"),
        (["RUNS"], r"it holds a _?io\.open"),
        ({"model": {}, "__author__": Sets()}, "rot13"),
        ({"model": {"a": torch.zeros(2)}}, r"it holds a torch\.\S*"),
        ({"model": {"a": np.array([None, 1])}}, "an array of O8, not of numbers"),
        ({"model": {"a": np.array(["text"])}}, "an array of U4, not of numbers"),
        ({"model": {"a": np.ma.zeros(2)}}, r"it holds a numpy\.ma"),
        ({"a": complex(1, 2)}, "it holds a .*complex"),
        (np.random.default_rng(0), r"it holds a numpy\.random"),
        ({"model": {"a": slice(3)}}, "slice"),
    ],
)
def test_what_is_not_plain_is_refused_without_running(model, tmp_path, content, message):
    marker = tmp_path / "it_ran"

    def put(value):
        if isinstance(value, dict):
            return {key: put(item) for key, item in value.items()}
        if isinstance(value, list):
            return [put(item) for item in value]
        return Runs(marker) if isinstance(value, str) and value == "RUNS" else value

    path = tmp_path / "strange.pkl"
    path.write_bytes(pickle.dumps(put(content), protocol=2))
    with pytest.raises(ValueError, match=rf"strange\.pkl is not a checkpoint of arrays.*{message}"):
        load(model, path)
    assert not marker.exists()


def test_torch_reads_weights_only(model, tmp_path, monkeypatch):
    path = tmp_path / "strange.pth"
    torch.save({"model": {"a": Runs(tmp_path / "it_ran")}}, path)
    with pytest.raises(
        ValueError, match=r"strange\.pth holds a _?io\.open, which cannot be read without"
    ):
        load(model, path)
    assert not (tmp_path / "it_ran").exists()
    # Whatever the default of the installed torch.
    used = []
    real = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: used.append(k) or real(*a, **k))
    torch.save({"model": model.state_dict()}, path)
    load(model, path)
    assert used[0]["weights_only"] is True


def test_a_checkpoint_of_another_shape_is_refused_except_for_fine_tuning(model, arrays, tmp_path):
    name = "roi_heads.densepose_predictor.ann_index_lowres.weight"
    arrays[name] = arrays[name][:, :1]
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "tests"}))
    with pytest.raises(ValueError, match=rf"1 parameter of another shape, the first is {name}"):
        load(model, path)

    class Trainer:
        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            pass

    # Fine-tuning takes what fits, as Detectron2 does.
    incompatible = load(model, path, trainer=Trainer())
    assert "iteration" not in incompatible


def test_a_missing_checkpoint_is_named(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"MODEL\.WEIGHTS = .*nothing\.pkl: there is no"):
        load(model, tmp_path / "nothing.pkl")


def test_other_models_load_as_ever(tmp_path):
    """The plugin replaces Detectron2's class by this one, without visible differences."""
    plain = nn.Linear(2, 2)
    path = tmp_path / "model.pkl"
    weights = OrderedDict((name, value.numpy()) for name, value in plain.state_dict().items())
    path.write_bytes(pickle.dumps({"model": weights, "__author__": slice(3)}))
    assert load(plain, path)["__author__"] == slice(3)
    weights["weight"] = np.zeros((3, 3), np.float32)
    path.write_bytes(pickle.dumps({"model": weights, "__author__": "tests"}))
    load(plain, path)


def read(value, protocol=2):
    return read_plain_pickle(io.BytesIO(pickle.dumps(value, protocol=protocol)))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        np.arange(24, dtype=np.int16).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(5, dtype=">i4"),
        np.zeros((0, 3), np.float16),
        np.array(7, np.uint8),
        np.array([True, False]),
        np.float64(1.5),
    ],
)
def test_arrays_are_read_as_they_were_written(array, protocol):
    found = read({"a": array}, protocol)["a"]
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert found.flags.writeable


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers_are_read_as_they_were_written(protocol):
    value = {
        "s": {1, 2},
        "f": frozenset("ab"),
        "a": [1, 2.5, None, True, "ü", b""],
        "b": ((), b"\xff", OrderedDict(c=1)),
        3: {"d": {}},
    }
    assert read(value, protocol) == value


def test_files_of_python_2_are_read():
    """Written by Python 2.7 and its numpy: strings are bytes, and so is the data of an array."""
    text = (
        b"\x80\x02}q\x00(U\x01aq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\n"
        b"q\x03K\x00\x85q\x04U\x01bq\x05\x87q\x06Rq\x07(K\x01K\x02\x85q\x08cnumpy\ndtype\nq\t"
        b"U\x02f4q\nK\x00K\x01\x87q\x0bRq\x0c(K\x03U\x01<q\rNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tq\x0eb\x89U\x08\x00\x00\x80?\x00\x00\x00\xc0q\x0ftq\x10bu."
    )
    np.testing.assert_array_equal(read_plain_pickle(io.BytesIO(text))["a"], np.float32([1, -2]))


DAMAGE = """
import io, pickle, random, resource
import numpy as np
from densepose_ext.files.plain_pickle import read_plain_pickle

# A damaged number can ask for much memory: give little, and see that being refused it is handled.
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (200 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

value = {"model": {"a": np.ones((2, 3), np.float32), "b": np.float32(3)}, "l": [1, 2.5, None]}
originals = [pickle.dumps(value, protocol=p) for p in range(6)]
rng = random.Random(0)
for n in range(4000):
    damaged = bytearray(rng.choice(originals))
    for _ in range(rng.randrange(1, 5)):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    try:
        read_plain_pickle(io.BytesIO(bytes(damaged[: rng.choice([None, len(damaged) // 2])])))
    except ValueError:
        pass
assert np.zeros(3, np.float32).tolist() == [0, 0, 0]
print("survived")
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="measures memory as Linux does")
def test_damaged_pickles_are_refused():
    """In a separate process: numpy's unpickling could crash it, or alter float32 in it."""
    done = subprocess.run(
        [sys.executable, "-c", DAMAGE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "survived\n", done.stderr[-2000:]


def test_a_pickle_cannot_change_the_next():
    """A pickle can set attributes of the classes it names, but only while it is read."""
    spoil = b"\x80\x02cnumpy\nndarray\n}U\x05valueK\x05sb."
    with pytest.raises(ValueError, match=r"it holds|argument|missing"):
        read_plain_pickle(io.BytesIO(spoil))
    np.testing.assert_array_equal(read({"a": np.arange(3)})["a"], [0, 1, 2])


def test_random_bytes_are_refused():
    rng = random.Random(0)
    for _ in range(500):
        content = b"\x80\x02" + rng.randbytes(rng.randrange(60))
        with pytest.raises(ValueError, match=r"."):
            read_plain_pickle(io.BytesIO(content))


def test_a_file_that_is_half_written_does_not_take_the_place_of_a_whole_one(
    model, tmp_path, monkeypatch
):
    checkpointer = DensePoseCheckpointer(model, str(tmp_path))
    checkpointer.save("model_latest", iteration=1)
    assert {path.name for path in tmp_path.iterdir()} == {"model_latest.pth", "last_checkpoint"}
    whole = (tmp_path / "model_latest.pth").read_bytes()

    def disk_full(data, file):
        file.write(whole[:1000])
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    for name in ("model_latest", "model_other"):
        with pytest.raises(OSError, match="No space left"):
            checkpointer.save(name)
    assert {path.name for path in tmp_path.iterdir()} == {"model_latest.pth", "last_checkpoint"}
    assert (tmp_path / "model_latest.pth").read_bytes() == whole
    assert DensePoseCheckpointer(model, str(tmp_path)).resume_or_load("")["iteration"] == 1


def test_a_last_checkpoint_that_is_gone_is_named(model, tmp_path):
    (tmp_path / "last_checkpoint").write_text("model_0000009.pth")
    with pytest.raises(
        FileNotFoundError, match=r"last_checkpoint names .*model_0000009\.pth, which does not exist"
    ):
        DensePoseCheckpointer(model, str(tmp_path)).resume_or_load("")
