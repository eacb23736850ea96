"""The predictor: the results of Detectron2's, for every kind of input."""

import io
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from detectron2.engine import DefaultPredictor
from PIL import Image

from densepose_ext import DensePosePredictor, People, densepose_results, get_config_file
from densepose_ext.files.picture_reader import as_bgr
from densepose_ext.synthetic.example import make_example
from densepose_ext.synthetic.settings import Settings
from projects_tests.tiny_model import CONFIG, tiny_config, tiny_model

HEADS = ("MODEL.MASK_ON", True, "MODEL.KEYPOINT_ON", True)
AVERAGED = ("TEST.AUG.ENABLED", True, "TEST.AUG.MIN_SIZES", (96,))
AVERAGED += ("DATASETS.TEST", ("densepose_synth_val",))  # of the open surface


def noise(height=90, width=120, seed=0, channels=3) -> np.ndarray:
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def predictor(weights):
    return DensePosePredictor(CONFIG, weights, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("shape", [(90, 120), (300, 40), (128, 128), (1, 1)])
def test_equals_default_predictor(weights, order, shape):
    cfg = tiny_config("INPUT.FORMAT", order, "INPUT.MAX_SIZE_TEST", 200)
    cfg.defrost()
    cfg.MODEL.WEIGHTS = weights
    picture = noise(*shape)
    default = DefaultPredictor(cfg)
    default.model.to(memory_format=torch.channels_last)  # as DensePosePredictor's, on a CPU
    expected = default(picture)["instances"]
    results = densepose_results(expected.pred_densepose, expected.pred_boxes.tensor)
    people = DensePosePredictor(cfg)(picture)
    assert len(people) == len(expected) > 0
    for n, person in enumerate(people):
        assert np.array_equal(person.box, expected.pred_boxes.tensor[n].numpy())
        assert person.score == expected.scores[n]
        assert torch.equal(person.result.labels, results[n].labels)
        assert torch.equal(person.result.uv, results[n].uv)


@pytest.mark.slow
def test_test_time_augmentation_by_config(predictor, weights):
    """With flips, a mirror image has the mirrored people, which the model alone would not say."""
    averaging = DensePosePredictor(tiny_config(*AVERAGED), weights, device="cpu")
    picture = noise(96, 128)

    def boxes(predictor, mirrored):
        people = predictor(picture[:, ::-1] if mirrored else picture)
        x0, y0, x1, y1 = np.stack([person.box for person in people]).T
        return np.stack([128 - x1, y0, 128 - x0, y1] if mirrored else [x0, y0, x1, y1], 1)

    assert np.allclose(boxes(averaging, True), boxes(averaging, False), atol=0.05)
    alone = boxes(predictor, True), boxes(predictor, False)
    assert alone[0].shape != alone[1].shape or not np.allclose(*alone, atol=0.05)


@pytest.mark.slow
def test_test_time_augmentation_by_argument(predictor, weights):
    cfg = tiny_config(*AVERAGED)
    by_config = DensePosePredictor(cfg, weights, device="cpu")
    by_argument = DensePosePredictor(
        tiny_config(*AVERAGED[2:]), weights, device="cpu", augment=True
    )
    without = DensePosePredictor(cfg, weights, device="cpu", augment=False)
    picture = noise()
    averaged = [person.box for person in by_config(picture)]
    np.testing.assert_array_equal(averaged, [person.box for person in by_argument(picture)])
    np.testing.assert_array_equal(
        [person.box for person in predictor(picture)], [person.box for person in without(picture)]
    )
    assert by_argument.identity() == by_config.identity() != without.identity()


def test_doubtful_pixels_are_hidden(predictor, weights):
    sure = DensePosePredictor(tiny_config(), weights, device="cpu", min_confidence=0.1)
    every, kept = (
        np.concatenate([person.result.labels.flatten() for person in found(noise())])
        for found in (predictor, sure)
    )
    assert 0 < (kept > 0).sum() < (every > 0).sum()
    assert (kept[kept > 0] == every[kept > 0]).all()
    assert sure.identity() != predictor.identity()


def test_confidences_that_cannot_be_used(weights):
    with pytest.raises(ValueError, match=r"min_confidence = 1\.5, expected 0 to 1"):
        DensePosePredictor(device="cpu", min_confidence=1.5)
    config = get_config_file("densepose_rcnn_EffLite0_FPN_CSE_synth.yaml")
    with pytest.raises(ValueError, match=r"min_confidence = 0\.5, but this model has no parts"):
        DensePosePredictor(config, weights, device="cpu", min_confidence=0.5)


@pytest.mark.slow
def test_test_time_augmentation_takes_any_picture(weights):
    averaging = DensePosePredictor(tiny_config(*AVERAGED), weights, device="cpu")
    pictures = [noise(1, 1), noise(2, 300), noise(70, 40, channels=0)]
    for people, picture in zip(averaging.batch(pictures), pictures):
        assert people.size == picture.shape[:2]


def test_flips_of_a_model_without_a_known_surface(weights):
    cfg = tiny_config(*AVERAGED, "DATASETS.TEST", ())
    with pytest.raises(ValueError, match=r"TEST\.AUG\.FLIP needs the surface"):
        DensePosePredictor(cfg, weights, device="cpu")


def test_people_lie_in_the_picture_by_falling_score(predictor):
    people = predictor(noise(200, 150))
    assert isinstance(people, People)
    assert people.size == (200, 150)
    scores = [person.score for person in people]
    assert scores == sorted(scores, reverse=True)
    for person in people:
        assert (person.box[:2] >= 0).all()
        assert person.box[2] <= 150
        assert person.box[3] <= 200
        x0, y0, x1, y1 = person.box
        assert person.corner == (int(x0), int(y0))
        assert person.result.labels.shape == (max(int(y1 - y0), 1), max(int(x1 - x0), 1))
        assert person.box.dtype == np.float32
        assert person.mask is None
        assert person.keypoints is None


def test_results_may_be_changed_in_place(predictor):
    person = predictor(noise())[0]
    person.result.uv.clamp_(0, 1)
    person.result.labels[0, 0] = 3
    assert person.result.labels[0, 0] == 3


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [(), AVERAGED])
def test_a_person_is_as_large_as_the_box(weights, overrides):
    """A person, pickled, saved or kept, holds neither other people nor the picture."""
    people = DensePosePredictor(tiny_config(*overrides), weights, "cpu")(noise())
    assert len(people) > 1
    for person in people:
        size = person.result.labels.numel() * (1 + 2 * 4)
        stream = io.BytesIO()
        torch.save(person, stream)
        assert size < len(pickle.dumps(person)) < size + 2000
        assert size < stream.tell() < size + 4000
        assert person.box.base is None
    again = pickle.loads(pickle.dumps(list(people)))
    assert torch.equal(again[1].result.uv, people[1].result.uv)


@pytest.mark.slow
def test_masks_and_keypoints(tmp_path):
    path = tmp_path / "tiny.pth"
    torch.save({"model": tiny_model(*HEADS).state_dict()}, path)
    people = DensePosePredictor(tiny_config(*HEADS), path)(noise())
    assert people
    for person in people:
        assert person.mask.base is None
        assert person.keypoints.base is None
        assert person.mask.shape == (90, 120)
        assert person.mask.dtype == bool
        assert person.keypoints.shape == (17, 3)


@pytest.mark.slow
def test_batch_of_one_size_equals_one_by_one(predictor):
    pictures = [noise(seed=seed) for seed in range(3)]
    batch = predictor.batch(pictures)
    for people, picture in zip(batch, pictures):
        alone = predictor(picture)
        assert len(people) == len(alone)
        for a, b in zip(people, alone):
            np.testing.assert_allclose(a.box, b.box, atol=1e-2)
            assert a.score == pytest.approx(b.score, abs=1e-4)
    assert predictor.batch([]) == []


@pytest.mark.slow
def test_calls_at_the_same_time(predictor):
    pictures = [noise(seed=seed) for seed in range(4)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(predictor, pictures))
    for people, picture in zip(together, pictures):
        alone = predictor(picture)
        assert [p.score for p in people] == [p.score for p in alone]
        for a, b in zip(people, alone):
            assert torch.equal(a.result.uv, b.result.uv)


def test_lanes_of_a_cpu(predictor, monkeypatch):
    for threads, lanes in ((1, 1), (2, 2), (3, 2), (64, 2)):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        assert predictor.lanes == lanes
    # A wrapper, as of test-time augmentation, may switch heads of the model off and on.
    monkeypatch.setattr(predictor, "tested", torch.nn.Identity())
    assert predictor.lanes == 1


@pytest.mark.slow
def test_batch_of_several_sizes(predictor):
    sizes = [(60, 90), (90, 60), (33, 200)]
    batch = predictor.batch([noise(*size) for size in sizes])
    assert [people.size for people in batch] == sizes


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (2, 3)])
def test_extreme_shapes(predictor, shape):
    assert predictor(noise(*shape)).size == shape


@pytest.mark.slow
def test_min_score(weights, predictor):
    everybody = predictor(noise())
    limit = (everybody[1].score + everybody[2].score) / 2
    fewer = DensePosePredictor(CONFIG, weights, "cpu", min_score=limit)(noise())
    assert [person.score for person in fewer] == [person.score for person in everybody[:2]]
    assert DensePosePredictor(CONFIG, weights, "cpu", min_score=1)(noise()) == []


@pytest.mark.slow
def test_low_precision_finds_the_same_people():
    image = make_example(Settings(size=240), "val", 1).image[:, :, ::-1]
    exact, low = (
        DensePosePredictor(device="cpu", precision=precision, min_score=0.5)(image)
        for precision in ("fp32", "bf16")
    )
    assert len(exact) == len(low) == 2
    for one, other in zip(exact, low):
        assert 0 < np.abs(one.box - other.box).max() < 6
        assert other.result.uv.dtype == torch.float32
    parts, others = exact.to_iuv()[..., 0], low.to_iuv()[..., 0]
    assert (parts == others)[parts > 0].mean() > 0.9


@pytest.mark.parametrize("channels", [0, 1, 4])
def test_other_channels(predictor, channels):
    picture = noise(channels=channels)
    assert predictor(picture)
    if channels < 2:
        assert np.array_equal(as_bgr(picture)[..., 2], picture.reshape(90, 120))


def test_opacity_and_depth():
    picture = np.zeros((1, 3, 4), np.uint8)
    picture[..., :3] = (10, 20, 30)
    picture[0, :, 3] = (0, 255, 51)
    assert as_bgr(picture).tolist() == [[[255] * 3, [10, 20, 30], [206, 208, 210]]]
    deep = np.arange(0, 65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(as_bgr(deep)[..., 0], np.round(deep / 257).astype(np.uint8))
    bgr = noise()
    assert as_bgr(bgr) is bgr


def test_pillow_images_and_files(predictor, tmp_path):
    rgb = noise()
    image = Image.fromarray(rgb)
    image.save(tmp_path / "a.png")
    expected = [person.score for person in predictor(rgb[..., ::-1])]
    for picture in (image, tmp_path / "a.png", str(tmp_path / "a.png")):
        assert [person.score for person in predictor(picture)] == expected


@pytest.mark.parametrize("pictures", ["a.png", Image.new("RGB", (9, 9)), noise()])
def test_one_picture_is_no_batch(predictor, pictures):
    with pytest.raises(ValueError, match="for one, call the predictor itself"):
        predictor.batch(pictures)


@pytest.mark.slow
def test_configs_by_path_and_name(weights):
    path = get_config_file(CONFIG)
    for name in (path, CONFIG, CONFIG.removesuffix(".yaml")):
        assert DensePosePredictor(name, weights, "cpu").cfg.MODEL.RESNETS.DEPTH == 18


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ("nonsense", FileNotFoundError, "no config 'nonsense'"),
        (CONFIG, ValueError, "names no weights"),
        ("densepose_rcnn_EffLite0_FPN_s1x", ValueError, "weights"),
        ("lazy/densepose_rcnn_R_50_FPN_s1x.py", ValueError, "not a config of a dense pose model"),
        ("exported/model.onnx", ValueError, "ExportedPredictor opens"),
    ],
)
def test_configs_that_cannot_be_used(config, error, message):
    with pytest.raises(error, match=message):
        DensePosePredictor(config, device="cpu")


def test_a_config_of_another_kind(tmp_path, weights):
    path = tmp_path / "box.yaml"
    path.write_text("MODEL:\n  META_ARCHITECTURE: GeneralizedRCNN\n")
    with pytest.raises(ValueError, match="NAME = 'Res5ROIHeads', expected DensePoseROIHeads"):
        DensePosePredictor(path, weights)
    path.write_text("MODEL:\n  NONSENSE: 1\n")
    with pytest.raises(ValueError, match="NONSENSE"):
        DensePosePredictor(path, weights)
    path.write_text("MODEL: [\n")
    with pytest.raises(ValueError, match=r"box\.yaml"):
        DensePosePredictor(path, weights)


@pytest.mark.slow
def test_weights_that_cannot_be_used(tmp_path):
    with pytest.raises(FileNotFoundError, match="/nowhere: no such file of weights"):
        DensePosePredictor(CONFIG, "/nowhere")
    path = tmp_path / "part.pth"
    state = tiny_model().state_dict()
    backbone = {name: v for name, v in state.items() if name.startswith("backbone")}
    torch.save({"model": backbone}, path)
    with pytest.raises(ValueError, match=r"lacks \d+ parameters"):
        DensePosePredictor(CONFIG, path, "cpu")
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ValueError, match=r"part\.pth is a Git LFS pointer"):
        DensePosePredictor(CONFIG, path, "cpu")


def test_weights_of_other_frameworks(tmp_path, predictor, weights):
    state = torch.load(weights, weights_only=True)["model"]
    path = tmp_path / "model.pth"
    torch.save({"state_dict": {f"module.{name}": v for name, v in state.items()}}, path)
    found, expected = DensePosePredictor(CONFIG, path, "cpu")(noise()), predictor(noise())
    assert [person.score for person in found] == [person.score for person in expected]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "nonsense"}, "no device 'nonsense'"),
        ({"precision": "fp8"}, "INFERENCE_PRECISION = 'fp8'"),
        ({"min_score": 2}, "min_score = 2"),
    ],
)
def test_arguments_that_cannot_be_used(weights, arguments, message):
    with pytest.raises(ValueError, match=message):
        DensePosePredictor(CONFIG, weights, **arguments)
