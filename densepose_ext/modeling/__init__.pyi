from .backbones import TimmBackbone as TimmBackbone
from .backbones import build_timm_fpn_backbone as build_timm_fpn_backbone
from .cascade import CascadeStage as CascadeStage
from .cascade import DensePoseCascade as DensePoseCascade
from .cse_loss import DensePoseCseLoss as DensePoseCseLoss
from .decoder import DensePoseDecoder as DensePoseDecoder
from .deeplab import DensePoseDeepLabHead as DensePoseDeepLabHead
from .embedder import Embedder as Embedder
from .embedder import VertexDirectEmbedder as VertexDirectEmbedder
from .embedder import VertexFeatureEmbedder as VertexFeatureEmbedder
from .embedder import initialized_embedder as initialized_embedder
from .embedding_predictor import DensePoseEmbeddingPredictor as DensePoseEmbeddingPredictor
from .embedding_predictor import (
    DensePoseEmbeddingWithConfidencePredictor as DensePoseEmbeddingWithConfidencePredictor,
)
from .heads import DensePoseV1ConvXHead as DensePoseV1ConvXHead
from .hrnet import HRFPN as HRFPN
from .hrnet import HRNet as HRNet
from .hrnet import build_hrfpn_backbone as build_hrfpn_backbone
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
