"""The standard model; the same as densepose_rcnn_R_50_FPN_s1x.yaml."""

from .common.data import dataloader
from .common.model import model
from .common.schedule import lr_multiplier, optimizer, train

train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
