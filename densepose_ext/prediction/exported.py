"""A predictor for models exported by ``densepose-ext export``, which needs no Detectron2.

On a CPU it is faster: onnxruntime has less overhead per operator than PyTorch.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..modeling.postprocessing import check_min_confidence, densepose_results
from ..processes.cores import number_of_cores
from ..structures import (
    DensePoseEmbeddingOutput,
    DensePoseOutput,
    MeshesOfPeople,
    Person,
    VertexResult,
)
from .charted import charted
from .people import People
from .pictures import Picture, batch_to_bgr, to_bgr

#: Endings of exported networks.
ENDINGS = (".onnx", ".ts")

#: Ends the name of a model in 8 bits, which has the description of the model beside it.
INT8_SUFFIX = "_int8"

#: Beside an exported CSE model: the embeddings of the vertices of its meshes, by mesh name.
VERTICES_FILE = "vertices.npz"

#: A network: picture -> outputs, in the order that the model describes.
Runs = Callable[[np.ndarray], list[np.ndarray]]


def is_exported(model: object) -> bool:
    """Whether ``model`` is the path of an exported model, or of a folder with one."""
    if not isinstance(model, (str, os.PathLike)):
        return False
    path = Path(model)
    return path.suffix in ENDINGS or (path / "model.json").is_file()


class ExportedPredictor:
    """Finds people in pictures, and their dense pose, with an exported model.

    Results are those of :class:`DensePosePredictor` up to rounding, without masks and keypoints.

    Attributes:
        min_score: people with a lower score are left out.
        lanes: 1, see :attr:`DensePosePredictor.lanes`: onnxruntime uses all cores.
    """

    lanes = 1

    def __init__(
        self,
        model: str | os.PathLike,
        device: str = "cpu",
        min_score: float | None = None,
        threads: int | None = None,
        min_confidence: float = 0.0,
    ):
        """
        Args:
            model: ``model.onnx``, ``model_int8.onnx`` or ``model.ts``, beside ``model.json``; or
                their folder, in which the first that exists of model.onnx and model.ts is taken.
            device: cpu or cuda. ONNX on cuda needs the package onnxruntime-gpu.
            min_score: people with a lower score are left out. Default, and minimum: that of the
                model.
            threads: of onnxruntime. Default: one per core.
            min_confidence: as for DensePosePredictor.

        Raises:
            OSError: a file is missing.
            ValueError: it is not an exported model, a setting does not suit it, or the device
                cannot run it.
            ModuleNotFoundError: onnxruntime, or torchvision for TorchScript, is not installed.
        """
        self.path = _model_file(Path(model))
        stem = self.path.stem.removesuffix(INT8_SUFFIX)
        described = _description(self.path.with_name(f"{stem}.json"))
        self._outputs = described["networks"]["model"]["outputs"]
        self._wanted = described["picture"]
        self._vertices = _vertices(self.path.parent) if "embedding" in self._outputs else {}
        lowest = float(described["min_score"])
        self.min_score = lowest if min_score is None else float(min_score)
        if not lowest <= self.min_score <= 1:
            raise ValueError(
                f"min_score is {self.min_score}, expected {lowest} to 1: {self.path} has no people"
                " with lower scores (densepose-ext export --min-score)"
            )
        check_min_confidence(min_confidence, has_parts=not self._vertices)
        self.min_confidence = min_confidence
        load = _load_onnx if self.path.suffix == ".onnx" else _load_torchscript
        self._run = load(self.path, device, threads or number_of_cores())

    def identity(self) -> dict:
        """The settings that results depend on, for records of runs."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]
        return {
            "model": digest,
            "precision": "exported",
            "min_score": self.min_score,
            "min_confidence": self.min_confidence or None,
        }

    def __call__(self, picture: Picture) -> People:
        """The people of one picture, best score first: see :meth:`DensePosePredictor.__call__`."""
        picture = to_bgr(picture)
        height, width = picture.shape[:2]
        image = self.network_input(picture)
        found = self._run(image)
        named = {
            name: torch.from_numpy(np.ascontiguousarray(array))
            for name, array in zip(self._outputs, found)
        }
        boxes, scores = named.pop("boxes"), named.pop("scores")
        scale = [width / image.shape[2], height / image.shape[1]]
        boxes = boxes * torch.tensor(scale * 2)
        boxes = boxes.clamp(min=0).minimum(torch.tensor([width, height] * 2))
        kept = (scores >= self.min_score) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        output = self._output({name: value[kept] for name, value in named.items()})
        results = [
            charted(result) if isinstance(result, VertexResult) else result
            for result in densepose_results(output, boxes[kept], self.min_confidence)
        ]
        persons = [
            Person(box.copy(), score, result)
            for box, score, result in zip(boxes[kept].numpy(), scores[kept].tolist(), results)
        ]
        return People(sorted(persons, key=lambda person: -person.score), (height, width))

    def network_input(self, picture: np.ndarray) -> np.ndarray:
        """What the network sees, (3, H', W') uint8, of a picture (H, W, 3) uint8 BGR."""
        resized = _resized(picture, self._wanted["shortest_edge"], self._wanted["longest_edge"])
        channels = resized if self._wanted["channels"] == "BGR" else resized[:, :, ::-1]
        return np.ascontiguousarray(channels.transpose(2, 0, 1))

    def _output(self, maps: dict[str, torch.Tensor]) -> DensePoseOutput | DensePoseEmbeddingOutput:
        if not self._vertices:
            return DensePoseOutput(**maps)
        return DensePoseEmbeddingOutput(
            meshes=MeshesOfPeople(self._vertices, maps.pop("mesh")), **maps
        )

    def batch(self, pictures: Sequence[Picture]) -> list[People]:
        """The people of several pictures, processed one by one: exported models have no batches."""
        return [self(picture) for picture in batch_to_bgr(pictures)]


def _model_file(path: Path) -> Path:
    if path.is_dir():
        for ending in ENDINGS:
            if (path / f"model{ending}").is_file():
                return path / f"model{ending}"
        raise FileNotFoundError(f"{path} has no model.onnx and no model.ts")
    if not path.is_file():
        raise FileNotFoundError(f"there is no exported model {path}")
    return path


def _description(path: Path) -> dict:
    """The description of a model, written by ``densepose-ext export``."""
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        outputs = described["networks"]["model"]["outputs"]
        wanted = described["picture"]
        complete = {"channels", "shortest_edge", "longest_edge"} <= wanted.keys()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} does not describe an exported model: {error!r}") from error
    if not complete or outputs[:2] != ["boxes", "scores"]:
        raise ValueError(f"{path} does not describe a whole model (export --what model)")
    return described


def _vertices(folder: Path) -> dict[str, torch.Tensor]:
    """Mesh name -> embeddings (n, D) of its vertices, beside a CSE model."""
    path = folder / VERTICES_FILE
    try:
        with np.load(path, allow_pickle=False) as content:
            return {name: torch.from_numpy(content[name]) for name in content.files}
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} does not hold the embeddings of vertices: {error}") from error


def _load_onnx(path: Path, device: str, threads: int) -> Runs:
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf

    providers = {
        "cpu": ["CPUExecutionProvider"],
        "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
    }
    if device not in providers:
        raise ValueError(f"device {device!r}; expected cpu or cuda")
    if providers[device][0] not in onnxruntime.get_available_providers():
        raise ValueError(f"device {device!r}: this onnxruntime cannot use it")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait actively for the next picture would take cores from PyTorch, which turns
    # maps into results, and from readers and writers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers[device])
    except InvalidProtobuf as error:
        raise ValueError(f"{path} cannot be read as an ONNX model: {error}") from error
    except Exception as error:  # onnxruntime's errors have no other common base
        raise ValueError(f"{path} cannot be opened on {device}: {error}") from error
    name = session.get_inputs()[0].name
    return lambda picture: session.run(None, {name: picture})


def _load_torchscript(path: Path, device: str, threads: int) -> Runs:
    import torchvision  # noqa: F401  # registers the operators of RoI pooling and NMS

    try:
        network = torch.jit.load(os.fspath(path), map_location=device)
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read as TorchScript: {error}") from error

    def run(picture: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            return [value.cpu().numpy() for value in network(torch.from_numpy(picture).to(device))]

    return run


def _resized(picture: np.ndarray, shortest: int, longest: int) -> np.ndarray:
    """A picture resized to the model's input size, as by Detectron2's ResizeShortestEdge."""
    if shortest == 0:
        return picture
    height, width = picture.shape[:2]
    scale = shortest / min(height, width)
    new = [scale * length for length in (height, width)]
    new[0 if height < width else 1] = shortest
    if max(new) > longest:
        new = [length * longest / max(new) for length in new]
    new_height, new_width = (max(int(length + 0.5), 1) for length in new)
    image = Image.fromarray(picture)
    return np.asarray(image.resize((new_width, new_height), Image.Resampling.BILINEAR))
