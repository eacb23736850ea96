"""Embeddings in place of charts; the same as cse/densepose_rcnn_R_50_FPN_soft_s1x.yaml, but for the
clipping of gradients, which Detectron2's launcher of Python configs does not do.
"""

from detectron2.config import LazyCall as L

from densepose_ext.modeling import (
    DensePoseCseLoss,
    DensePoseEmbeddingPredictor,
    Embedder,
    VertexFeatureEmbedder,
    initialized_embedder,
)

from .densepose_rcnn_R_50_FPN_s1x import dataloader, lr_multiplier, model, optimizer, train

MESH, NUM_VERTICES = "smpl_27554", 27554
FEATURES = "https://dl.fbaipublicfiles.com/densepose/data/cse/lbo/phi_smpl_27554_256.pkl"
EMBEDDING_SIZE = 16

model.roi_heads.densepose_predictor = L(DensePoseEmbeddingPredictor)(
    input_channels="${..densepose_head.conv_dim}", coarse_channels=2, embedding_size=EMBEDDING_SIZE
)
model.roi_heads.densepose_loss = L(DensePoseCseLoss)(
    mesh_names=[MESH], segm_weight=5.0, embedding_weight=0.6, soft=True
)
features = L(VertexFeatureEmbedder)(
    num_vertices=NUM_VERTICES, embedding_size=EMBEDDING_SIZE, feature_size=256
)
model.roi_heads.densepose_embedder = L(Embedder)(
    embedders=[
        (MESH, L(initialized_embedder)(embedder=features, mesh_name=MESH, init_file=FEATURES))
    ]
)
model.roi_heads.densepose_class_meshes = [MESH]

dataloader.train.dataset.names = [
    "densepose_coco_2014_train_cse",
    "densepose_coco_2014_valminusminival_cse",
]
dataloader.train.dataset.embedders = {MESH: NUM_VERTICES}
dataloader.train.mapper.by_vertices = True
dataloader.test.dataset.names = "densepose_coco_2014_minival_cse"
dataloader.evaluator[1].by_vertices = True
