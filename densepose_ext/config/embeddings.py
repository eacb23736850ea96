"""Configuration keys of continuous surface embeddings (CSE; Neverova et al., NeurIPS 2020)."""

from __future__ import annotations

from detectron2.config import CfgNode as CN

_HEAD = "MODEL.ROI_DENSEPOSE_HEAD."


def is_cse_config(cfg: CN) -> bool:
    """Whether the dense pose branch of ``cfg`` predicts embeddings instead of charts."""
    return "Embedding" in cfg.MODEL.ROI_DENSEPOSE_HEAD.PREDICTOR_NAME


def embedder_sizes(cfg: CN) -> dict[str, int] | None:
    """Mesh name -> number of vertices, for each embedder of ``cfg``; None for chart models."""
    if not is_cse_config(cfg):
        return None
    embedders = cfg.MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBEDDERS
    return {name: embedder.NUM_VERTICES for name, embedder in embedders.items()}


def class_meshes(cfg: CN) -> list[str]:
    """Name of the mesh of each class of the model; "" for a class without a mesh.

    A single embedder also serves the classes that DATASETS.CLASS_TO_MESH_NAME_MAPPING leaves out.
    """
    embedders = list(cfg.MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBEDDERS)
    rest = embedders[0] if len(embedders) == 1 else ""
    mapping = {
        int(number): mesh for number, mesh in cfg.DATASETS.CLASS_TO_MESH_NAME_MAPPING.items()
    }
    return [mapping.get(number, rest) for number in range(cfg.MODEL.ROI_HEADS.NUM_CLASSES)]


def needs_instance_masks(cfg: CN) -> bool:
    """Whether the losses of the dense pose branch need instance masks."""
    head = cfg.MODEL.ROI_DENSEPOSE_HEAD
    cycle = is_cse_config(cfg) and head.CSE.PIX_TO_SHAPE_CYCLE_LOSS.ENABLED
    return head.COARSE_SEGM_TRAINED_BY_MASKS or cycle


def add_cse_config(cfg: CN) -> None:
    """Adds the keys, in place."""
    cse = cfg.MODEL.ROI_DENSEPOSE_HEAD.CSE = CN()
    # Mesh name -> TYPE (vertex_feature or vertex_direct), NUM_VERTICES, FEATURE_DIM,
    # FEATURES_TRAINABLE, IS_TRAINABLE, INIT_FILE: see modeling/embeddings/embedder.py.
    cse.EMBEDDERS = CN(new_allowed=True)
    cse.EMBED_SIZE = 16  # D, dimensions of an embedding

    # EmbeddingLoss (only the annotated vertex is right) or SoftEmbeddingLoss (so are, to a degree,
    # vertices near it).
    cse.EMBED_LOSS_NAME = "EmbeddingLoss"
    cse.EMBED_LOSS_WEIGHT = 0.6
    cse.EMBEDDING_DIST_GAUSS_SIGMA = 0.01
    cse.GEODESIC_DIST_GAUSS_SIGMA = 0.01  # metres
    # Learning rates of the embedders' parameters, as factors of SOLVER.BASE_LR.
    cse.EMBEDDING_LR_FACTOR = 1.0
    cse.FEATURES_LR_FACTOR = 1.0

    # From the vertices of one mesh to those of another and back.
    shapes = cse.SHAPE_TO_SHAPE_CYCLE_LOSS = CN()
    shapes.ENABLED = False
    shapes.WEIGHT = 0.025
    shapes.NORM_P = 2
    shapes.TEMPERATURE = 0.05
    shapes.MAX_NUM_VERTICES = 4936
    # From the pixels of a RoI to the vertices of a mesh and back. Needs instance masks.
    pixels = cse.PIX_TO_SHAPE_CYCLE_LOSS = CN()
    pixels.ENABLED = False
    pixels.WEIGHT = 0.0001
    pixels.NORM_P = 2
    pixels.USE_ALL_MESHES_NOT_GT_ONLY = False
    pixels.NUM_PIXELS_TO_SAMPLE = 100  # per mask; 0 or less: all
    pixels.PIXEL_SIGMA = 5.0  # accepted and ignored, as in the official project
    pixels.TEMPERATURE_PIXEL_TO_VERTEX = 0.05
    pixels.TEMPERATURE_VERTEX_TO_PIXEL = 0.05

    # Class index, as a string -> name of its mesh. Not needed with a single mesh for all classes.
    cfg.DATASETS.CLASS_TO_MESH_NAME_MAPPING = CN(new_allowed=True)
    # Evaluate how well the embeddings of each pair of meshes align, on their key vertices.
    cfg.DENSEPOSE_EVALUATION.EVALUATE_MESH_ALIGNMENT = False
    cfg.DENSEPOSE_EVALUATION.MESH_ALIGNMENT_MESH_NAMES = []  # []: the meshes of all embedders


def check_cse_config(cfg: CN) -> None:
    """Checks that the keys of CSE agree with each other.

    Raises:
        ValueError: they do not; the message names key, value and what was expected.
    """
    head = cfg.MODEL.ROI_DENSEPOSE_HEAD
    if not is_cse_config(cfg):
        if head.CSE.EMBEDDERS:
            raise ValueError(
                f"{_HEAD}CSE.EMBEDDERS names {', '.join(head.CSE.EMBEDDERS)}, which requires"
                f" {_HEAD}PREDICTOR_NAME DensePoseEmbeddingPredictor, not {head.PREDICTOR_NAME}"
            )
        if cfg.DENSEPOSE_EVALUATION.EVALUATE_MESH_ALIGNMENT:
            raise ValueError(
                "DENSEPOSE_EVALUATION.EVALUATE_MESH_ALIGNMENT = True requires"
                f" {_HEAD}PREDICTOR_NAME DensePoseEmbeddingPredictor, not {head.PREDICTOR_NAME}"
            )
        if head.LOSS_NAME == "DensePoseCseLoss":
            raise ValueError(
                f"{_HEAD}LOSS_NAME = {head.LOSS_NAME!r} requires {_HEAD}PREDICTOR_NAME"
                f" DensePoseEmbeddingPredictor, not {head.PREDICTOR_NAME}"
            )
        return
    if "Chart" in head.LOSS_NAME:
        raise ValueError(
            f"{_HEAD}LOSS_NAME = {head.LOSS_NAME!r}, expected 'DensePoseCseLoss' with"
            f" PREDICTOR_NAME {head.PREDICTOR_NAME}"
        )
    if head.CSE.EMBED_LOSS_NAME not in ("EmbeddingLoss", "SoftEmbeddingLoss"):
        raise ValueError(
            f"{_HEAD}CSE.EMBED_LOSS_NAME = {head.CSE.EMBED_LOSS_NAME!r}, expected 'EmbeddingLoss'"
            " or 'SoftEmbeddingLoss'"
        )
    for number, mesh in cfg.DATASETS.CLASS_TO_MESH_NAME_MAPPING.items():
        key = f"DATASETS.CLASS_TO_MESH_NAME_MAPPING.{number}"
        if not str(number).isdigit():
            raise ValueError(f"{key} = {mesh!r}: {number!r} is not the index of a class")
        if mesh not in head.CSE.EMBEDDERS:
            raise ValueError(
                f"{key} = {mesh!r}, expected one of {_HEAD}CSE.EMBEDDERS:"
                f" {', '.join(head.CSE.EMBEDDERS)}"
            )
