"""Files of weights of every kind are read alike; other files are named in one line."""

import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from densepose_ext.files.weights import read_weights

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.ones(2)}
ARRAYS = {name: value.numpy() for name, value in WEIGHTS.items()}


def saved(content, **options) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def prefixed(prefix: str) -> dict:
    return {prefix + name: value for name, value in WEIGHTS.items()}


def read(tmp_path, content: bytes, name: str = "model.pth") -> dict:
    path = tmp_path / name
    path.write_bytes(content)
    return read_weights(path)


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"model": WEIGHTS},
        {"state_dict": WEIGHTS, "epoch": 3},
        {"state_dict": {"state_dict": WEIGHTS}},
        {"model": {"state_dict": WEIGHTS}},
        {"model_state_dict": WEIGHTS, "loss": 0.1},
        prefixed("module."),
        {"state_dict": prefixed("module.")},
        {"state_dict": prefixed("_orig_mod.module.model.")},
    ],
)
@pytest.mark.parametrize("name", ["model.pth", "model.pkl", "model"])
@pytest.mark.parametrize("old_format", [False, True])
def test_wrapped_weights(tmp_path, content, name, old_format):
    content = saved(content, _use_new_zipfile_serialization=not old_format)
    found = read(tmp_path, content, name)["model"]
    assert list(found) == list(WEIGHTS)
    for key, value in WEIGHTS.items():
        assert torch.equal(found[key], value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["model.pkl", "model.pth"])
def test_pickled_arrays(tmp_path, protocol, name):
    content = pickle.dumps({"model": ARRAYS, "__author__": "me"}, protocol=protocol)
    found = read(tmp_path, content, name)
    assert found["__author__"] == "me"
    assert "matching_heuristics" not in found
    for key, value in ARRAYS.items():
        np.testing.assert_array_equal(found["model"][key], value)


def test_what_else_a_checkpoint_of_training_holds(tmp_path):
    content = {"model": WEIGHTS, "iteration": 7, "optimizer": {"state": {}}}
    found = read(tmp_path, saved(content))
    assert found["iteration"] == 7
    assert found["optimizer"] == {"state": {}}


def test_versions_of_modules_are_kept(tmp_path):
    """By them a norm knows which of its values its file cannot have."""
    state = nn.DataParallel(nn.Sequential(nn.BatchNorm2d(2))).state_dict()
    found = read(tmp_path, saved(state))["model"]
    assert found._metadata["0"] == {"version": 2}


def test_only_a_prefix_of_all_names_is_one(tmp_path):
    content = {"model.a": torch.ones(1), "b": torch.ones(1)}
    assert list(read(tmp_path, saved(content))["model"]) == ["model.a", "b"]


@pytest.mark.parametrize("name", ["model.pyth", "model.pth"])
def test_names_of_pycls_are_matched_by_their_ends(tmp_path, name):
    state = {**WEIGHTS, "bn.num_batches_tracked": torch.tensor(1)}
    found = read(tmp_path, saved({"model_state": state, "epoch": 1}), name)
    assert found["matching_heuristics"]
    assert found["__author__"] == "pycls"
    assert list(found["model"]) == list(WEIGHTS)


@pytest.mark.parametrize("wrapped", [True, False])
def test_names_of_caffe2(tmp_path, wrapped):
    arrays = {"conv1_w": np.ones(2), "conv1_w_momentum": np.ones(2)}
    found = read(tmp_path, pickle.dumps({"blobs": arrays, "cfg": "x"} if wrapped else arrays))
    assert found["__author__"] == "Caffe2"
    assert list(found["model"]) == ["conv1_w"]


def onnx_head() -> bytes:
    return b"\x08\x08\x12\x07pytorch\x1a\x052.0.0:\xff\x01" + bytes(range(128, 160))


def zipped(**files) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def numpy_archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.ones(2))
    return stream.getvalue()


def torchscript() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), stream)
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.pth"))
    return stream.getvalue()


HEADER = b'{"a.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
OTHER_FILES = {
    "empty": (b"", "empty"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 256026089\n",
        "a Git LFS pointer; `git lfs pull`",
    ),
    "page": (b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title>", "a web page"),
    "xml": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "a text that begins with"),
    "json": (b'{"message": "Not Found"}', "a text that begins with '{\"message"),
    "yaml": ("_BASE_: base.yaml\n# größer\n".encode() * 300, "a text that begins with '_BASE_"),
    "message": (b"404: Not Found.", "a text that begins with '404: Not Found"),
    "zip": (zipped(readme="x"), "a zip archive of 1 files, such as readme"),
    "cut": (
        saved(WEIGHTS)[:-100],
        "a truncated or damaged file of torch.save, or another zip archive, of",
    ),
    "npz": (numpy_archive(), r"a NumPy archive \(.npz\) of 1 arrays"),
    "torchscript": (torchscript(), "a TorchScript program"),
    "safetensors": (
        len(HEADER).to_bytes(8, "little") + HEADER + bytes(4),
        "a safetensors file; torch.save",
    ),
    "onnx": (onnx_head(), "an ONNX model"),
    "gzip": (b"\x1f\x8b\x08\x00abc", "a gzip archive; unpack it"),
    "tar": (tarred(), "a tar archive; unpack it"),
    "picture": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a JPEG picture"),
}


@pytest.mark.parametrize("name", ["model.pth", "model.pkl", "model.pyth"])
@pytest.mark.parametrize("kind", OTHER_FILES)
def test_other_files_say_what_they_are(tmp_path, kind, name):
    content, expected = OTHER_FILES[kind]
    with pytest.raises(
        ValueError, match=rf"{name} is {expected}.*\(expected a checkpoint"
    ) as error:
        read(tmp_path, content, name)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400 + len(str(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02",
        pickle.dumps({"model": ARRAYS})[:-50],
        saved(WEIGHTS, _use_new_zipfile_serialization=False)[:-10],
        bytes(range(255, 128, -1)),
        *(pickle.dumps(x) for x in (5, "text", [1, 2], {1: 2}, {"blobs": [1]}, {"model": 3})),
        *(saved(x) for x in (5, {"epoch": 3}, {"net": WEIGHTS}, [WEIGHTS])),
    ],
)
def test_what_holds_no_weights(tmp_path, content):
    with pytest.raises(
        ValueError, match=r"model\.pth is (not|damaged, or not) .*checkpoint"
    ) as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)


def test_a_folder_or_no_file(tmp_path):
    with pytest.raises(OSError, match="directory"):
        read_weights(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_weights(tmp_path / "none.pth")
