"""Checkpoints: files that run no code when read, and are whole whenever the writer is killed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import torch
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.utils.file_io import PathManager

from ..files.plain_pickle import read_plain_pickle
from ..modeling.roi_heads import DensePoseROIHeads


def check_weights(path: str) -> None:
    """Whether MODEL.WEIGHTS is there, as far as that shows without a download.

    Raises:
        FileNotFoundError: it is a file, and there is none.
    """
    file = path.partition("?")[0]  # what follows tells Detectron2 how to read it
    if file and "://" not in file and not os.path.isfile(file):
        raise FileNotFoundError(f"MODEL.WEIGHTS = {path}: there is no such file")


class DensePoseCheckpointer(DetectionCheckpointer):
    """DetectionCheckpointer that writes whole files, and is strict about dense pose models.

    - A file appears under its name when all of it is written; until then the one that was there
      remains. So does ``last_checkpoint``, which is written after the file it names.
    - No file runs code: a ``.pkl`` file may hold arrays and plain containers only, and
      ``torch.load`` reads weights only, whatever the version of torch.
    - In a model that is loaded to be used, not trained (nothing else is loaded with it: no
      trainer), no parameter may have another shape than in the checkpoint.

    Other models are loaded as Detectron2 loads them.
    """

    def __init__(self, model, save_dir: str = "", **kwargs):
        super().__init__(model, save_dir, **kwargs)
        self.path_manager = _WholeFiles(self.path_manager)

    def get_checkpoint_file(self) -> str:
        """The file to resume from.

        Raises:
            FileNotFoundError: ``last_checkpoint`` names one that is not there.
        """
        path = super().get_checkpoint_file()
        if path and not self.path_manager.isfile(path):
            raise FileNotFoundError(
                f"{os.path.join(self.save_dir, 'last_checkpoint')} names {path}, which is not"
                " there; write the name of another checkpoint of that folder into it, or remove it"
                " to start anew"
            )
        return path

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict:
        """As Detectron2's; a file that is not there is a FileNotFoundError."""
        check_weights(path or "")
        return super().load(path, checkpointables)

    @property
    def _is_densepose(self) -> bool:
        model = getattr(self.model, "module", self.model)
        return isinstance(getattr(model, "roi_heads", None), DensePoseROIHeads)

    def _load_file(self, filename: str):
        if not (filename.endswith(".pkl") and self._is_densepose):
            return super()._load_file(filename)
        with PathManager.open(filename, "rb") as f:
            try:
                content = read_plain_pickle(f)
            except ValueError as error:
                raise ValueError(
                    f"{filename} is not a checkpoint of arrays and plain containers: {error}"
                ) from error
        # The two kinds there are, told apart as Detectron2 does: its own, and Caffe2's with
        # "blobs" (whole models) or without (ImageNet).
        is_own = isinstance(content, dict) and "model" in content and "__author__" in content
        weights = content["model"] if is_own else content
        if isinstance(weights, dict) and not is_own:
            weights = weights.get("blobs", weights)
        if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
            raise ValueError(f"{filename} is not a checkpoint: expected arrays by name")
        if is_own:
            return content
        weights = {k: v for k, v in weights.items() if not k.endswith("_momentum")}
        return {"model": weights, "__author__": "Caffe2", "matching_heuristics": True}

    def _torch_load(self, f: str):
        if not self._is_densepose:
            return super()._torch_load(f)
        with PathManager.open(f, "rb") as file:
            try:
                return torch.load(file, map_location="cpu", weights_only=True)
            except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
                raise ValueError(
                    f"{f} is damaged, or not a checkpoint of tensors and plain containers: {error}"
                ) from error

    def _load_model(self, checkpoint):
        incompatible = super()._load_model(checkpoint)
        wrong = incompatible.incorrect_shapes if incompatible is not None else []
        if wrong and self._is_densepose and not self.checkpointables:
            name, found, expected = wrong[0]
            raise ValueError(
                f"the checkpoint is of another model: {len(wrong)} parameters have another shape,"
                f" the first is {name} with {tuple(found)}, expected {tuple(expected)}"
            )
        return incompatible


class _WholeFiles:
    """Detectron2's PathManager, but for files that are written: they are renamed into place.

    The name until then is always the same, so that a large ``.tmp`` file that a killed run leaves
    behind is overwritten by the run that resumes it.
    """

    def __init__(self, path_manager):
        self._path_manager = path_manager

    def __getattr__(self, name: str):
        return getattr(self._path_manager, name)

    def open(self, path: str, mode: str = "r", **kwargs):
        # Only a local folder can rename.
        if "w" in mode and "://" not in path:
            return _whole_file(path, mode)
        return self._path_manager.open(path, mode, **kwargs)


@contextmanager
def _whole_file(path: str, mode: str) -> Iterator[IO]:
    unfinished = f"{path}.tmp"
    try:
        with open(unfinished, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        if os.path.exists(unfinished):
            os.remove(unfinished)
        raise
