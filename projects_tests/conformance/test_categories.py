"""Which images and classes the loaders keep, against what the official loaders kept."""

import json

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from densepose_ext import register_densepose_coco
from densepose_ext.data.build import (
    build_densepose_test_loader,
    load_registered,
    training_images,
)
from projects_tests.reference import conformance_file
from projects_tests.tiny_model import tiny_config

CASES = conformance_file("cse/categories/cases.json")
if CASES is None:
    pytest.skip("no cases of categories", allow_module_level=True)

#: More vertices than any person has.
EMBEDDERS = {"smpl_27554": 27554}


@pytest.fixture
def registered(tmp_path):
    """The datasets of the cases; their images are empty files.

    People with points have no masks in the cases. They get one: where masks are trained, this
    package leaves out people without.
    """
    names = [path.stem for path in CASES.parent.glob("*.json") if path != CASES]
    for name in names:
        content = json.loads((CASES.parent / f"{name}.json").read_bytes())
        for image in content["images"]:
            (tmp_path / image["file_name"]).touch()
        for person in content["annotations"]:
            x, y, w, h = person["bbox"]
            person.setdefault("segmentation", [[x, y, x + w, y, x, y + h]])
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        register_densepose_coco(name, path, tmp_path, surface="open")
    yield
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def content_of(images):
    """[image, classes of its people] of each image."""
    return [[i["image_id"], [p["category_id"] for p in i["annotations"]]] for i in images]


@pytest.mark.parametrize("case", json.loads(CASES.read_bytes()), ids=lambda case: case["name"])
def test_images_and_classes(case, registered):
    images = training_images(
        case["train"],
        segm_from_instance_masks=case["segm_trained_by_masks"],
        embedders=EMBEDDERS,
        flipped=False,
        categories=case["whitelisted"],
        category_maps=case["category_maps"],
    )
    assert content_of(images) == [found[1:] for found in case["expected_train"]["images"]]
    for name, expected in case["expected_train"]["classes"].items():
        assert MetadataCatalog.get(name).thing_classes == expected["names"]

    cfg = tiny_config()
    cfg.defrost()
    cfg.DATASETS.WHITELISTED_CATEGORIES.update(case["whitelisted"])
    cfg.DATASETS.CATEGORY_MAPS.update(case["category_maps"])
    name = case["test"]
    tested = {
        image["image_id"] for image in build_densepose_test_loader(cfg, name).dataset._dataset
    }
    chosen = (case[key].get(name) for key in ("whitelisted", "category_maps"))
    found = [image for image in load_registered(name, *chosen) if image["image_id"] in tested]
    # Of a set of which no categories are chosen, images without anybody are tested, too.
    with_people = [
        image for image in found if image["annotations"] or case["whitelisted"].get(name)
    ]
    assert content_of(with_people) == [of[1:] for of in case["expected_test"]["images"]]
