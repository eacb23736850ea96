"""HRNet: timm's names and shapes, pictures of any size, invalid settings."""

import pytest
import torch

timm = pytest.importorskip("timm")

from detectron2.layers import ShapeSpec  # noqa: E402

from densepose_ext import get_config_file, load_config  # noqa: E402
from densepose_ext.modeling import build_hrfpn_backbone  # noqa: E402

TINY = [
    "MODEL.HRNET.STAGE2.NUM_BLOCKS", [1, 1],
    "MODEL.HRNET.STAGE2.NUM_CHANNELS", [4, 8],
    "MODEL.HRNET.STAGE3.NUM_MODULES", 1,
    "MODEL.HRNET.STAGE3.NUM_BLOCKS", [1, 1, 1],
    "MODEL.HRNET.STAGE3.NUM_CHANNELS", [4, 8, 8],
    "MODEL.HRNET.STAGE4.NUM_MODULES", 1,
    "MODEL.HRNET.STAGE4.NUM_BLOCKS", [1, 1, 1, 1],
    "MODEL.HRNET.STAGE4.NUM_CHANNELS", [4, 8, 8, 16],
    "MODEL.HRNET.HRFPN.OUT_CHANNELS", 8,
]  # fmt: skip


def backbone(*overrides, width: int = 32):
    name = get_config_file(f"HRNet/densepose_rcnn_HRFPN_HRNet_w{width}_s1x.yaml")
    return build_hrfpn_backbone(load_config(name, overrides), ShapeSpec(channels=3))


@pytest.fixture(scope="module")
def tiny():
    return backbone(*TINY).eval()


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("width", [32, 40, 48])
def test_the_trunk_takes_weights_of_timm(width):
    with torch.device("meta"):
        trunk = backbone(width=width).bottom_up.state_dict()
        timms = timm.create_model(f"hrnet_w{width}").state_dict()
    assert set(trunk) <= set(timms)
    assert all(trunk[name].shape == timms[name].shape for name in trunk)
    rest = {name.split(".")[0] for name in set(timms) - set(trunk)}
    assert rest == {"incre_modules", "downsamp_modules", "final_layer", "classifier"}


def test_the_trunk_computes_what_timm_does():
    """On sides that are multiples of 32, which are all that timm takes."""
    from timm.models.hrnet import HighResolutionNetFeatures

    ours = backbone(*TINY).bottom_up.eval()
    stages = {
        f"stage{n + 2}": {
            "num_modules": 1,
            "num_branches": n + 2,
            "block_type": "BASIC",
            "num_blocks": (1,) * (n + 2),
            "num_channels": (4, 8, 8, 16)[: n + 2],
            "fuse_method": "SUM",
        }
        for n in range(3)
    }
    first = {"block_type": "BOTTLENECK", "num_blocks": (4,), "num_channels": (64,)}
    theirs = HighResolutionNetFeatures(
        {"stem_width": 64, "stage1": first, **stages}, feature_location="", out_indices=(1, 2, 3, 4)
    ).eval()
    theirs.load_state_dict(ours.state_dict())
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for one, other in zip(ours(image), theirs(image), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(128, 192), (101, 167), (20, 300), (1, 1)])
def test_levels_are_halves_of_each_other(tiny, size):
    with torch.no_grad():
        levels = tiny(torch.zeros(1, 3, *size))
    assert list(levels) == list(tiny.output_shape()) == ["p1", "p2", "p3", "p4", "p5"]
    height, width = levels["p5"].shape[2:]
    assert height >= 1
    assert width >= 1
    for name, shape in tiny.output_shape().items():
        factor = 64 // shape.stride
        assert levels[name].shape == (1, shape.channels, height * factor, width * factor)


def test_everything_is_trained_batch_norms_too():
    model = backbone(*TINY).train()
    sum(level.sum() for level in model(torch.rand(2, 3, 90, 96)).values()).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.bottom_up.bn1.running_mean.abs().max() > 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["STEM_INPLANES", 32], r"STEM_INPLANES = 32, expected 64"),
        (["STAGE3.BLOCK", "WIDE"], r"STAGE3\.BLOCK = 'WIDE', expected 'BASIC' or 'BOTTLENECK'"),
        (["STAGE2.FUSE_METHOD", "CAT"], r"STAGE2\.FUSE_METHOD = 'CAT', expected 'SUM'"),
        (["STAGE4.NUM_BRANCHES", 3], r"STAGE4\.NUM_BRANCHES = 3, expected 4"),
        (["STAGE4.NUM_CHANNELS", [4, 8]], r"STAGE4\.NUM_CHANNELS = \[4, 8\], expected 4 whole"),
        (["STAGE3.NUM_MODULES", 0], r"STAGE3\.NUM_MODULES = 0, expected 1 or more"),
    ],
)
def test_settings_that_no_hrnet_has_are_refused(overrides, message):
    with pytest.raises(ValueError, match=rf"^MODEL\.HRNET\.{message}"):
        backbone(f"MODEL.HRNET.{overrides[0]}", overrides[1])
