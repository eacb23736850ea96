"""Checkpoints of the first release (Caffe2, 2018) load with the ``_legacy`` configs."""

import pickle
import re

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model

from densepose_ext import DensePosePredictor, get_config_file, load_config
from densepose_ext.engine.checkpoint import DensePoseCheckpointer

SMALL = ("MODEL.DEVICE", "cpu", "MODEL.RESNETS.DEPTH", 50, "MODEL.RESNETS.WIDTH_PER_GROUP", 2)
SMALL += ("MODEL.RESNETS.STEM_OUT_CHANNELS", 8, "MODEL.RESNETS.RES2_OUT_CHANNELS", 16)
SMALL += ("MODEL.FPN.OUT_CHANNELS", 16, "MODEL.ROI_BOX_HEAD.FC_DIM", 16, "MODEL.KEYPOINT_ON", True)
SMALL += (
    "MODEL.MASK_ON",
    True,
    "MODEL.ROI_MASK_HEAD.CONV_DIM",
    16,
    "MODEL.ROI_MASK_HEAD.NUM_CONV",
    1,
)
SMALL += (
    "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS",
    (16, 16),
    "MODEL.ROI_DENSEPOSE_HEAD.CONV_HEAD_DIM",
    16,
)
SMALL += ("INPUT.MIN_SIZE_TEST", 64, "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0)

LAST_BLOCK = {"2": 2, "3": 3, "4": 5, "5": 2}  # of each stage of a ResNet-50

#: Names of Detectron2 and those of Caffe2, in the order in which they are replaced.
NAMES = [
    (r"^backbone\.bottom_up\.stem\.conv1\.norm", "res_conv1_bn"),
    (r"^backbone\.bottom_up\.(stem\.)?", ""),
    (r"^backbone\.fpn_lateral5", "fpn_inner_res5_2_sum"),
    (
        r"^backbone\.fpn_lateral(\d)",
        lambda m: f"fpn_inner_res{m[1]}_{LAST_BLOCK[m[1]]}_sum_lateral",
    ),
    (r"^backbone\.fpn_output(\d)", lambda m: f"fpn_res{m[1]}_{LAST_BLOCK[m[1]]}_sum"),
    (r"^proposal_generator\.rpn_head\.conv", "conv_rpn_fpn2"),
    (r"^proposal_generator\.rpn_head\.objectness_logits", "rpn_cls_logits_fpn2"),
    (r"^proposal_generator\.rpn_head\.anchor_deltas", "rpn_bbox_pred_fpn2"),
    (r"^roi_heads\.box_head\.fc1", "fc6"),
    (r"^roi_heads\.box_head\.fc2", "fc7"),
    (r"^roi_heads\.mask_head\.mask_fcn", "_[mask]_fcn"),
    (r"^roi_heads\.mask_head\.deconv", "conv5_mask"),
    (r"^roi_heads\.mask_head\.predictor", "mask_fcn_logits"),
    (r"^roi_heads\.keypoint_head\.score_lowres", "kps_score_lowres"),
    (r"^roi_heads\.\w+\.", ""),
    ("^ann_index_lowres", "AnnIndex_lowres"),
    ("^index_uv_lowres", "Index_UV_lowres"),
    (r"^([uv])_lowres", lambda m: f"{m[1].upper()}_lowres"),
    (r"\.shortcut", ".branch1"),
    (r"^(res.*)\.conv1", r"\1.branch2a"),
    (r"^(res.*)\.conv2", r"\1.branch2b"),
    (r"^(res.*)\.conv3", r"\1.branch2c"),
    (r"\.norm", "_bn"),
    (r"bn\.weight$", "bn_s"),
    (r"\.weight$", "_w"),
    (r"\.bias$", "_b"),
    (r"\.", "_"),
]


def name_in_caffe2(name: str) -> str:
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def caffe2_blobs(model) -> dict[str, np.ndarray]:
    """A model as Caffe2's Detectron saves one: background is the first class, and has a box and a
    mask, too; batch norm is a scale and an offset; fixed bilinear layers follow the maps.
    """
    blobs = {}
    for name, value in model.state_dict().items():
        if name.endswith(("running_mean", "running_var")) or name.startswith("pixel_"):
            continue
        array = value.numpy().copy()
        if ".cls_score." in name:
            array = np.concatenate([array[-1:], array[:-1]])
        elif ".bbox_pred." in name or ".mask_head.predictor." in name:
            array = np.concatenate([np.full_like(array, 9), array])
        blobs[name_in_caffe2(name)] = array
        blobs[f"{name_in_caffe2(name)}_momentum"] = np.zeros_like(array)
    for layer, channels in (("AnnIndex", 15), ("Index_UV", 25), ("U_estimated", 25)):
        blobs[f"{layer}_w"] = np.ones((channels, channels, 4, 4), np.float32)
        blobs[f"{layer}_b"] = np.zeros(channels, np.float32)
    return blobs


def legacy_model(seed: int):
    torch.manual_seed(seed)
    config = get_config_file("densepose_rcnn_R_50_FPN_s1x_legacy.yaml")
    cfg = load_config(config, list(map(str, SMALL)))
    model = build_model(cfg).eval()
    for name, buffer in model.named_buffers():
        if name.endswith(("norm.weight", "norm.bias")):
            buffer.copy_(torch.rand_like(buffer))
        elif name.endswith("running_var"):
            buffer.fill_(1)  # its eps counts in Caffe2's scale
    return cfg, model


@pytest.fixture(scope="module")
def trained():
    return legacy_model(seed=1)


@pytest.fixture(scope="module")
def blobs(trained):
    return caffe2_blobs(trained[1])


def test_names_are_those_of_the_release(blobs):
    assert {
        *("conv1_w", "res_conv1_bn_s", "res_conv1_bn_b", "res2_0_branch1_w", "res3_1_branch2a_w"),
        *("res4_5_branch2c_bn_s", "fpn_inner_res5_2_sum_w", "fpn_inner_res2_2_sum_lateral_b"),
        *("fpn_res4_5_sum_w", "conv_rpn_fpn2_w", "rpn_bbox_pred_fpn2_b", "fc6_w", "bbox_pred_w"),
        *("_[mask]_fcn1_w", "conv_fcn1_w", "body_conv_fcn1_w", "body_conv_fcn8_b"),
        *("AnnIndex_lowres_w", "Index_UV_lowres_b", "U_lowres_w", "V_lowres_b"),
    } <= set(blobs)


def test_every_parameter_is_loaded(trained, blobs, tmp_path):
    path = tmp_path / "DensePose_ResNet50_FPN_s1x-e2e.pkl"
    path.write_bytes(pickle.dumps({"blobs": blobs, "cfg": "MODEL: {}"}, protocol=2))
    _, expected = trained
    _, model = legacy_model(seed=2)
    DensePoseCheckpointer(model).load(str(path))
    found = model.state_dict()
    for name, value in expected.state_dict().items():
        assert torch.equal(found[name], value), name


def test_the_predictor_finds_the_same_people_with_it(trained, blobs, tmp_path):
    """The model finds the same people as with a checkpoint under Detectron2's names."""
    cfg, model = trained
    old, new = tmp_path / "old.pkl", tmp_path / "new.pth"
    old.write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    torch.save({"model": model.state_dict()}, new)
    picture = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    found, expected = (DensePosePredictor(cfg, path, "cpu")(picture) for path in (old, new))
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one.box, other.box)
        assert torch.equal(one.result.labels, other.result.labels)


def test_without_a_part_it_is_refused(trained, blobs, tmp_path):
    path = tmp_path / "boxes.pkl"
    rest = {name: value for name, value in blobs.items() if "lowres" not in name}
    path.write_bytes(pickle.dumps({"blobs": rest}, protocol=2))
    with pytest.raises(ValueError, match=r"boxes\.pkl lacks 10 parameters .*_lowres"):
        DensePosePredictor(trained[0], path, "cpu")
