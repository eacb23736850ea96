"""What each study runs: names, changes of the config, and data."""

from __future__ import annotations

from dataclasses import dataclass

from .budget import Budget


@dataclass(frozen=True)
class Run:
    """A training, and the test of what it gave.

    Attributes:
        name: in tables, and in ``--runs``.
        changes: ``KEY VALUE`` pairs on top of the budget's.
        data: what it is trained on, see ``data.VARIANTS``.
    """

    name: str
    changes: tuple = ()
    data: str = "points"


@dataclass(frozen=True)
class Study:
    """Runs that are compared with the first one.

    Attributes:
        question: what it asks, a sentence.
        runs: of the study.
    """

    name: str
    question: str
    runs: tuple[Run, ...]


#: Names of the studies that train; robustness tests a model that is there.
TRAINING_STUDIES = ("ablation", "supervision")

# As light as the dense pose head of these budgets.
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


def plan(name: str, budget: Budget) -> Study:
    """A study that trains, one of TRAINING_STUDIES."""
    return _ablation(budget) if name == "ablation" else _supervision()


def _ablation(budget: Budget) -> Study:
    """Rows of the paper's section 4.2: tasks, cascade, backbone."""
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
    if budget.larger_backbone:
        runs.append(Run("larger backbone", budget.larger_backbone))
    question = "What do other tasks, a second stage and a larger backbone add to dense pose alone?"
    return Study("ablation", question, tuple(runs))


def _supervision() -> Study:
    """Sections 3.4 and 4.2 of the paper, with the truth beside the teacher."""

    def trained_on(what: str) -> tuple:
        return ("INPUT.DENSEPOSE_SUPERVISION", what)

    question = "What is dense pose to be trained on: points, a teacher's answers, or the truth?"
    runs = (
        Run("points"),
        Run("teacher", trained_on("dense"), "teacher"),
        Run("points and teacher", trained_on("both"), "teacher"),
        Run("dense truth", trained_on("dense")),
        Run("points and dense truth", trained_on("both")),
        Run("half of the people", data="half"),
        Run("a tenth of the people", data="tenth"),
        Run("points by hand", data="by hand"),
    )
    return Study("supervision", question, runs)
