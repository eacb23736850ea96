"""Checkpoints that are written atomically, and read without running code."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO
from urllib.parse import parse_qs

from detectron2.checkpoint import DetectionCheckpointer

from ..files.weights import check_weights_file, read_weights
from ..modeling.roi_heads import DensePoseROIHeads
from ..modeling.teacher import DensePoseTeacher
from ..processes.messages import counted

#: How many modules a message about parameters lists.
_LISTED = 6


def check_weights(path: str) -> None:
    """Checks quickly that MODEL.WEIGHTS exists and may be a checkpoint. URLs are not checked.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is something else, such as a Git LFS pointer or a web page.
    """
    file = path.partition("?")[0]  # a query tells Detectron2 how to read the file
    if not file or "://" in file:
        return
    if not os.path.isfile(file):
        raise FileNotFoundError(f"MODEL.WEIGHTS = {path}: there is no such file")
    check_weights_file(file)


class DensePoseCheckpointer(DetectionCheckpointer):
    """DetectionCheckpointer that writes atomically, and is strict about dense pose models.

    - Files are written atomically, ``last_checkpoint`` after the checkpoint that it names.
    - Files may come from other frameworks, are recognized by their content, and run no code: see
      :func:`densepose_ext.files.weights.read_weights`.
    - When a model is loaded for inference (without a trainer), all parameters must have the shapes
      of the checkpoint.
    - One log line names missing and unused parameters.

    Other models are loaded as by Detectron2.
    """

    def __init__(self, model, save_dir: str = "", **kwargs):
        super().__init__(model, save_dir, **kwargs)
        self.path_manager = _WholeFiles(self.path_manager)
        #: Path or URL of the last checkpoint loaded.
        self.source: str | None = None

    def get_checkpoint_file(self) -> str:
        """The file to resume from.

        Raises:
            FileNotFoundError: the file that ``last_checkpoint`` names does not exist.
        """
        path = super().get_checkpoint_file()
        if path and not self.path_manager.isfile(path):
            raise FileNotFoundError(
                f"{os.path.join(self.save_dir, 'last_checkpoint')} names {path}, which does not"
                " exist; write the name of another checkpoint of that folder into it, or remove it"
                " to start anew"
            )
        return path

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict:
        """As ``DetectionCheckpointer.load``.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: it is not a checkpoint, or one of another model.
        """
        if self._is_densepose:
            check_weights(path or "")
        self._parsed_url_during_load = None  # a failed load leaves it set
        self.source = path
        return super().load(path, checkpointables)

    @property
    def _is_densepose(self) -> bool:
        model = getattr(self.model, "module", self.model)
        return isinstance(getattr(model, "roi_heads", model), (DensePoseROIHeads, DensePoseTeacher))

    def _load_file(self, filename: str):
        if not self._is_densepose:
            return super()._load_file(filename)
        checkpoint = read_weights(filename)
        queries = parse_qs(self._parsed_url_during_load.query)
        if queries.pop("matching_heuristics", None) == ["True"]:
            checkpoint["matching_heuristics"] = True
        if queries:
            raise ValueError(
                f"MODEL.WEIGHTS has {', '.join(queries)} after its question mark; expected"
                " matching_heuristics=True or nothing"
            )
        return checkpoint

    def _load_model(self, checkpoint):
        if not self._is_densepose:
            return super()._load_model(checkpoint)
        with _silenced("detectron2.checkpoint.c2_model_loading"):  # logs a line per parameter
            incompatible = super()._load_model(checkpoint)
        wrong = incompatible.incorrect_shapes
        if wrong and self._is_to_be_used:
            name, found, expected = wrong[0]
            raise ValueError(
                f"{self.source} is of another model: {counted(len(wrong), 'parameter')} of another"
                f" shape, the first is {name} with {tuple(found)}, expected {tuple(expected)}"
            )
        parameters = [name for name, _ in self.model.named_parameters()]
        if set(parameters) <= set(incompatible.missing_keys):
            found = ", ".join(incompatible.unexpected_keys[:2]) or "nothing"
            raise ValueError(
                f"{self.source} is of another model: it has {found} ..., but no parameter of this"
                f" one, such as {parameters[0]}"
            )
        return incompatible

    @property
    def _is_to_be_used(self) -> bool:
        """Whether the model is loaded for inference: without a trainer."""
        return not self.checkpointables

    def _log_incompatible_keys(self, incompatible) -> None:
        """Logs one line instead of Detectron2's lists, which are as long as the model."""
        if not self._is_densepose:
            super()._log_incompatible_keys(incompatible)
            return
        missing, said = incompatible.missing_keys, []
        if missing:
            kept = counted(len(missing), "parameter")
            said.append(f"initial values are kept by {kept}: {_modules(missing)}")
        if incompatible.incorrect_shapes:
            name, found, expected = incompatible.incorrect_shapes[0]
            said.append(
                f"{len(incompatible.incorrect_shapes)} of these differ in shape from the file, the"
                f" first is {name} with {tuple(found)}, expected {tuple(expected)}"
            )
        if incompatible.unexpected_keys:
            unknown = incompatible.unexpected_keys
            said.append(f"{len(unknown)} in the file are not in the model: {_modules(unknown)}")
        if said:
            level = logging.WARNING if missing and self._is_to_be_used else logging.INFO
            self.logger.log(level, f"Weights loaded; {'; '.join(said)}")


def _modules(names: list[str]) -> str:
    """The modules that parameters belong to, two levels deep, and the number of those omitted."""
    counts = Counter(".".join(name.split(".")[:-1][:2]) or name for name in names)
    listed = [f"{module} ({count})" for module, count in counts.most_common(_LISTED)]
    return ", ".join(listed) + (", ..." if len(counts) > _LISTED else "")


@contextmanager
def _silenced(logger_name: str) -> Iterator[None]:
    """Context in which a logger logs errors only."""
    silenced = logging.getLogger(logger_name)
    level = silenced.level
    silenced.setLevel(logging.ERROR)
    try:
        yield
    finally:
        silenced.setLevel(level)


class _WholeFiles:
    """Detectron2's PathManager, with atomic writes of local files.

    The temporary name is always the same: the large ``.tmp`` file that a killed run leaves behind
    is overwritten when the run is resumed.
    """

    def __init__(self, path_manager):
        self._path_manager = path_manager

    def __getattr__(self, name: str):
        return getattr(self._path_manager, name)

    def open(self, path: str, mode: str = "r", **kwargs):
        # Only local files can be renamed.
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
