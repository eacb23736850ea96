"""People annotated with vertices of meshes, from the JSON file to the model's input."""

import json
import logging

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data import transforms as T
from pycocotools import mask as coco_mask

from densepose_ext.data import (
    AnnotationError,
    DensePoseDatasetMapper,
    densepose_annotation,
    load_densepose_coco,
    read_densepose,
    register_densepose_coco,
    training_images,
)
from densepose_ext.structures import DensePoseAnnotation, DensePoseAnnotationList
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_meshes import write_mesh

VERTICES = {"dp_x": [1, 2.5], "dp_y": [0, 256], "dp_vertex": [0, 19], "ref_model": "ball"}
CHARTS = {"dp_I": [1, 24], "dp_U": [0.5, 0], "dp_V": [1, 0.25]}


@pytest.fixture(scope="module")
def mesh_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meshes")
    write_mesh(folder, "ball", 20)
    write_mesh(folder, "cube", 30)
    return folder


@pytest.fixture(autouse=True)
def _meshes(mesh_folder, monkeypatch):
    monkeypatch.setenv("DENSEPOSE_EXT_MESHES", str(mesh_folder))


@pytest.fixture
def register(tmp_path):
    """Registers pictures whose people have vertices; ``change`` edits the annotations."""
    names = []

    def make(change=lambda people: None) -> str:
        path = make_dataset(tmp_path / str(len(names)), images=2)
        content = json.loads(path.read_text())
        for person in content["annotations"]:
            for key in CHARTS:
                del person[key]
            person["dp_vertex"] = [n % 20 for n in range(len(person["dp_x"]))]
            person["ref_model"] = "ball"
        change(content["annotations"])
        path.write_text(json.dumps(content))
        names.append(f"vertices_{len(names)}")
        register_densepose_coco(names[-1], path, path.parent, surface="open")
        return names[-1]

    yield make
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def test_vertices_become_tensors_without_charts():
    annotation = densepose_annotation(read_densepose(VERTICES))
    assert annotation.vertex.tolist() == [0, 19]
    assert annotation.vertex.dtype == torch.int64
    assert annotation.mesh == "ball"
    assert annotation.i is annotation.u is annotation.v is None
    assert annotation.with_charts_only() is None


def test_charts_and_vertices_of_one_person():
    annotation = densepose_annotation(read_densepose(VERTICES | CHARTS))
    assert annotation.with_charts_only().i.tolist() == [1, 24]
    assert annotation.with_charts_only().vertex is None
    assert annotation.with_vertices_only().vertex.tolist() == [0, 19]
    # The parts alone, which some files have for the evaluation, are no charts.
    assert densepose_annotation(read_densepose(VERTICES | {"dp_I": [1, 2]})).i is None


def test_one_mask_of_the_whole_person():
    rle = {"size": [256, 256], "counts": [0, 256 * 128, 256 * 128]}

    rle = coco_mask.frPyObjects(rle, 256, 256)
    rle["counts"] = rle["counts"].decode()
    segm = densepose_annotation(read_densepose(VERTICES | {"dp_masks": rle})).segm
    assert (segm[:, :128] == 1).all()
    assert (segm[:, 128:] == 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dp_vertex": [0, -1]}, r"dp_vertex\[1\] = -1, expected a vertex"),
        ({"dp_vertex": [0.5, 1]}, r"dp_vertex\[0\] = 0.5, expected a vertex"),
        ({"dp_vertex": [0, 2**40]}, r"dp_vertex\[1\] = "),
        ({"dp_vertex": [0]}, r"differing lengths: dp_x 2, dp_y 2, dp_vertex 1"),
        ({"dp_vertex": "0 1"}, r"dp_vertex is not a flat list of numbers"),
        ({"ref_model": 5}, r"ref_model = 5, expected a mesh's name"),
        ({"dp_masks": {"size": [8, 8], "counts": "0"}}, r"dp_masks\[0\] .*expected an RLE"),
    ],
)
def test_wrong_annotations_are_refused(changes, message):
    with pytest.raises(AnnotationError, match=message):
        read_densepose(VERTICES | changes)


def test_a_mesh_without_its_name_is_refused():
    annotation = {key: value for key, value in VERTICES.items() if key != "ref_model"}
    with pytest.raises(AnnotationError, match="has dp_x, dp_y, dp_vertex but lacks ref_model"):
        read_densepose(annotation)


def test_lists_keep_charts_and_vertices_apart():
    both = densepose_annotation(read_densepose(VERTICES | CHARTS))
    vertices = densepose_annotation(read_densepose(VERTICES | {"ref_model": "cube"}))
    charts = both.with_charts_only()
    first = DensePoseAnnotationList([both, None, vertices])
    second = DensePoseAnnotationList([charts, vertices])
    merged = DensePoseAnnotationList.cat([second, first])[torch.tensor([1, 0, 4, 3, 2])]
    assert merged.meshes == ("cube", "ball")
    expected = [vertices, charts, vertices, None, both]
    for found, original in zip(merged, expected):
        if original is None:
            assert found is None
            continue
        assert found.mesh == original.mesh
        for name in ("x", "y", "i", "u", "v", "vertex"):
            value, wanted = getattr(found, name), getattr(original, name)
            assert (value is None) == (wanted is None), name
            assert wanted is None or value.tolist() == wanted.tolist(), name


@pytest.mark.parametrize("by_vertices", [False, True])
def test_the_mapper_gives_what_the_model_is_trained_by(register, by_vertices):
    def change(people):
        people[1] |= {"dp_I": [1] * len(people[1]["dp_x"])}
        people[1] |= {key: [0.5] * len(people[1]["dp_x"]) for key in ("dp_U", "dp_V")}

    (image, _) = DatasetCatalog.get(register(change))
    mapper = DensePoseDatasetMapper(
        True, augmentations=[], image_format="BGR", by_vertices=by_vertices
    )
    first, second = mapper(image)["instances"].gt_densepose
    if by_vertices:
        assert first.vertex.tolist() == list(image["annotations"][0]["dp_vertex"])
        assert second.vertex is not None
        assert second.i is None
    else:
        assert first is None
        assert second.i is not None
        assert second.vertex is None


def test_flips_go_by_the_symmetry_of_the_mesh(register):
    (image, _) = DatasetCatalog.get(register())
    mapper = DensePoseDatasetMapper(
        True, augmentations=[T.RandomFlip(1.0)], image_format="BGR", by_vertices=True
    )
    person, annotation = image["annotations"][0], mapper(image)["instances"].gt_densepose[0]
    np.testing.assert_array_equal(annotation.vertex, person["dp_vertex"] ^ 1)
    np.testing.assert_allclose(annotation.x, 256 - person["dp_x"], atol=1e-3)


def test_flips_of_an_unknown_mesh_name_the_image(register):
    (image, _) = DatasetCatalog.get(register(lambda people: people[0].update(ref_model="none")))
    mapper = DensePoseDatasetMapper(
        True, augmentations=[T.RandomFlip(1.0)], image_format="BGR", by_vertices=True
    )
    with pytest.raises(ValueError, match=r"1.jpg, image 1: ref_model none: no mesh 'none'"):
        mapper(image)


def test_people_of_the_other_kind_count_as_without_dense_pose(register, caplog):
    caplog.set_level(logging.INFO)

    def change(people):
        for person in people[:2]:
            person |= {"dp_I": [1] * len(person["dp_x"])}
            person |= {key: [0.5] * len(person["dp_x"]) for key in ("dp_U", "dp_V")}

    name = register(change)
    (image,) = training_images([name], flipped=False)
    assert image["image_id"] == 1
    assert "2 people with dp_vertex but without I, U, V" in caplog.text
    assert len(training_images([name], embedders={"ball": 20})) == 2


@pytest.mark.parametrize(
    ("changes", "embedders", "message"),
    [
        ({"ref_model": "cube"}, {"ball": 20}, r"annotation 1 of image 1 has ref_model 'cube'"),
        ({}, {"ball": 19}, r"has dp_vertex 19, expected 0 to 18, the vertices of ball"),
        ({"dp_vertex": [20] * 60}, {"ball": 24}, r"the mesh ball has 20 vertices, but .*= 24"),
    ],
)
def test_vertices_without_an_embedder_stop_training(register, changes, embedders, message):
    def change(people):
        people[0] |= changes
        people[0]["dp_vertex"] = people[0]["dp_vertex"][: len(people[0]["dp_x"])]

    with pytest.raises(ValueError, match=message):
        training_images([register(change)], embedders=embedders)


def test_a_mesh_without_its_symmetry_stops_training_with_flips(register, mesh_folder):
    name = register(lambda people: [person.update(ref_model="bear_4936") for person in people])
    with pytest.raises(FileNotFoundError, match=r"symmetry_bear_4936|bear_4936.pkl"):
        training_images([name], embedders={"bear_4936": 4936})
    assert training_images([name], embedders={"bear_4936": 4936}, flipped=False)


def test_points_without_any_are_absent():
    nothing = DensePoseAnnotationList([None, None])
    assert nothing.meshes == ()
    assert len(nothing.vertex) == len(nothing.mesh_of_person) == 0
    point = torch.zeros(1)
    annotation = DensePoseAnnotation(point, point, vertex=point.long(), mesh="a")
    merged = DensePoseAnnotationList.cat([nothing, DensePoseAnnotationList([annotation])])
    assert merged[2].mesh == "a"


def test_loading_keeps_vertices_and_their_mesh(register, tmp_path):
    register()
    (image, _) = load_densepose_coco(
        str(tmp_path / "0" / "annotations.json"), str(tmp_path / "0"), surface="open"
    )
    person = image["annotations"][0]
    assert person["ref_model"] == "ball"
    assert person["dp_vertex"].dtype == np.int64
    assert "dp_I" not in person
