from .build import build_cascade
from .cascade import DensePoseCascade
from .cross_talk import CrossTalk
from .roi_heads import CascadeROIHeads
from .shared_rois import share_rois
from .stage import BranchOutput, CascadeStage
