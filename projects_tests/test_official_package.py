"""The official project's package in the same process, imported before or after."""

import subprocess
import sys

import pytest

from projects_tests.reference import ROOT

PACKAGE = {
    "__init__.py": """
        from .data import builtin
        from .modeling import DensePoseROIHeads, build_hrfpn_backbone
        from .config import add_densepose_config
    """,
    "config.py": """
        from detectron2.config import CfgNode as CN

        def add_densepose_config(cfg):
            cfg.MODEL.DENSEPOSE_ON = True
            cfg.MODEL.ROI_DENSEPOSE_HEAD = CN()
            cfg.MODEL.ROI_DENSEPOSE_HEAD.NAME = ""
            cfg.MODEL.ROI_DENSEPOSE_HEAD.NUM_STACKED_CONVS = 8
            cfg.MODEL.ROI_DENSEPOSE_HEAD.THEIRS = 1
    """,
    "modeling.py": """
        from detectron2.modeling import BACKBONE_REGISTRY, ROI_HEADS_REGISTRY, StandardROIHeads

        @ROI_HEADS_REGISTRY.register()
        class DensePoseROIHeads(StandardROIHeads):
            pass

        @BACKBONE_REGISTRY.register()
        def build_hrfpn_backbone(cfg, input_shape):
            return "theirs"
    """,
    "data/__init__.py": "",
    "data/builtin.py": """
        from detectron2.data import DatasetCatalog, MetadataCatalog

        for name, json_file, images in (
            ("densepose_coco_2014_minival", "densepose_minival2014.json", "val2014"),
            ("posetrack2017_val", "densepose_posetrack_val2017.json", "posetrack_data_2017"),
        ):
            DatasetCatalog.register(name, lambda: [{"theirs": True}])
            MetadataCatalog.get(name).set(
                json_file="datasets/coco/" + json_file, image_root="datasets/coco/" + images,
                densepose_smpl_subdiv="https://nowhere/subdiv.mat",
            )
    """,
}

PROGRAM = """
{imports}
import torch
from detectron2.config import get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, ROI_HEADS_REGISTRY, StandardROIHeads, build_model
from densepose_ext.data.build import load_registered

# Each one's own configs build its own model.
cfg = densepose_ext.load_config(
    densepose_ext.get_config_file("quick_schedules/densepose_rcnn_R_18_FPN_instant_test.yaml"),
    ["MODEL.DEVICE", "cpu"],
)
assert type(build_model(cfg).roi_heads) is densepose_ext.DensePoseROIHeads
theirs = get_cfg()
densepose.add_densepose_config(theirs)
theirs.MODEL.ROI_DENSEPOSE_HEAD.NUM_STACKED_CONVS = 3
features = {{name: ShapeSpec(channels=8, stride=4) for name in ("res4",)}}
theirs.MODEL.ROI_HEADS.IN_FEATURES = ["res4"]
theirs.MODEL.ROI_BOX_HEAD.NAME = "FastRCNNConvFCHead"
theirs.MODEL.ROI_BOX_HEAD.NUM_FC = 1
heads = ROI_HEADS_REGISTRY.get("DensePoseROIHeads")(theirs, features)
assert type(heads) is densepose.DensePoseROIHeads
assert BACKBONE_REGISTRY.get("build_hrfpn_backbone")(theirs, None) == "theirs"

# Our keys make it ours, and its values stay.
densepose_ext.add_densepose_config(theirs)
head = theirs.MODEL.ROI_DENSEPOSE_HEAD
assert (head.NUM_STACKED_CONVS, head.THEIRS, head.INFERENCE_PRECISION) == (3, 1, "fp32")
assert theirs.MODEL.ROI_BOX_HEAD.NUM_FC == 1

# Data: its loaders get its dicts; ours read the file that $DETECTRON2_DATASETS leads to.
name = "densepose_coco_2014_minival"
assert DatasetCatalog.get(name) == [{{"theirs": True}}]
metadata = MetadataCatalog.get(name)
assert metadata.densepose_smpl_subdiv and metadata.surface == "smpl"
assert metadata.evaluator_type == "coco"
try:
    load_registered(name)
except FileNotFoundError as error:
    assert "/elsewhere/coco/annotations/densepose_minival2014.json" in str(error), error
else:
    raise AssertionError("read another file")

# Names that nobody shares are refused as ever.
for register in (
    lambda: DatasetCatalog.register("coco_2014_train", list),
    lambda: DatasetCatalog.register(name, list),
    lambda: ROI_HEADS_REGISTRY.register(StandardROIHeads),
):
    try:
        register()
    except AssertionError as error:
        assert "already registered" in str(error)
    else:
        raise RuntimeError("registered twice")
print("done")
"""

ORDERS = [
    "import densepose\nimport densepose_ext",
    "import densepose_ext\nimport densepose",
    "import densepose_ext.plugin\ndensepose_ext.plugin.activate()\nimport densepose",
]


def write(folder, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line[8:] for line in text.splitlines()))


def run(program: str, folder) -> subprocess.CompletedProcess:
    """In a separate process, with fresh registries."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={"PYTHONPATH": f"{folder}:{ROOT}", "DETECTRON2_DATASETS": "/elsewhere", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("imports", ORDERS)
def test_either_order(tmp_path, imports):
    write(tmp_path / "densepose", PACKAGE)
    done = run(PROGRAM.format(imports=imports), tmp_path)
    assert done.stdout == "done\n", done.stderr[-3000:]


@pytest.mark.slow
def test_somebody_elses_heads_of_that_name(tmp_path):
    """They cannot be told apart by their configs: the error says which two modules clash."""
    write(tmp_path, {"mine.py": PACKAGE["modeling.py"]})
    done = run("import mine\nimport densepose_ext", tmp_path)
    expected = "ImportError: mine has registered another build_hrfpn_backbone|DensePoseROIHeads"
    assert any(one in done.stderr for one in expected.split("|")), done.stderr[-2000:]
    assert "import one of the two only" in done.stderr
