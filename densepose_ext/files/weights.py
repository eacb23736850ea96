"""Reads files of weights: recognized by content rather than by name, and without running code."""

from __future__ import annotations

import codecs
import os
import pickle
import re
import zipfile

import numpy as np
import torch
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from .plain_pickle import read_plain_pickle

_EXPECTED = "a checkpoint: tensors or arrays by name, saved by torch.save or pickle"

#: Keys under which training frameworks store the weights, possibly nested.
_WRAPPERS = ("model", "state_dict", "model_state", "model_state_dict", "module")

#: Prefixes that wrappers of a model add to the names of all its parameters.
_PREFIXES = ("module.", "model.", "_orig_mod.")

#: How torch.save began its files before version 1.6: a pickled magic number.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

_UNPACK = "unpack it first"
_MAGIC = (
    (b"version https://git-lfs", "a Git LFS pointer; `git lfs pull` fetches the file itself"),
    (b"\x1f\x8b", f"a gzip archive; {_UNPACK}"),
    (b"BZh", f"a bzip2 archive; {_UNPACK}"),
    (b"\xfd7zXZ", f"an xz archive; {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"a zstd archive; {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (b"Rar!", f"a RAR archive; {_UNPACK}"),
    (b"\x89HDF", "an HDF5 file, as Keras writes them"),
    (b"\x93NUMPY", "a single NumPy array"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
)


def read_weights(path: str | os.PathLike) -> dict:
    """The content of a checkpoint.

    Supported are files of torch.save (Detectron2's own, state dicts of any framework) and pickles
    of arrays (Detectron2's model zoo, Caffe2's Detectron). Wrappers such as ``state_dict`` and
    prefixes common to all names (``module.``) are removed.

    Returns:
        a dict as ``DetectionCheckpointer`` expects it: tensors or arrays by name under ``model``,
        beside whatever else a checkpoint of Detectron2 holds.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a checkpoint; the message says in one line what it is.
    """
    path = os.fspath(path)
    check_weights_file(path)
    with open(path, "rb") as stream:
        head = stream.read(len(_OLD_TORCH))
        stream.seek(0)
        is_torch = head.startswith((b"PK", _OLD_TORCH))
        content = _load_torch(stream, path) if is_torch else _load_pickle(stream, path)
    return _checkpoint(content, path)


def check_weights_file(path: str | os.PathLike) -> None:
    """Checks the first bytes of a file, and the table of contents of an archive.

    Raises:
        OSError: the file cannot be read.
        ValueError: it cannot be a checkpoint; the message says what it is.
    """
    found = describe_other_file(path)
    if found is not None:
        raise ValueError(f"{os.fspath(path)} is {found} (expected {_EXPECTED})")


def describe_other_file(path: str | os.PathLike) -> str | None:
    """What a file is, in words; None if it may be a checkpoint.

    Raises:
        OSError: the file cannot be read.
    """
    with open(path, "rb") as stream:
        head = stream.read(4096)
    if not head:
        return "empty"
    for magic, what in _MAGIC:
        if head.startswith(magic):
            return what
    if head.startswith(b"PK"):
        return _describe_zip(path)
    if head[257:262] == b"ustar":
        return f"a tar archive; {_UNPACK}"
    if is_safetensors(head):
        return (
            "a safetensors file; torch.save(safetensors.torch.load_file(FILE), 'NEW.pth') makes a"
            " checkpoint of it"
        )
    if re.match(rb"\x08[\x01-\x1f][\x12\x3a\x42]", head):
        return "an ONNX model, which onnxruntime runs"
    return _describe_text(head)


def is_safetensors(head: bytes) -> bool:
    """Whether a file with this beginning is one of safetensors: the length of a JSON, then it."""
    return head[8:10] in (b'{"', b"{ ", b"{}") and 2 <= int.from_bytes(head[:8], "little") < 1 << 30


def _describe_zip(path: str | os.PathLike) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return (
            "a truncated or damaged file of torch.save, or another zip archive, of"
            f" {os.path.getsize(path):,} bytes"
        )
    if any(name.endswith("constants.pkl") or "/code/" in name for name in names):
        return "a TorchScript program, which torch.jit.load runs"
    if any(name.endswith("data.pkl") for name in names):
        return None
    if names and all(name.endswith(".npy") for name in names):
        return f"a NumPy archive (.npz) of {len(names)} arrays"
    return f"a zip archive of {len(names)} files, such as {', '.join(names[:3]) or 'none'}"


def _describe_text(head: bytes) -> str | None:
    # A pickle of protocol 0 is text too: a dict, list or tuple, or a name to call.
    if re.match(rb"\([dlt]p|\(i|c[\w.]+\n", head):
        return None
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # may end within a character
    except UnicodeDecodeError:
        return None
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        return None
    start = text.lstrip("\ufeff \t\r\n")
    if start.lower().startswith(("<!doctype html", "<html", "<head")):
        return "a web page; its link leads to a page about the file, not to the file itself"
    line = start.split("\n", 1)[0].strip()
    return f"a text that begins with {line[:60]!r}"


def _load_torch(stream, path: str):
    try:
        return torch.load(stream, map_location="cpu", weights_only=True)
    except (
        *(pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError),
        *(LookupError, AttributeError, OSError),
    ) as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if found:
            raise ValueError(
                f"{path} holds a {found[1]}, which cannot be read without running code of the file;"
                f" expected {_EXPECTED}"
            ) from error
        raise ValueError(
            f"{path} is damaged, or not a checkpoint: {_first_sentence(error)}"
        ) from error


def _load_pickle(stream, path: str):
    try:
        return read_plain_pickle(stream)
    except ValueError as error:
        raise ValueError(
            f"{path} is not a checkpoint of arrays and plain containers: {_first_sentence(error)}"
        ) from error


def _first_sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def _checkpoint(content: object, path: str) -> dict:
    """The content of a file as a checkpoint in Detectron2's format."""
    extras = {}
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        extras = {key: value for key, value in content.items() if key != "model"}
    weights, wrappers = content, []
    while isinstance(weights, dict):
        key = next((k for k in (*_WRAPPERS, "blobs") if isinstance(weights.get(k), dict)), None)
        if key is None:
            break
        wrappers.append(key)
        weights = weights[key]
    weights = _without_prefixes(_arrays(weights, path))
    if "model_state" in wrappers:  # pycls, whose names share only their endings with Detectron2's
        weights = {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
        extras |= {"__author__": "pycls", "matching_heuristics": True}
    # Names in Caffe2 have no dots: res2_0_branch1_w, AnnIndex_lowres_b.
    if "blobs" in wrappers or ("__author__" not in extras and not any("." in k for k in weights)):
        weights = {k: v for k, v in weights.items() if not k.endswith("_momentum")}
        extras |= {"__author__": "Caffe2", "matching_heuristics": True}
    return {**extras, "model": weights}


def _arrays(weights: object, path: str) -> dict:
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise ValueError(
            f"{path} is not a checkpoint: expected arrays by name, found"
            f" {_a(weights) if not isinstance(weights, dict) else 'names that are not strings'}"
        )
    for name, value in weights.items():
        if not isinstance(value, (torch.Tensor, np.ndarray)):
            raise ValueError(
                f"{path} is not a checkpoint: expected arrays by name, or such a dict under"
                f" {', '.join(_WRAPPERS)}; found {_a(value)} under {name!r}"
            )
    return weights


def _a(value: object) -> str:
    return f"an object of type {type(value).__name__}"


def _without_prefixes(weights: dict) -> dict:
    while prefix := next((p for p in _PREFIXES if weights and all(map(_starts(p), weights))), None):
        consume_prefix_in_state_dict_if_present(weights, prefix)
    return weights


def _starts(prefix: str):
    return lambda name: name.startswith(prefix)
