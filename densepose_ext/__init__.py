"""densepose_ext: the DensePose R-CNN as a Detectron2 extension.

Importing it registers heads, backbones and datasets with Detectron2. The parts can be used one by
one: see ``densepose_ext.modeling``, ``densepose_ext.data``, ``densepose_ext.surface``.

Its log lines are those of loggers below "detectron2": they appear wherever Detectron2's do.
"""

import sys

__version__ = "0.2.0"

try:
    import detectron2
except ModuleNotFoundError as error:
    if error.name != "detectron2":
        raise
    raise ModuleNotFoundError(
        "densepose_ext extends Detectron2, which is not installed. Install it as"
        " https://detectron2.readthedocs.io/tutorials/install.html says, or let `make setup` in a"
        " checkout of densepose_ext make an environment with it",
        name="detectron2",
    ) from None

from .config import (
    add_densepose_config,
    check_config,
    get_config_file,
    is_densepose_config,
    load_config,
)
from .data import (
    DensePoseDatasetMapper,
    load_densepose_coco,
    register_densepose_coco,
    register_public_datasets,
)
from .engine import DensePoseTrainer, build_evaluator, checkpoint
from .evaluation import DensePoseCOCOEvaluator, DensePoseEvaluator
from .modeling import DensePoseROIHeads, densepose_results
from .prediction.people import People
from .prediction.predictor import DensePosePredictor
from .structures import (
    DensePoseAnnotation,
    DensePoseAnnotationList,
    DensePoseOutput,
    DensePoseResult,
    Person,
)
from .synthetic.registration import register_default_synthetic, register_synthetic

# The path of earlier versions, which READMEs showed.
sys.modules[f"{__name__}.checkpoint"] = checkpoint

register_public_datasets()
register_default_synthetic()
