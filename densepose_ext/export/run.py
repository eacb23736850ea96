"""Exports a model to files that run without Detectron2 and this package."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import detectron2
import numpy as np
import torch
from detectron2.config import CfgNode

from .. import __version__
from ..files.atomic import replacing, write_whole
from ..files.writable_folder import make_writable
from ..prediction.exported import VERTICES_FILE
from ..prediction.predictor import DensePosePredictor
from ..structures import DensePoseEmbeddingOutput
from .branch import branch_network
from .check import check_export
from .decoder import decoder_network
from .network import Network, require_onnx, write_onnx, write_torchscript
from .rcnn import rcnn_network
from .vertex_decoder import vertex_decoder_network

#: Formats: the ending of their files, and what writes them.
FORMATS = {"torchscript": (".ts", write_torchscript), "onnx": (".onnx", write_onnx)}

#: What can be exported.
PARTS = ("model", "head")


def export_model(
    predictor: DensePosePredictor,
    out: str | os.PathLike,
    formats: Sequence[str] = ("torchscript",),
    what: str = "model",
) -> dict[Path, float]:
    """Writes a model, or its dense pose branch, and the decoder of its maps.

    ======== ===================================== =========================================
    file     inputs                                outputs
    ======== ===================================== =========================================
    model    picture (3, H, W) uint8               boxes (N, 4) XYXY, scores (N,), maps
    head     features (1, c, H / s, W / s), boxes  maps
    decoder  coarse_segm, fine_segm, u, v, boxes   labels (P,), uv (2, P), sizes (N, 2)
    ======== ===================================== =========================================

    Maps are those of DensePoseOutput, (N, channels, S, S). A CSE model has those of
    DensePoseEmbeddingOutput and the number of each person's mesh, ``mesh`` (N,), beside scores; its
    decoder takes coarse_segm, embedding, boxes and mesh, and gives labels, vertices (P,) and sizes.
    ``vertices.npz`` beside it has the embeddings of the vertices of each mesh.
    ``model.json`` or ``head.json`` beside the files has names, types and shapes, and what pictures
    the model expects. The score threshold is fixed in the file. Each file is loaded and compared
    with the model on tensors of other sizes.

    Args:
        predictor: of the model, in single precision.
        out: folder; made if missing.
        formats: some of ``FORMATS``.
        what: one of ``PARTS``; the decoder is always written, too.

    Returns:
        each file, with the largest difference from the model that was found.

    Raises:
        ValueError: something cannot be exported.
        OSError: the folder cannot be written.
    """
    check_formats(formats)
    _check(predictor, formats, what)
    out = Path(out)
    make_writable(out)
    model = predictor.model
    branch, output = branch_network(model)
    with_meshes = isinstance(output, DensePoseEmbeddingOutput)
    if what == "model":
        networks = {"model": rcnn_network(model, branch.outputs, with_meshes)}
    else:
        networks = {"head": branch}
    vertices = _vertices(model) if with_meshes else {}
    networks["decoder"] = (
        vertex_decoder_network(output, vertices) if with_meshes else decoder_network(output)
    )
    differences = {}
    for name, network in networks.items():
        for ending, write in (FORMATS[name] for name in formats):
            path = out / f"{name}{ending}"
            write(network, path)
            try:
                differences[path] = check_export(network, path)
            except ValueError:
                path.unlink()
                raise
    if with_meshes:
        with replacing(out / VERTICES_FILE) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **{name: value.cpu().numpy() for name, value in vertices.items()})
    description = json.dumps(_description(predictor.cfg, networks, vertices), indent=1)
    write_whole(out / f"{what}.json", f"{description}\n".encode())
    return differences


def check_formats(formats: Sequence[str]) -> None:
    """Checks the formats of :func:`export_model`; call it before a model is loaded.

    Raises:
        ValueError: one is unknown, or the packages that write it are not installed.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ValueError(f"format {', '.join(unknown)!r}; expected some of {', '.join(FORMATS)}")
    if "onnx" in formats:
        require_onnx()


def _check(predictor: DensePosePredictor, formats: Sequence[str], what: str) -> None:
    if what not in PARTS:
        raise ValueError(f"cannot export {what!r}; expected one of {', '.join(PARTS)}")
    precision = predictor.cfg.MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION
    if precision != "fp32":
        raise ValueError(f"the model is in {precision}; only fp32 can be exported")
    if "onnx" in formats and predictor.model.device.type != "cpu":
        raise ValueError("ONNX is written by a model on the CPU (and then runs everywhere)")


@torch.no_grad()
def _vertices(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Embeddings (n, D) of each mesh, in the order in which numbers of meshes count them."""
    embedder = model.roi_heads.embedder
    return {name: embedder(name).float() for name in embedder.mesh_names}


def _description(cfg: CfgNode, networks: dict[str, Network], vertices: dict) -> dict:
    meshes = {"meshes": {name: len(value) for name, value in vertices.items()}} if vertices else {}
    return {
        "versions": {
            "densepose_ext": __version__,
            "detectron2": detectron2.__version__,
            "torch": torch.__version__,
        },
        "picture": {
            "channels": cfg.INPUT.FORMAT,
            "shortest_edge": cfg.INPUT.MIN_SIZE_TEST,  # 0: not resized
            "longest_edge": cfg.INPUT.MAX_SIZE_TEST,
        },
        "min_score": cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST,
        **meshes,
        "networks": {name: network.describe() for name, network in networks.items()},
    }
