"""The runs of each study: their names, config changes and data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..config.loading import own_keys
from ..files.configs import get_config_file
from .budget import Budget


@dataclass(frozen=True)
class Run:
    """A training and its test.

    Attributes:
        name: used in tables, and by ``--runs``.
        changes: ``KEY VALUE`` pairs that override the budget's config.
        data: variant of the training annotations, see ``data.VARIANTS``.
    """

    name: str
    changes: tuple = ()
    data: str = "points"


@dataclass(frozen=True)
class Study:
    """Runs to compare with the first one.

    Attributes:
        question: what the study asks.
        runs: the first one is the baseline.
    """

    name: str
    question: str
    runs: tuple[Run, ...]


# Other heads are as small as the budgets' dense pose head.
_MASKS = (
    *("MODEL.MASK_ON", True, "MODEL.ROI_MASK_HEAD.NAME", "MaskRCNNConvUpsampleHead"),
    *("MODEL.ROI_MASK_HEAD.NUM_CONV", 2, "MODEL.ROI_MASK_HEAD.CONV_DIM", 128),
    *("MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION", 14),
)
_KEYPOINTS = ("MODEL.KEYPOINT_ON", True, "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", (128, 128))


def _cascade(*tasks: str) -> tuple:
    return (
        *("MODEL.DENSEPOSE_CASCADE.STAGES", 2),
        *("MODEL.DENSEPOSE_CASCADE.TASKS", ["densepose", *tasks]),
        *("MODEL.DENSEPOSE_CASCADE.NUM_STACKED_CONVS", 1),
    )


def _fully_convolutional(budget: Budget) -> tuple:
    """The paper's DP-FCN: no RoIs before the last layer."""
    head = "MODEL.ROI_DENSEPOSE_HEAD."
    return (
        *(head + "FULLY_CONVOLUTIONAL", True, head + "DECODER_ON", True),
        *(head + "DECODER_CONV_DIMS", 128, head + "DECODER_NUM_CLASSES", 128),
        *(head + "DECODER_COMMON_STRIDE", budget.finest_stride),
    )


def _ablation(budget: Budget) -> Study:
    """Tasks, cascade and backbone, as in the paper's section 4.2."""
    both = (*_MASKS, *_KEYPOINTS)
    cascade = (*both, *_cascade("mask", "keypoint"))
    runs = [
        Run("dense pose"),
        Run("masks", _MASKS),
        Run("keypoints", _KEYPOINTS),
        Run("masks and keypoints", both),
        Run("cascade", _cascade()),
        Run("cascade masks", (*_MASKS, *_cascade("mask"))),
        Run("cascade keypoints", (*_KEYPOINTS, *_cascade("keypoint"))),
        Run("cascade masks and keypoints", cascade),
        Run("no cross-talk", (*cascade, "MODEL.DENSEPOSE_CASCADE.CROSS_TALK", [])),
    ]
    runs.append(Run("fully convolutional", _fully_convolutional(budget)))
    if budget.larger_backbone:
        runs.append(Run("larger backbone", budget.larger_backbone))
    question = "What do other tasks, a second stage and a larger backbone add to dense pose alone?"
    return Study("ablation", question, tuple(runs))


def _supervision(budget: Budget) -> Study:
    """Sparse and dense supervision, and fitted bodies, as in the paper's sections 3.4 and 4."""

    def trained_on(what: str) -> tuple:
        return ("INPUT.DENSEPOSE_SUPERVISION", what)

    question = (
        "Which supervision is best: points (exact, of human annotators or of fitted bodies),"
        " a teacher's dense targets, or the true ones?"
    )
    runs = (
        Run("points"),
        Run("teacher", trained_on("dense"), "teacher"),
        Run("points and teacher", trained_on("both"), "teacher"),
        Run("dense truth", trained_on("dense")),
        Run("points and dense truth", trained_on("both")),
        Run("half of the people", data="half"),
        Run("a tenth of the people", data="tenth"),
        Run("points by hand", data="by hand"),
        Run("points of fitted bodies", data="fitted"),
    )
    return Study("supervision", question, runs)


def _embeddings(budget: Budget) -> Study:
    """Charts, and continuous surface embeddings (Neverova et al., NeurIPS 2020)."""
    embeddings = own_keys(get_config_file("densepose_rcnn_EffLite0_FPN_CSE_synth.yaml"))
    cse = "MODEL.ROI_DENSEPOSE_HEAD.CSE."
    hard = (cse + "EMBED_LOSS_NAME", "EmbeddingLoss")
    cycles = (cse + "PIX_TO_SHAPE_CYCLE_LOSS.ENABLED", True)
    from_zero = (cse + "EMBEDDERS.open.INIT_FILE", "")
    runs = (
        Run("charts"),
        Run("soft loss", embeddings, "vertices"),
        Run("hard loss", (*embeddings, *hard), "vertices"),
        Run("soft loss and cycles", (*embeddings, *cycles), "vertices"),
        Run("soft loss from zero", (*embeddings, *from_zero), "vertices"),
    )
    question = (
        "Are embeddings as good as charts, for the same people and points, and which of their"
        " losses is best?"
    )
    return Study("embeddings", question, runs)


_PLANS: dict[str, Callable[[Budget], Study]] = {
    "ablation": _ablation,
    "supervision": _supervision,
    "embeddings": _embeddings,
}
#: Studies that train models.
TRAINING_STUDIES = tuple(_PLANS)


def plan(name: str, budget: Budget) -> Study:
    """The plan of a study, one of TRAINING_STUDIES."""
    return _PLANS[name](budget)
