from .config import add_densepose_config as add_densepose_config
from .config import check_config as check_config
from .config import is_densepose_config as is_densepose_config
from .config import load_config as load_config
from .data.coco import load_densepose_coco as load_densepose_coco
from .data.coco import register_densepose_coco as register_densepose_coco
from .data.datasets import register_public_datasets as register_public_datasets
from .data.mapper import DensePoseDatasetMapper as DensePoseDatasetMapper
from .engine import checkpoint as checkpoint
from .engine.trainer import DensePoseTrainer as DensePoseTrainer
from .engine.trainer import build_evaluator as build_evaluator
from .evaluation.evaluator import DensePoseCOCOEvaluator as DensePoseCOCOEvaluator
from .evaluation.evaluator import DensePoseEvaluator as DensePoseEvaluator
from .files.configs import get_config_file as get_config_file
from .modeling.postprocessing import densepose_results as densepose_results
from .modeling.roi_heads import DensePoseROIHeads as DensePoseROIHeads
from .prediction.exported import ExportedPredictor as ExportedPredictor
from .prediction.people import People as People
from .prediction.predictor import DensePosePredictor as DensePosePredictor
from .structures import DensePoseAnnotation as DensePoseAnnotation
from .structures import DensePoseAnnotationList as DensePoseAnnotationList
from .structures import DensePoseOutput as DensePoseOutput
from .structures import DensePoseResult as DensePoseResult
from .structures import Person as Person
from .synthetic.registration import register_synthetic as register_synthetic

__version__: str

def register() -> None: ...
