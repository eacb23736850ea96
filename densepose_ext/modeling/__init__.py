from .backbones import TimmBackbone, build_timm_fpn_backbone
from .cascade import CascadeStage, DensePoseCascade
from .cse_loss import DensePoseCseLoss
from .decoder import DensePoseDecoder
from .deeplab import DensePoseDeepLabHead
from .embedder import Embedder
from .embedding_predictor import (
    DensePoseEmbeddingPredictor,
    DensePoseEmbeddingWithConfidencePredictor,
)
from .heads import DensePoseV1ConvXHead
from .hrnet import HRFPN, HRNet, build_hrfpn_backbone
from .losses import DensePoseChartLoss, DensePoseChartWithConfidenceLoss
from .postprocessing import densepose_results
from .predictor import DensePoseChartPredictor, DensePoseChartWithConfidencePredictor
from .registry import (
    DENSEPOSE_LOSS_REGISTRY,
    DENSEPOSE_PREDICTOR_REGISTRY,
    ROI_DENSEPOSE_HEAD_REGISTRY,
)
from .roi_heads import DensePoseROIHeads
from .second_look import SecondLook, build_second_look
from .teacher import DensePoseTeacher
from .test_time_augmentation import DensePoseRCNNWithTTA
