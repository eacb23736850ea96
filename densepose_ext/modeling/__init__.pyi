from .backbones.hrnet import HRFPN as HRFPN
from .backbones.hrnet import HRNet as HRNet
from .backbones.hrnet import build_hrfpn_backbone as build_hrfpn_backbone
from .backbones.timm_fpn import TimmBackbone as TimmBackbone
from .backbones.timm_fpn import build_timm_fpn_backbone as build_timm_fpn_backbone
from .cascade import CascadeStage as CascadeStage
from .cascade import DensePoseCascade as DensePoseCascade
from .decoder import DensePoseDecoder as DensePoseDecoder
from .deeplab import DensePoseDeepLabHead as DensePoseDeepLabHead
from .embeddings.embedder import Embedder as Embedder
from .embeddings.embedder import VertexDirectEmbedder as VertexDirectEmbedder
from .embeddings.embedder import VertexFeatureEmbedder as VertexFeatureEmbedder
from .embeddings.embedder import initialized_embedder as initialized_embedder
from .embeddings.loss import DensePoseCseLoss as DensePoseCseLoss
from .embeddings.predictor import DensePoseEmbeddingPredictor as DensePoseEmbeddingPredictor
from .embeddings.predictor import (
    DensePoseEmbeddingWithConfidencePredictor as DensePoseEmbeddingWithConfidencePredictor,
)
from .heads import DensePoseV1ConvXHead as DensePoseV1ConvXHead
from .losses import DensePoseChartLoss as DensePoseChartLoss
from .losses import DensePoseChartWithConfidenceLoss as DensePoseChartWithConfidenceLoss
from .postprocessing import densepose_results as densepose_results
from .predictor import DensePoseChartPredictor as DensePoseChartPredictor
from .predictor import (
    DensePoseChartWithConfidencePredictor as DensePoseChartWithConfidencePredictor,
)
from .registry import DENSEPOSE_LOSS_REGISTRY as DENSEPOSE_LOSS_REGISTRY
from .registry import DENSEPOSE_PREDICTOR_REGISTRY as DENSEPOSE_PREDICTOR_REGISTRY
from .registry import ROI_DENSEPOSE_HEAD_REGISTRY as ROI_DENSEPOSE_HEAD_REGISTRY
from .roi_heads import DensePoseROIHeads as DensePoseROIHeads
from .second_look import SecondLook as SecondLook
from .second_look import build_second_look as build_second_look
from .teacher import DensePoseTeacher as DensePoseTeacher
from .test_time_augmentation import DensePoseRCNNWithTTA as DensePoseRCNNWithTTA
