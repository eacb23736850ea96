"""Configuration: official files load, shipped files are sound, unsupported values are named."""

import json
import re
from pathlib import Path

import pytest
import yaml
from detectron2.config import CfgNode, LazyConfig, get_cfg
from detectron2.modeling import ROI_HEADS_REGISTRY, StandardROIHeads

import densepose_ext
from densepose_ext.config import (
    add_densepose_config,
    check_config,
    is_densepose_config,
    load_config,
)
from densepose_ext.config.loading import own_keys
from densepose_ext.files.configs import get_config_file, list_configs
from densepose_ext.modeling import DensePoseROIHeads
from projects_tests.reference import ROOT, conformance_cases

YAMLS = [name for name in list_configs() if name.endswith(".yaml")]
MODELS = [name for name in YAMLS if "Base" not in name]


def defaults() -> CfgNode:
    cfg = get_cfg()
    add_densepose_config(cfg)
    return cfg


def official_config(tmp_path, text: str) -> CfgNode:
    """A config of the official kind: YAML over the defaults."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    cfg = defaults()
    cfg.merge_from_file(str(path))
    return cfg


def test_defaults_are_those_of_the_official_project():
    cfg = defaults()
    head = cfg.MODEL.ROI_DENSEPOSE_HEAD
    expected = {
        "NAME": "",
        "NUM_STACKED_CONVS": 8,
        "NUM_PATCHES": 24,
        "DECONV_KERNEL": 4,
        "CONV_HEAD_DIM": 512,
        "CONV_HEAD_KERNEL": 3,
        "UP_SCALE": 2,
        "HEATMAP_SIZE": 112,
        "POOLER_TYPE": "ROIAlignV2",
        "POOLER_RESOLUTION": 28,
        "POOLER_SAMPLING_RATIO": 2,
        "NUM_COARSE_SEGM_CHANNELS": 2,
        "FG_IOU_THRESHOLD": 0.7,
        "INDEX_WEIGHTS": 5,
        "PART_WEIGHTS": 1,
        "POINT_REGRESSION_WEIGHTS": 0.01,
        "COARSE_SEGM_TRAINED_BY_MASKS": False,
        "DECODER_ON": True,
        "DECODER_NUM_CLASSES": 256,
        "DECODER_CONV_DIMS": 256,
        "DECODER_NORM": "",
        "DECODER_COMMON_STRIDE": 4,
        "DEEPLAB": {"NORM": "GN", "NONLOCAL_ON": 0},
        "PREDICTOR_NAME": "DensePoseChartWithConfidencePredictor",
        "LOSS_NAME": "DensePoseChartWithConfidenceLoss",
        "UV_CONFIDENCE": {"ENABLED": False, "EPSILON": 0.01, "TYPE": "iid_iso"},
        "SEGM_CONFIDENCE": {"ENABLED": False, "EPSILON": 0.01},
    }
    assert {key: head[key] for key in expected} == expected
    assert cfg.MODEL.DENSEPOSE_ON is True
    assert cfg.INPUT.ROTATION_ANGLES == [0]
    assert cfg.TEST.AUG.ROTATION_ANGLES == ()
    assert cfg.DENSEPOSE_EVALUATION.MIN_IOU_THRESHOLD == 0.5
    check_config(cfg)


def test_detectron2_keeps_its_defaults():
    before, cfg = get_cfg(), defaults()

    def differences(old: CfgNode, new: CfgNode):
        for key, value in old.items():
            if isinstance(value, CfgNode):
                yield from differences(value, new[key])
            elif new[key] != value:
                yield key

    assert not list(differences(before, cfg))


def test_adding_twice_changes_nothing():
    cfg = defaults()
    cfg.MODEL.ROI_DENSEPOSE_HEAD.UP_SCALE = 3
    before = cfg.dump()
    add_densepose_config(cfg)
    assert cfg.dump() == before


@pytest.mark.parametrize("name", YAMLS)
def test_shipped_yaml_files_load(name):
    cfg = load_config(get_config_file(name))
    assert is_densepose_config(cfg)
    # A value that a later merge would refuse, or lose, shows when the dump is read again.
    again = defaults()
    again.merge_from_other_cfg(CfgNode.load_cfg(cfg.dump()))
    assert json.dumps(again, sort_keys=True) == json.dumps(cfg, sort_keys=True)


@pytest.mark.parametrize("name", MODELS)
def test_shipped_schedules_are_sound(name):
    cfg = load_config(get_config_file(name))
    assert cfg.MODEL.DENSEPOSE_ON
    steps = list(cfg.SOLVER.STEPS)
    assert steps == sorted(steps)
    assert all(step < cfg.SOLVER.MAX_ITER for step in steps)
    if name.startswith(("cse/", "evolution/")):
        return
    assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 1
    if "_synth" in name:
        assert all(name.startswith("densepose_synth_") for name in cfg.DATASETS.TRAIN)
        kind = "_cse" if "_CSE" in name else ""
        assert list(cfg.DATASETS.TEST) == ["densepose_synth_val" + kind]
    elif not name.startswith("quick"):
        assert cfg.DATASETS.TRAIN == (
            "densepose_coco_2014_train",
            "densepose_coco_2014_valminusminival",
        )
        assert cfg.DATASETS.TEST == ("densepose_coco_2014_minival",)


def test_the_home_folder_is_expanded_in_output_dir(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    cfg = load_config(get_config_file(MODELS[0]), ["OUTPUT_DIR", "~/out"])
    assert cfg.OUTPUT_DIR == "/home/somebody/out"


def test_official_names_are_all_there():
    kinds = ["s1x", "s1x_legacy", "DL_s1x", *(f"WC{k}_s1x" for k in ("1", "2", "1M", "2M"))]
    kinds += [f"DL_WC{k}_s1x" for k in ("1", "2", "1M", "2M")]
    expected = {f"densepose_rcnn_R_{depth}_FPN_{k}.yaml" for depth in (50, 101) for k in kinds}
    expected |= {f"HRNet/densepose_rcnn_HRFPN_HRNet_w{w}_s1x.yaml" for w in (32, 40, 48)}
    expected |= {
        f"cse/densepose_rcnn_R_{depth}_FPN{k}_s1x.yaml"
        for depth in (50, 101)
        for k in ("", "_soft", "_DL", "_DL_soft")
    }
    finetuned = ["chimps_finetune_4k", "animals_CA_finetune_4k"]
    finetuned += [f"animals_finetune_{k}" for k in ("4k", "16k")]
    finetuned += [f"animals_I0_finetune_{k}16k" for k in ("", "m2m_", "i2m_")]
    expected |= {f"cse/densepose_rcnn_R_50_FPN_soft_{k}.yaml" for k in finetuned}
    student = "evolution/densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA"
    students = ("", "_B_uniform", "_B_uv", "_B_finesegm", "_B_coarsesegm")
    expected |= {f"{student}{k}.yaml" for k in students}
    assert expected | {"Base-DensePose-RCNN-FPN.yaml"} <= set(YAMLS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("101", "MODEL.RESNETS.DEPTH", 101),
        ("50", "MODEL.RESNETS.DEPTH", 50),
        ("_DL_", "MODEL.ROI_DENSEPOSE_HEAD.NAME", "DensePoseDeepLabHead"),
        ("WC1_", "MODEL.ROI_DENSEPOSE_HEAD.UV_CONFIDENCE.TYPE", "iid_iso"),
        ("WC2M", "MODEL.ROI_DENSEPOSE_HEAD.UV_CONFIDENCE.TYPE", "indep_aniso"),
        ("WC2M", "MODEL.ROI_DENSEPOSE_HEAD.SEGM_CONFIDENCE.ENABLED", True),
        ("WC1_", "MODEL.ROI_DENSEPOSE_HEAD.SEGM_CONFIDENCE.ENABLED", False),
        ("WC", "MODEL.ROI_DENSEPOSE_HEAD.UV_CONFIDENCE.ENABLED", True),
        ("WC", "MODEL.ROI_DENSEPOSE_HEAD.POINT_REGRESSION_WEIGHTS", 0.0005),
        ("WC", "SOLVER.CLIP_GRADIENTS.ENABLED", True),
        ("s1x_legacy", "MODEL.ROI_DENSEPOSE_HEAD.DECODER_ON", False),
        ("s1x_legacy", "MODEL.ROI_DENSEPOSE_HEAD.NUM_COARSE_SEGM_CHANNELS", 15),
        ("s1x_legacy", "MODEL.ROI_DENSEPOSE_HEAD.HEATMAP_SIZE", 56),
        ("s1x_legacy", "SOLVER.BASE_LR", 0.002),
        ("multitask", "MODEL.MASK_ON", True),
        ("multitask", "MODEL.KEYPOINT_ON", True),
        ("_s1x.", "SOLVER.MAX_ITER", 130000),
        ("_s1x.", "SOLVER.STEPS", (100000, 120000)),
    ],
)
def test_names_say_what_is_in_them(part, key, value):
    names = [n for n in MODELS if part in n and not n.startswith("quick") and "EffLite" not in n]
    assert names
    for name in names:
        found = load_config(get_config_file(name))
        for step in key.split("."):
            found = found[step]
        assert found == value, name


@pytest.mark.parametrize("name", [n for n in list_configs() if n.endswith(".py")])
def test_python_configs_load(name):
    cfg = LazyConfig.load(get_config_file(name))
    assert {"model", "dataloader", "optimizer", "lr_multiplier", "train"} <= set(cfg)


@pytest.mark.parametrize(
    "case",
    [case for kind in ("model", "cse/model", "cse/losses") for case in conformance_cases(kind)],
)
def test_official_dumps_load_and_keep_every_value(case):
    path = case / "config.yaml"
    cfg = load_config(str(path))

    def compare(stored: dict, loaded: CfgNode, where: str) -> None:
        for key, value in stored.items():
            if isinstance(value, dict):
                compare(value, loaded[key], f"{where}{key}.")
            else:
                found = loaded[key]
                found = list(found) if isinstance(found, tuple) else found
                value = CfgNode._decode_cfg_value(value)
                value = list(value) if isinstance(value, tuple) else value
                assert found == value, where + key

    compare(yaml.unsafe_load(path.read_text()), cfg, "")


BOOTSTRAPPED = {"DATASET": "chimpnsee", "DATA_SAMPLER": {"TYPE": "densepose_uniform"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATASET": ""}, r"\.DATASET = '', expected a dataset or a folder"),
        ({"RATIO": 0}, r"\.RATIO = 0, expected a number above 0"),
        ({"RATIO": -0.5}, r"\.RATIO = -0\.5, expected a number above 0"),
        ({"RATIO": float("nan")}, r"\.RATIO = nan, expected a number above 0"),
        (
            {"DATA_SAMPLER": {"TYPE": "densepose_best"}},
            r"\.DATA_SAMPLER\.TYPE = 'densepose_best', expected one of 'densepose_uniform', ",
        ),
        (
            {"DATA_SAMPLER": {"TYPE": "densepose_UV_confidence"}},
            r"\.DATA_SAMPLER\.TYPE = 'densepose_UV_confidence', expected MODEL\.ROI_DENSEPOSE_"
            r"HEAD\.UV_CONFIDENCE\.ENABLED True",
        ),
        (
            {"DATA_SAMPLER": {"TYPE": "densepose_uniform", "COUNT_PER_CLASS": 0}},
            r"\.DATA_SAMPLER\.COUNT_PER_CLASS = 0, expected a whole number from 1 on",
        ),
        ({"FILTER": {"MIN_VALUE": 80}}, r"\.FILTER\.MIN_VALUE = 80, expected from 0 to 1"),
        ({"FILTER": {"TYPE": "size"}}, r"\.FILTER\.TYPE = 'size', expected one of 'detection_sc"),
        ({"SHARE": 0.5}, r"\.SHARE: no such key, expected one of DATASET, RATIO, "),
        ({"FILTER": 0.8}, r"\.FILTER = 0\.8, expected TYPE, MIN_VALUE"),
        (
            {"IMAGE_LOADER": {"SELECT": {"STRATEGY": "last_k"}}},
            r"\.IMAGE_LOADER\.SELECT\.STRATEGY = 'last_k', expected one of 'random_k', ",
        ),
    ],
)
def test_entries_of_bootstrapping_name_what_is_wrong(changes, message):
    cfg = defaults()
    cfg.BOOTSTRAP_MODEL.WEIGHTS = "teacher.pth"
    cfg.BOOTSTRAP_DATASETS = [BOOTSTRAPPED]
    check_config(cfg)
    cfg.BOOTSTRAP_DATASETS = [BOOTSTRAPPED, {**BOOTSTRAPPED, **changes}]
    with pytest.raises(ValueError, match=rf"^BOOTSTRAP_DATASETS\[1\]{message}"):
        check_config(cfg)


def test_bootstrapping_needs_a_list_and_a_model():
    cfg = defaults()
    cfg.BOOTSTRAP_DATASETS = [BOOTSTRAPPED]
    with pytest.raises(ValueError, match=r"^BOOTSTRAP_MODEL\.WEIGHTS = '', expected a checkpoint"):
        check_config(cfg)
    for wrong, message in (
        ("chimpnsee", "= 'chimpnsee', expected a l"),
        (["chimpnsee"], r"\[0\]"),
    ):
        cfg.BOOTSTRAP_DATASETS = wrong
        with pytest.raises(ValueError, match=rf"^BOOTSTRAP_DATASETS ?{message}"):
            check_config(cfg)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("DENSEPOSE_EVALUATION.TYPE", "gpsm", "'iou'"),
        ("MODEL.ROI_DENSEPOSE_HEAD.NUM_PATCHES", 23, "24"),
        ("MODEL.ROI_DENSEPOSE_HEAD.NUM_COARSE_SEGM_CHANNELS", 14, "2 or 15"),
        ("MODEL.ROI_DENSEPOSE_HEAD.HEATMAP_SIZE", 56, "112"),
        ("MODEL.ROI_DENSEPOSE_HEAD.UV_CONFIDENCE.TYPE", "iso", "'iid_iso' or 'indep_aniso'"),
        ("MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION", "int8", "'fp32' or 'bf16' or 'fp16'"),
    ],
)
def test_contradictory_values_are_named(key, value, expected):
    cfg = defaults()
    cfg.merge_from_list([key, value])
    with pytest.raises(ValueError, match=rf"^{key} = {value!r}, expected {expected} with"):
        check_config(cfg)


def test_sgd_with_a_backbone_factor_is_refused():
    cfg = defaults()
    cfg.SOLVER.BACKBONE_LR_FACTOR = 0.5
    with pytest.raises(ValueError, match=r"BACKBONE_LR_FACTOR = 0\.5, expected 1\.0 with .* SGD"):
        check_config(cfg)


@pytest.mark.parametrize("dilations", [[], [2, 0, 4], [1.5]])
def test_dilations_that_are_no_whole_numbers_are_refused(dilations):
    cfg = defaults()
    cfg.MODEL.ROI_DENSEPOSE_HEAD.ASPP_DILATIONS = dilations
    with pytest.raises(ValueError, match=r"ROI_DENSEPOSE_HEAD\.ASPP_DILATIONS = \[.*whole numbers"):
        check_config(cfg)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("INPUT.COLOR_JITTER", -0.1, "0 to 1"),
        ("INPUT.COLOR_JITTER", 1.5, "0 to 1"),  # would invert colours
        ("SOLVER.BETA2", -0.1, "less than 1"),
        ("SOLVER.BETA2", 1.0, "less than 1"),
        ("SOLVER.EMA_DECAY", 1.0, "less than 1"),
        ("MODEL.ROI_DENSEPOSE_HEAD.UV_CONFIDENCE.EPSILON", 0.0, "above 0"),
        ("MODEL.ROI_DENSEPOSE_HEAD.SEGM_CONFIDENCE.EPSILON", -0.01, "above 0"),
        ("MODEL.ROI_DENSEPOSE_HEAD.FG_IOU_THRESHOLD", 70.0, "0 to 1"),
        ("MODEL.ROI_DENSEPOSE_HEAD.PART_WEIGHTS", float("inf"), "0 or more"),
        ("MODEL.ROI_DENSEPOSE_HEAD.CSE.EMBED_LOSS_WEIGHT", float("nan"), "0 or more"),
    ],
)
def test_a_number_out_of_range_is_refused(key, value, expected):
    cfg = defaults()
    cfg.merge_from_list([key, value])
    with pytest.raises(ValueError, match=rf"{re.escape(key)} = {value}, expected .*{expected}"):
        check_config(cfg)


def test_instance_masks_with_15_channels_are_refused():
    cfg = defaults()
    head = cfg.MODEL.ROI_DENSEPOSE_HEAD
    head.COARSE_SEGM_TRAINED_BY_MASKS = True
    check_config(cfg)
    head.NUM_COARSE_SEGM_CHANNELS = 15
    with pytest.raises(ValueError, match="NUM_COARSE_SEGM_CHANNELS = 15, expected 2 with"):
        check_config(cfg)


def test_keys_that_accept_new_ones(tmp_path):
    cfg = official_config(
        tmp_path,
        "DATASETS:\n"
        "  CATEGORY_MAPS: {my_train: {'1202': 943}}\n"
        "  WHITELISTED_CATEGORIES: {my_train: [943, 1202]}\n",
    )
    assert cfg.DATASETS.CATEGORY_MAPS.my_train == {"1202": 943}
    assert cfg.DATASETS.WHITELISTED_CATEGORIES.my_train == [943, 1202]
    check_config(cfg)


def test_own_keys_turn_another_config_into_the_same_kind_of_model():
    path = get_config_file("densepose_rcnn_EffLite0_FPN_CSE_synth.yaml")
    base = get_config_file("densepose_rcnn_EffLite0_FPN_synth.yaml")
    assert load_config(base, own_keys(path)).dump() == load_config(path).dump()


def test_unknown_keys_are_refused(tmp_path):
    with pytest.raises(KeyError, match=r"ROI_DENSEPOSE_HEAD\.NUM_PATCHS"):
        official_config(tmp_path, "MODEL: {ROI_DENSEPOSE_HEAD: {NUM_PATCHS: 24}}")


def test_what_was_mistyped_is_named():
    path = get_config_file("densepose_rcnn_R_50_FPN_s1x.yaml")
    for words, message in (
        (["SOLVER.MAX_ITR", 5], r"s1x\.yaml: .*SOLVER\.MAX_ITR"),
        (["SOLVER.MAX_ITER"], r"s1x\.yaml: .*odd"),
        (["SOLVER.MAX_ITER", "many"], "SOLVER.MAX_ITER"),
    ):
        with pytest.raises(ValueError, match=message):
            load_config(path, words)


def test_unknown_config_names_list_the_known_ones():
    with pytest.raises(FileNotFoundError, match=r"no config 'R_50.yaml'.*densepose_rcnn_R_50_FPN"):
        get_config_file("R_50.yaml")
    with pytest.raises(FileNotFoundError):
        get_config_file("")


def test_configs_of_a_checkout_are_found_by_name():
    assert Path(get_config_file("Base-DensePose-RCNN-FPN.yaml")).parent == ROOT / "configs"
    assert all(Path(get_config_file(name)).is_file() for name in list_configs())
    assert not any("common" in name for name in list_configs())
    assert densepose_ext.get_config_file is get_config_file


def test_dense_pose_configs_are_told_by_their_roi_heads():
    assert not is_densepose_config(get_cfg())
    assert not is_densepose_config(CfgNode({"MODEL": {"META_ARCHITECTURE": "RetinaNet"}}))
    assert not is_densepose_config(CfgNode())
    assert is_densepose_config(CfgNode({"MODEL": {"ROI_HEADS": {"NAME": "DensePoseROIHeads"}}}))


def test_roi_heads_derived_from_ours_are_of_dense_pose(monkeypatch):
    cfg = CfgNode({"MODEL": {"ROI_HEADS": {"NAME": "OwnHeads"}}})
    own = type("OwnHeads", (DensePoseROIHeads,), {})
    monkeypatch.setitem(ROI_HEADS_REGISTRY._obj_map, "OwnHeads", own)
    assert is_densepose_config(cfg)
    other = type("DensePoseROIHeads", (StandardROIHeads,), {"__module__": "another_package.heads"})
    monkeypatch.setitem(ROI_HEADS_REGISTRY._obj_map, "OwnHeads", type("OwnHeads", (other,), {}))
    assert not is_densepose_config(cfg)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n", b"MODEL: [", b"\xff\xfe"])
def test_a_file_that_is_not_yaml_is_named(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png is not a config of a dense pose model: "):
        load_config(str(path))
