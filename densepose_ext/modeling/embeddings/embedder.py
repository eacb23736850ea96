"""Embedders: learned embeddings of the vertices of meshes, one embedder per mesh.

Letters: n vertices of a mesh, F features of a vertex, D dimensions of an embedding.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import torch
from detectron2.config import CfgNode
from detectron2.utils.file_io import PathManager
from torch import nn

from ...files.plain_pickle import read_plain_pickle
from ...files.weights import read_weights
from ...model_zoo.official_models import PREFIX as OFFICIAL_PREFIX

#: Lower bound of the norm by which an embedding is divided.
EPSILON = 1e-6
#: Value of INIT_FILE for features that are computed from the mesh.
LAPLACE_BELTRAMI = "laplace-beltrami"
#: Prefix of an embedder's parameters in a model.
_PREFIX = "roi_heads.embedder.embedder_"


def normalized(embeddings: torch.Tensor) -> torch.Tensor:
    """Rows (N, D) divided by their norm, or by EPSILON if it is smaller."""
    return embeddings / embeddings.norm(dim=1, keepdim=True).clamp(min=EPSILON)


class VertexDirectEmbedder(nn.Module):
    """An independent embedding for every vertex."""

    def __init__(self, num_vertices: int, embedding_size: int, *, trainable: bool = True):
        super().__init__()
        self.num_vertices = num_vertices
        self.embeddings = nn.Parameter(
            torch.zeros(num_vertices, embedding_size), requires_grad=trainable
        )

    def forward(self) -> torch.Tensor:
        """(n, D), rows of length 1."""
        return normalized(self.embeddings)


class VertexFeatureEmbedder(nn.Module):
    """Embeddings that are linear in features of the vertices, such as Laplace-Beltrami features."""

    def __init__(
        self,
        num_vertices: int,
        embedding_size: int,
        feature_size: int,
        *,
        trainable: bool = True,
        features_trainable: bool = False,
    ):
        super().__init__()
        self.num_vertices = num_vertices
        features = torch.zeros(num_vertices, feature_size)
        if features_trainable:
            self.features = nn.Parameter(features, requires_grad=trainable)
        else:
            self.register_buffer("features", features)
        self.embeddings = nn.Parameter(
            torch.zeros(feature_size, embedding_size), requires_grad=trainable
        )

    def forward(self) -> torch.Tensor:
        """(n, D), rows of length 1."""
        return normalized(self.features @ self.embeddings)


class Embedder(nn.Module):
    """The embedders of several meshes, named ``embedder_MESH`` as in published checkpoints."""

    def __init__(self, embedders: Mapping[str, nn.Module] | Iterable[tuple[str, nn.Module]]):
        """
        Args:
            embedders: mesh name -> module, or pairs of these. A module returns its embeddings
                (n, D) and has ``num_vertices``.
        """
        super().__init__()
        embedders = dict(embedders)
        self.mesh_names = tuple(embedders)
        for name, embedder in embedders.items():
            self.add_module(f"embedder_{name}", embedder)

    def forward(self, mesh_name: str) -> torch.Tensor:
        """Embeddings (n, D) of a mesh, rows of length 1.

        Raises:
            ValueError: the mesh has no embedder.
        """
        if mesh_name not in self.mesh_names:
            raise ValueError(
                f"no embedder of mesh {mesh_name!r}; the model has {', '.join(self.mesh_names)}"
            )
        return self.get_submodule(f"embedder_{mesh_name}")()


def build_embedder(cfg: CfgNode) -> Embedder:
    """The embedders of a config.

    They are initialized to zero, then from INIT_FILE, a pickle of a dict with ``features``,
    ``embeddings`` or both, then from MODEL.WEIGHTS, if that is a local file. With INIT_FILE
    "laplace-beltrami" the features are computed from the mesh, and cached; embeddings start as the
    smoothest of them.

    Raises:
        ValueError, OSError: a setting or file cannot be used.
    """
    cse = cfg.MODEL.ROI_DENSEPOSE_HEAD.CSE
    if not cse.EMBEDDERS:
        raise ValueError(
            "MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBEDDERS is empty, expected at least one mesh"
        )
    embedders = {name: _build(name, node, cse.EMBED_SIZE) for name, node in cse.EMBEDDERS.items()}
    weights = _weights(cfg.MODEL.WEIGHTS)
    for name, embedder in embedders.items():
        prefix = f"{_PREFIX}{name}."
        found = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        init_file = cse.EMBEDDERS[name].get("INIT_FILE", "")
        if init_file and not embedder.state_dict().keys() <= found.keys():
            initialized_embedder(embedder, name, init_file, f"{_key(name)}.INIT_FILE = {init_file}")
        _fill(embedder, found, f"MODEL.WEIGHTS = {cfg.MODEL.WEIGHTS}, {prefix[:-1]}")
    return Embedder(embedders)


def initialized_embedder(
    embedder: nn.Module, mesh_name: str, init_file: str, where: str | None = None
) -> nn.Module:
    """The same embedder, with values out of a file, or features of its mesh.

    Args:
        embedder: of one mesh.
        init_file: as INIT_FILE: see :func:`build_embedder`.
        where: a setting that names the file, for messages; None: the file.

    Raises:
        ValueError, OSError: the file cannot be used.
    """
    if init_file == LAPLACE_BELTRAMI:
        from ...surface.laplace_beltrami import mesh_features  # takes SciPy, slow to import

        shape = embedder.embeddings.shape
        try:
            features = mesh_features(mesh_name, embedder.features.shape[1])
            values: Mapping = {"features": features, "embeddings": _smoothest(*shape)}
        except ValueError as error:
            raise ValueError(f"{where or init_file}: {error}") from error
    else:
        values = _read_init_file(init_file)
    _fill(embedder, values, where or init_file)
    return embedder


def _smoothest(feature_size: int, embedding_size: int) -> torch.Tensor:
    """(F, D) embeddings of which each is a feature: the first ones but for the constant.

    From zero, all vertices would start in the same direction or the opposite one.
    """
    embeddings = torch.zeros(feature_size, embedding_size)
    count = min(feature_size - 1, embedding_size)
    embeddings[1 : count + 1, :count] = torch.eye(count)
    return embeddings


def _key(name: str) -> str:
    return f"MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBEDDERS.{name}"


def _build(name: str, node: CfgNode, embedding_size: int) -> nn.Module:
    for key in ("NUM_VERTICES", *(["FEATURE_DIM"] if node.get("TYPE") == "vertex_feature" else [])):
        if not isinstance(node.get(key), int) or node[key] < 1:
            raise ValueError(f"{_key(name)}.{key} = {node.get(key)!r}, expected a whole number")
    trainable = node.get("IS_TRAINABLE", True)
    if node.get("TYPE") == "vertex_direct":
        return VertexDirectEmbedder(node.NUM_VERTICES, embedding_size, trainable=trainable)
    if node.get("TYPE") == "vertex_feature":
        return VertexFeatureEmbedder(
            node.NUM_VERTICES,
            embedding_size,
            node.FEATURE_DIM,
            trainable=trainable,
            features_trainable=node.get("FEATURES_TRAINABLE", False),
        )
    raise ValueError(
        f"{_key(name)}.TYPE = {node.get('TYPE')!r}, expected 'vertex_feature' or 'vertex_direct'"
    )


def _fill(embedder: nn.Module, values: Mapping, where: str) -> None:
    """Copies arrays or tensors into the parameters and buffers of the same names."""
    own = embedder.state_dict()
    for name, value in values.items():
        if name not in own:
            continue
        value = torch.as_tensor(value)
        if value.shape != own[name].shape:
            raise ValueError(
                f"{where}: {name} has shape {tuple(value.shape)}, expected {tuple(own[name].shape)}"
            )
        own[name].copy_(value)


def _read_init_file(file: str) -> Mapping:
    try:
        path = PathManager.get_local_path(file)
        with open(path, "rb") as stream:
            content = read_plain_pickle(stream)
    except ValueError as error:
        raise ValueError(f"INIT_FILE {file} is not a pickle of arrays: {error}") from error
    except OSError as error:
        raise OSError(f"INIT_FILE {file} cannot be read: {error}") from error
    if not isinstance(content, dict) or not {"features", "embeddings"} & content.keys():
        raise ValueError(f"INIT_FILE {file} has neither features nor embeddings")
    return content


def _weights(path: str) -> Mapping:
    """The parameters in a checkpoint, local or official, by name; empty for any other URL.

    Empty also if the file cannot be read, which is reported when the model is loaded.
    """
    if path.startswith(OFFICIAL_PREFIX):
        path = PathManager.get_local_path(path)
    if not path or not os.path.isfile(path):
        return {}
    try:
        return read_weights(path)["model"]
    except (OSError, ValueError):
        return {}
