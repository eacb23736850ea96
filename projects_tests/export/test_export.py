"""Exported files compute what the model computes, in a process without Detectron2."""

import json
import sys

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from densepose_ext import DensePosePredictor, densepose_results
from densepose_ext.commands.main import main
from densepose_ext.export import DensePoseBranch, PixelDecoder, export_model
from densepose_ext.export.branch import branch_network
from densepose_ext.export.check import check_export
from densepose_ext.export.network import Network, write_onnx, write_torchscript
from densepose_ext.structures import DensePoseOutput
from densepose_ext.visualization.compose import compose_labels
from projects_tests.export.exported import run_afresh, run_example
from projects_tests.reference import ROOT
from projects_tests.tiny_model import CONFIG, tiny_config, tiny_model

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

BOTH = ("torchscript", "onnx")
ENDINGS = (".ts", ".onnx")
HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
PEOPLE = (0, 1, 5)
CASCADE = [
    "MODEL.MASK_ON", True, "MODEL.KEYPOINT_ON", True, "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", (32,),
    "MODEL.DENSEPOSE_CASCADE.STAGES", 2,
    "MODEL.DENSEPOSE_CASCADE.TASKS", ["densepose", "mask", "keypoint"],
]  # fmt: skip
#: The shorter side is the model's input size, so the example resizes nothing.
SIZES = [(128, 200), (131, 128), (128, 128), (301, 128)]


def noise(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(height + width)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def boxes(people: int) -> torch.Tensor:
    corners = torch.rand(people, 2) * 60
    return torch.cat([corners, corners + torch.rand(people, 2) * 40], 1)


def write_weights(path, *overrides):
    weights = tiny_model(*overrides).state_dict()
    for name, value in weights.items():
        if ".talk" in name:  # zero until trained
            value.normal_(std=0.05)
    torch.save({"model": weights}, path)
    return path


def detect(predictor, image):
    with torch.no_grad():
        [people] = predictor.model.inference([{"image": image}], do_postprocess=False)
    return people


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    return write_weights(tmp_path_factory.mktemp("weights") / "tiny.pth")


@pytest.fixture(scope="module")
def predictor(weights):
    """Its lowest score leaves nobody in some of the pictures."""
    everybody = DensePosePredictor(CONFIG, weights, "cpu")
    best = sorted(detect(everybody, noise(*size)).scores.max().item() for size in SIZES)
    return DensePosePredictor(CONFIG, weights, "cpu", min_score=(best[1] + best[2]) / 2)


@pytest.fixture(scope="module")
def folder(predictor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    for what in ("model", "head"):
        export_model(predictor, folder, BOTH, what)
    return folder


@pytest.fixture(scope="module")
def afresh(folder, predictor, tmp_path_factory):
    """{(name, ending): [(inputs, outputs), ...]} of the files, run in a fresh process."""
    torch.manual_seed(1)
    shapes = predictor.model.backbone.output_shape()
    levels = predictor.model.roi_heads.densepose_in_features
    cases = {"model": [{"picture": noise(*size)} for size in SIZES], "head": [], "decoder": []}
    for people in PEOPLE:
        features = {
            name: torch.randn(1, 32, 192 // shapes[name].stride, 96 // shapes[name].stride)
            for name in levels
        }
        cases["head"].append({**features, "boxes": boxes(people)})
        channels = {"coarse_segm": 2, "fine_segm": 25, "u": 25, "v": 25}
        maps = {name: torch.randn(people, n, 112, 112) for name, n in channels.items()}
        cases["decoder"].append({**maps, "boxes": boxes(people)})
    flat = [
        ((name, ending), inputs)
        for name, several in cases.items()
        for ending in ENDINGS
        for inputs in several
    ]
    results = run_afresh(
        [(folder / "".join(key), inputs) for key, inputs in flat],
        tmp_path_factory.mktemp("afresh"),
    )
    grouped = {}
    for (key, inputs), outputs in zip(flat, results):
        grouped.setdefault(key, []).append((inputs, outputs))
    return grouped


def assert_near(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_whole_model(afresh, predictor, ending):
    counts = set()
    for inputs, outputs in afresh["model", ending]:
        people = detect(predictor, inputs["picture"])
        maps = [value for _, value in people.pred_densepose.items()]
        assert_near(outputs, [people.pred_boxes.tensor, people.scores, *maps])
        counts.add(len(people))
    assert 0 in counts
    assert len(counts) > 1


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_branch_alone(afresh, predictor, ending):
    branch = DensePoseBranch(predictor.model.roi_heads)
    for people, (inputs, outputs) in zip(PEOPLE, afresh["head", ending]):
        assert len(outputs[0]) == people
        assert_near(outputs, branch(*inputs.values()))


def test_the_branch_has_no_other_weights(folder, predictor):
    names = torch.jit.load(folder / "head.ts").state_dict()
    own = {n for n in predictor.model.roi_heads.state_dict() if not n.startswith("box_")}
    assert {name.removeprefix("roi_heads.") for name in names} == own
    assert hasattr(predictor.model.roi_heads, "box_head")


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_decoder(afresh, ending):
    for inputs, (labels, uv, sizes) in afresh["decoder", ending]:
        *maps, own_boxes = inputs.values()
        expected = densepose_results(DensePoseOutput(*maps), own_boxes)
        assert sizes.tolist() == [list(result.labels.shape) for result in expected]
        counts = sizes.prod(1).tolist()
        assert sum(counts) == len(labels) == uv.shape[1]
        for result, own_labels, own_uv in zip(expected, labels.split(counts), uv.split(counts, 1)):
            # If two parts are equal up to rounding, either is right.
            same = own_labels.reshape(result.labels.shape) == result.labels
            assert same.float().mean() > 0.998
            difference = (own_uv.reshape(result.uv.shape) - result.uv).abs()
            assert difference[:, same].max() < 1e-3


def test_the_decoder_is_bit_equal_before_export():
    maps = [torch.randn(4, n, 56, 56) for n in (15, 25, 25, 25)]
    own_boxes = torch.cat([boxes(3), torch.tensor([[5.0, 5.0, 5.2, 90.0]])])
    labels, uv, _ = PixelDecoder()(*maps, own_boxes)
    expected = densepose_results(DensePoseOutput(*maps), own_boxes)
    assert torch.equal(labels, torch.cat([result.labels.flatten() for result in expected]))
    torch.testing.assert_close(uv, torch.cat([result.uv.flatten(1) for result in expected], 1))


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--onnx"]])
def test_the_example_draws_what_the_predictor_finds(predictor, folder, tmp_path, flags):
    pictures = [np.ascontiguousarray(noise(*size).permute(1, 2, 0).numpy()) for size in SIZES]
    people, picture = max(((predictor(p), p) for p in pictures), key=lambda found: len(found[0]))
    cv2.imwrite(str(tmp_path / "picture.png"), picture)
    out = tmp_path / "parts.png"
    arguments = [folder, tmp_path / "picture.png", out, "--min-score", 0]
    run_example(ROOT / "examples" / "run_exported.py", *arguments, *flags)
    labels = compose_labels(people, picture.shape[:2])
    painted = (cv2.imread(str(out)) != picture).any(2)
    assert (painted == (labels > 0)).mean() > 0.999
    assert painted.any()


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--onnx"]])
def test_the_example_leaves_a_picture_of_nobody_as_it_is(folder, tmp_path, flags):
    picture = noise(*SIZES[0]).permute(1, 2, 0).numpy()
    cv2.imwrite(str(tmp_path / "picture.png"), picture)
    arguments = [folder, tmp_path / "picture.png", tmp_path / "parts.png", "--min-score", 1]
    run_example(ROOT / "examples" / "run_exported.py", *arguments, *flags)
    assert np.array_equal(cv2.imread(str(tmp_path / "parts.png")), picture)


def test_the_description_names_the_tensors(folder, predictor):
    model = json.loads((folder / "model.json").read_text())
    assert model["picture"] == {"channels": "BGR", "shortest_edge": 128, "longest_edge": 1333}
    assert model["min_score"] == predictor.cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST
    assert model["networks"]["model"] == {
        "inputs": {"picture": {"type": "uint8", "shape": [3, "height", "width"]}},
        "outputs": ["boxes", "scores", "coarse_segm", "fine_segm", "u", "v"],
    }
    head = json.loads((folder / "head.json").read_text())
    assert list(head["networks"]["head"]["inputs"]) == ["p2", "p3", "p4", "p5", "boxes"]
    assert head["networks"]["decoder"] == model["networks"]["decoder"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "overrides"),
    [
        ("head", [HEAD + "NAME", "DensePoseDeepLabHead", HEAD + "DEEPLAB.NONLOCAL_ON", 1]),
        ("head", [
            HEAD + "PREDICTOR_NAME", "DensePoseChartWithConfidencePredictor",
            HEAD + "UV_CONFIDENCE.ENABLED", True, HEAD + "SEGM_CONFIDENCE.ENABLED", True,
            HEAD + "DECODER_ON", False, HEAD + "NUM_COARSE_SEGM_CHANNELS", 15,
            HEAD + "COARSE_PARTS_TOGETHER", True, HEAD + "FINE_FROM_COARSE", True,
            HEAD + "PERSON_THRESHOLD", 0.3,
        ]),
        ("model", ["MODEL.MASK_ON", True, "MODEL.KEYPOINT_ON", True, "INPUT.FORMAT", "RGB"]),
        ("model", [
            "MODEL.BACKBONE.NAME", "build_timm_fpn_backbone",
            "MODEL.TIMM.NAME", "tf_efficientnet_lite0", "MODEL.TIMM.WEIGHTS", "",
        ]),
        ("head", [*CASCADE, "MODEL.DENSEPOSE_CASCADE.CROSS_TALK", ["keypoint>densepose"]]),
        ("model", CASCADE),
    ],
    ids=["DL", "confidences", "multitask", "timm", "head of a cascade", "cascade"],
)  # fmt: skip
def test_other_models(tmp_path, what, overrides):
    weights = write_weights(tmp_path / "tiny.pth", *overrides)
    predictor = DensePosePredictor(tiny_config(*overrides), weights, "cpu")
    differences = export_model(predictor, tmp_path / "out", BOTH, what)
    assert len(differences) == 4
    assert max(differences.values()) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("what", ["model", "head"])
def test_nobody_with_group_norm(tmp_path, what):
    """onnxruntime cannot reshape tensors of no box, as group norm does."""
    head = [HEAD + "NAME", "DensePoseDeepLabHead", HEAD + "DECODER_NUM_CLASSES", 64]
    weights = write_weights(tmp_path / "tiny.pth", *head)
    predictor = DensePosePredictor(tiny_config(*head), weights, "cpu", min_score=1.0)
    written = export_model(predictor, tmp_path, BOTH, what)  # compares on a picture of nobody
    assert len(written) == 4
    if what == "head":
        network, _ = branch_network(predictor.model)
        network.others["boxes"] = network.others["boxes"][:0]
        for ending in ENDINGS:
            check_export(network, tmp_path / f"head{ending}")


def test_the_branch_of_a_cascade_has_what_dense_pose_hears():
    model = tiny_model(*CASCADE, "MODEL.DENSEPOSE_CASCADE.CROSS_TALK", ["keypoint>densepose"])
    names = DensePoseBranch(model.roi_heads).state_dict()
    assert any(name.startswith("roi_heads.keypoint_head") for name in names)
    assert any(name.startswith("roi_heads.cascade.stage2.densepose_head") for name in names)
    assert not any("mask_head" in name or "stage2.keypoint_head" in name for name in names)
    assert any("cascade.stage2.mask_head" in name for name in model.state_dict())


class _Fixed(nn.Module):
    """A trace has the number of the rows it was made with."""

    def forward(self, x):
        return (x + int(x.shape[0]),)


@pytest.mark.parametrize(("write", "ending"), [(write_torchscript, ".ts"), (write_onnx, ".onnx")])
def test_what_tracing_fixes_is_noticed(tmp_path, write, ending):
    network = Network(
        _Fixed().eval(), {"x": torch.zeros(4)}, {"x": torch.zeros(6)}, ["y"], {"x": {0: "n"}}
    )
    path = tmp_path / f"fixed{ending}"
    write(network, path)
    with pytest.raises(ValueError, match=r"fixed.* is not what the model computes: y differs by 2"):
        check_export(network, path)


def test_a_file_that_differs_is_not_kept(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr("densepose_ext.export.check.TOLERANCE", -1.0)
    with pytest.raises(ValueError, match=r"head\.ts is not what the model computes: coarse_segm"):
        export_model(predictor, tmp_path, what="head")
    assert list(tmp_path.iterdir()) == []


class _NoSymbol(nn.Module):
    def forward(self, x):
        return (torch.linalg.svd(x)[0],)


def test_what_onnx_lacks_is_named(tmp_path):
    x = {"x": torch.eye(3)}
    with pytest.raises(ValueError, match=r"no\.onnx cannot be written as ONNX: .*svd"):
        write_onnx(Network(_NoSymbol().eval(), x, x, ["y"], {}), tmp_path / "no.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command(weights, tmp_path, capsys):
    arguments = ["export", "--model", CONFIG, "--weights", str(weights), "--what", "head"]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--format", "torchscript"]) == 0
    assert "head.ts" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"head.ts", "decoder.ts", "head.json"}


def test_what_cannot_be_exported(predictor, weights, tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match="format 'caffe2'; expected some of torchscript, onnx"):
        export_model(predictor, tmp_path, ["onnx", "caffe2"])
    with pytest.raises(ValueError, match="cannot export 'tail'; expected one of model, head"):
        export_model(predictor, tmp_path, what="tail")
    low = DensePosePredictor(CONFIG, weights, "cpu", precision="bf16")
    with pytest.raises(ValueError, match="in bf16; only fp32"):
        export_model(low, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        export_model(predictor, tmp_path / "file")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    # Formats are checked before the model, which here does not exist.
    arguments = ["export", "--model", "nothing", "--out", str(tmp_path / "out"), "--format"]
    for formats, message in (
        ("onnx", "pip install 'densepose_ext[export]'"),
        ("caffe2", "format 'caffe2'; expected some of torchscript, onnx"),
    ):
        assert main([*arguments, formats]) == 2
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
