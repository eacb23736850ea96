"""The teacher sees single people, writes targets inside their masks, and students train on them."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Boxes, Instances
from detectron2.utils.events import EventStorage

from densepose_ext import DensePoseDatasetMapper, get_config_file, load_config
from densepose_ext.commands.main import main
from densepose_ext.data import load_densepose_coco
from densepose_ext.surface.dense_target import check_dense_target
from densepose_ext.synthetic.dataset import generate
from densepose_ext.synthetic.settings import Settings
from densepose_ext.teacher.write import write_annotations, write_targets
from projects_tests.reference import ROOT
from projects_tests.tiny_model import CONFIG

# Each builds a teacher, and most of them train it.
pytestmark = pytest.mark.slow

SMALL = [
    "MODEL.DEVICE", "cpu", "MODEL.META_ARCHITECTURE", "DensePoseTeacher", "MODEL.MASK_ON", "True",
    "MODEL.DENSEPOSE_TEACHER.CROP_SIZE", "64", "MODEL.ROI_HEADS.IN_FEATURES", "['p3','p4','p5']",
    "MODEL.FPN.IN_FEATURES", "['res3','res4','res5']",
    "MODEL.ROI_DENSEPOSE_HEAD.DECODER_COMMON_STRIDE", "8", "INPUT.MIN_SIZE_TRAIN", "(0,)",
    "SEED", "1", "SOLVER.MAX_ITER", "2", "SOLVER.CHECKPOINT_PERIOD", "1",
]  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A folder of three synthetic pictures."""
    folder = tmp_path_factory.mktemp("people")
    generate(folder, Settings(size=128, people=2), {"train": 3})
    return folder


def records(folder, json_file=None):
    json_file = json_file or folder / "densepose_train.json"
    return load_densepose_coco(str(json_file), str(folder / "train"), surface="open")


@pytest.fixture(scope="module")
def teacher():
    torch.manual_seed(0)
    cfg = load_config(get_config_file(CONFIG), SMALL)
    return build_model(cfg)


def command(people, out, *opts):
    return [
        "teach", "--annotations", str(people / "densepose_train.json"), "--images",
        str(people / "train"), "--surface", "open", "--out", str(out),
        "--config", get_config_file(CONFIG), *SMALL, *opts,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def taught(people, tmp_path_factory):
    """What the command makes."""
    out = tmp_path_factory.mktemp("taught")
    assert main(command(people, out)) == 0
    return out


def test_targets_are_inside_the_masks(people, taught):
    targets = records(people, taught / "annotations.json")
    plain = records(people)
    count = 0
    for image, before in zip(targets, plain):
        mapper = DensePoseDatasetMapper(
            True, augmentations=[], image_format="BGR", use_instance_mask=True,
            instance_mask_format="bitmask",
        )  # fmt: skip
        masks = mapper(before)["instances"].gt_masks.tensor.numpy()
        for person, mask in zip(image["annotations"], masks):
            check_dense_target(person)
            x, y, w, h = map(int, person["bbox"])
            part = cv2.imread(person["dp_iuv"])[:, :, 2]
            np.testing.assert_array_equal(part > 0, mask[y : y + h, x : x + w])
            assert part.max() <= 24
            count += 1
    assert count > 2
    assert (taught / "teacher" / "model_final.pth").is_file()


def test_students_train_on_what_it_wrote(people, taught):
    (record, *_) = records(people, taught / "annotations.json")
    mapper = DensePoseDatasetMapper(
        True, augmentations=[], image_format="BGR", supervision="dense", dense_points=50
    )
    found = mapper(record)["instances"].gt_densepose
    assert [len(one.x) for one in found] == [50] * len(record["annotations"])


def test_the_command_resumes_where_it_stopped(people, taught, tmp_path, capsys):
    """Neither trains again nor overwrites targets."""
    (first, second, *_) = sorted((taught / "dense").iterdir())
    before = {path.name: path.read_bytes() for path in (taught / "dense").iterdir()}
    first.unlink()
    other = cv2.imread(str(second)) * 0
    cv2.imwrite(str(second), other)
    assert main(command(people, taught)) == 0
    assert first.read_bytes() == before[first.name]
    assert not cv2.imread(str(second)).any()
    second.write_bytes(before[second.name])


def test_two_processes_share_the_work(people, taught, tmp_path):
    """Started as a command: each of its processes registers what the other has registered."""
    arguments = command(people, tmp_path)
    config = arguments.index("--config")
    done = subprocess.run(
        [
            sys.executable, "-W", "ignore", "-m", "densepose_ext", *arguments[:config],
            "--processes", "2", *arguments[config:], "SOLVER.MAX_ITER", "1",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    names = {path.name for path in (taught / "dense").iterdir()}
    assert {path.name for path in (tmp_path / "dense").iterdir()} == names


def test_pixels_outside_of_the_mask_make_no_difference(teacher):
    """Pixels outside of the mask make no difference, nor does the place of the person."""
    rng = np.random.default_rng(0)
    mask = np.zeros((120, 160), bool)
    mask[20:80, 30:70] = True
    mask[20:40, 30:45] = False
    picture = rng.integers(0, 256, (3, 120, 160), dtype=np.uint8)
    other, another = (
        np.where(kept, picture, 255 - picture).astype(np.uint8) for kept in (mask, ~mask)
    )

    def maps(picture, mask, box):
        people = Instances((120, 160))
        people.gt_boxes = Boxes(torch.tensor([box]))
        people.gt_masks = BitMasks(torch.from_numpy(mask[None]))
        with torch.no_grad():
            image = torch.from_numpy(np.ascontiguousarray(picture))
            (found,) = teacher.eval()([{"image": image, "instances": people}])
        assert found.pred_densepose.u.shape[-1] == 32  # half of the crop
        return found.pred_densepose

    one = maps(picture, mask, [30.0, 20, 70, 80])
    beside, around = maps(other, mask, [30.0, 20, 70, 80]), np.roll(other, 50, axis=2)
    changed = maps(another, mask, [30.0, 20, 70, 80])
    # RoIAlign mixes neighbours at the border of the mask, nothing further away.
    assert (one.u - beside.u).abs().mean() < 0.3 * (one.u - changed.u).abs().mean()
    moved = maps(around, np.roll(mask, 50, axis=1), [80.0, 20, 120, 80])
    torch.testing.assert_close(moved.u, beside.u, rtol=1e-3, atol=1e-3)


def test_training_reaches_every_parameter_and_takes_people_who_have_nothing(people, teacher):
    mapper = DensePoseDatasetMapper(
        True, augmentations=[], image_format="BGR", use_instance_mask=True
    )
    (record, *_) = records(people)
    for keys in ((), ("dp_",)):
        for person in record["annotations"]:
            for key in [key for key in person if key.startswith(keys or "?")]:
                del person[key]
        teacher.zero_grad(set_to_none=True)
        with EventStorage():
            losses = teacher.train()([mapper(record)])
        sum(losses.values()).backward()
        missing = [n for n, p in teacher.named_parameters() if p.requires_grad and p.grad is None]
        assert missing == []
        assert (losses["loss_densepose_I"] > 0) == (not keys)


def test_a_target_has_the_size_of_a_box_that_leaves_the_picture(people, teacher, tmp_path):
    (record, *_) = records(people)
    person = record["annotations"][0]
    x, y, w, h = person["bbox"]
    person["bbox"] = [-3.5, y, x + w + 3.5, h]
    write_targets(teacher.eval(), [{**record, "annotations": [person]}], "BGR", tmp_path)
    assert cv2.imread(str(tmp_path / "dense" / f"{person['id']}.png")).shape[:2] == (
        int(h), int(x + w + 3.5),
    )  # fmt: skip


def test_people_without_a_target_have_none(people, tmp_path):
    source = people / "densepose_train.json"
    contents = json.loads(source.read_text())
    contents["annotations"][0]["dp_iuv"] = "another.png"
    (tmp_path / "in.json").write_text(json.dumps(contents))
    result = json.loads(write_annotations(str(tmp_path / "in.json"), tmp_path, "open").read_text())
    assert "dp_iuv" not in result["annotations"][0]


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["MODEL.META_ARCHITECTURE", "GeneralizedRCNN"], "META_ARCHITECTURE = 'GeneralizedRCNN'"),
        (["MODEL.DENSEPOSE_TEACHER.CROP_SIZE", "50"], "CROP_SIZE = 50, expected a multiple of 32"),
        (["MODEL.DENSEPOSE_TEACHER.MARGIN", "-1.0"], "MARGIN = -1.0, expected 0 or more"),
    ],
)
def test_settings_that_make_no_teacher_are_named(people, tmp_path, capsys, opts, message):
    assert main(command(people, tmp_path, *opts)) == 2
    assert message in capsys.readouterr().err


def test_no_process_is_not_one(people, tmp_path, capsys):
    arguments = command(people, tmp_path / "out")
    assert main([*arguments[:1], "--processes", "0", *arguments[1:]]) == 2
    assert "--processes 0: expected 1 or more" in capsys.readouterr().err


def test_an_unknown_surface_is_refused_before_the_training(people, tmp_path, capsys):
    arguments = command(people, tmp_path / "out")
    arguments[arguments.index("--surface") + 1] = "Open"
    assert main(arguments) == 2
    assert "no surface 'Open': registered are " in capsys.readouterr().err


def test_messages_name_the_annotation_file(people, tmp_path, capsys):
    arguments = command(people, tmp_path / "out")
    arguments[4] = str(tmp_path)
    assert main(arguments) == 2
    path = people / "densepose_train.json"
    assert f"dataset '{path}': none of its 3 images exists" in capsys.readouterr().err


def test_annotations_without_points_and_masks_are_refused(people, tmp_path, capsys):
    contents = json.loads((people / "densepose_train.json").read_text())
    for person in contents["annotations"]:
        person.pop("segmentation")
    (tmp_path / "in.json").write_text(json.dumps(contents))
    arguments = command(people, tmp_path)
    arguments[2] = str(tmp_path / "in.json")
    assert main(arguments) == 2
    assert "nobody has points (dp_x) and a mask" in capsys.readouterr().err


def test_annotations_without_ids_of_their_own_are_refused(people, tmp_path, capsys):
    """Targets are named after ids: two people would share one."""
    contents = json.loads((people / "densepose_train.json").read_text())
    arguments = command(people, tmp_path)
    arguments[2] = str(tmp_path / "in.json")
    first, second, *_ = contents["annotations"]
    first["id"] = second["id"]
    for message in (f"annotations with the id {second['id']}: 2", "annotations with no id: 1"):
        (tmp_path / "in.json").write_text(json.dumps(contents))
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
        first.pop("id", None)


def test_targets_are_not_taken_for_those_of_another_body(people, taught):
    with pytest.raises(ValueError, match=r"annotations\.json: info\.dp_iuv_surface = 'open', exp"):
        load_densepose_coco(str(taught / "annotations.json"), str(people / "train"), surface="smpl")
