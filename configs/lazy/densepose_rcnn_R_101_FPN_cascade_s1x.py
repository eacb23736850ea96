"""The same with a ResNet-101; as densepose_rcnn_R_101_FPN_cascade_s1x.yaml."""

from .densepose_rcnn_R_50_FPN_cascade_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
