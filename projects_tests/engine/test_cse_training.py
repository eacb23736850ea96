"""A CSE model from annotations to pictures: trained, evaluated, used."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import inference_on_dataset

from densepose_ext import DensePosePredictor, DensePoseTrainer, People, register_densepose_coco
from densepose_ext.commands.main import main
from densepose_ext.data.chart_vertices import with_charts, with_vertices
from densepose_ext.evaluation import DensePoseEvaluator
from densepose_ext.evaluation.vertex_results_file import decode_vertices
from densepose_ext.modeling.test_time_augmentation import DensePoseRCNNWithTTA
from densepose_ext.prediction.charted import charted
from densepose_ext.prediction.writers import FORMATS, PART_MASK, Options, write_files
from densepose_ext.structures import VertexResult
from densepose_ext.surface.registry import get_surface
from densepose_ext.texture import Atlas, apply_texture
from densepose_ext.video.writer import VideoWriter
from projects_tests.launching import STOCK_TOOLS, Workplace
from projects_tests.reference import ROOT
from projects_tests.tiny_dataset import make_dataset
from projects_tests.tiny_meshes import write_mesh
from projects_tests.tiny_model import tiny_config

HEAD = "MODEL.ROI_DENSEPOSE_HEAD."
EMBEDDER = {
    "TYPE": "vertex_feature",
    "NUM_VERTICES": 20,
    "FEATURE_DIM": 6,
    "INIT_FILE": "laplace-beltrami",
}


def on_the_ball(content: dict) -> dict:
    """Annotations with charts, changed to vertices of a mesh of 20."""
    for person in content["annotations"]:
        if "dp_I" in person:
            for key in ("dp_I", "dp_U", "dp_V"):
                del person[key]
            vertices = [n % 20 for n in range(len(person["dp_x"]))]
            person |= {"dp_vertex": vertices, "ref_model": "ball"}
    return content


def overrides_of_the_ball(dataset: str) -> list:
    return [
        *(HEAD + "PREDICTOR_NAME", "DensePoseEmbeddingPredictor"),
        *(HEAD + "LOSS_NAME", "DensePoseCseLoss"),
        *(HEAD + "CSE.EMBEDDERS", {"ball": EMBEDDER}),
        *(HEAD + "CSE.EMBED_LOSS_NAME", "SoftEmbeddingLoss"),
        *("DATASETS.TRAIN", (dataset,), "DATASETS.TEST", (dataset,)),
        *("DENSEPOSE_EVALUATION.TYPE", "cse", "MODEL.WEIGHTS", ""),
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A config whose weights have been trained for two steps on people with vertices."""
    folder = tmp_path_factory.mktemp("cse")
    write_mesh(folder / "meshes", "ball", 20)
    path = make_dataset(folder / "data", images=2)
    content = on_the_ball(json.loads(path.read_text()))
    path.write_text(json.dumps(content))
    register_densepose_coco("tiny_cse", path, path.parent, surface="open")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENSEPOSE_EXT_MESHES", str(folder / "meshes"))
        patch.setenv("DENSEPOSE_EXT_CACHE", str(folder / "cache"))
        cfg = tiny_config(
            *overrides_of_the_ball("tiny_cse"),
            *("SOLVER.MAX_ITER", 2, "OUTPUT_DIR", str(folder / "out"), "TEST.EVAL_PERIOD", 0),
            *("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0, "DATALOADER.NUM_WORKERS", 0),
        )
        torch.manual_seed(0)
        trainer = DensePoseTrainer(cfg)
        trainer.resume_or_load(resume=False)
        trainer.train()
        cfg = cfg.clone()
        cfg.defrost()
        cfg.MODEL.WEIGHTS = str(folder / "out" / "model_final.pth")
        yield cfg, trainer, path.parent / "1.jpg"
    DatasetCatalog.remove("tiny_cse")
    MetadataCatalog.remove("tiny_cse")


@pytest.fixture(scope="module")
def people(trained):
    cfg, _, picture = trained
    found = DensePosePredictor(cfg)(cv2.imread(str(picture)))
    assert any((person.result.labels > 0).any() for person in found)
    return found


def test_training_moves_the_embeddings_and_not_the_features(trained):
    cfg, _, _ = trained
    state = torch.load(cfg.MODEL.WEIGHTS, weights_only=True)["model"]
    assert state["roi_heads.embedder.embedder_ball.embeddings"].abs().sum() > 0
    features = state["roi_heads.embedder.embedder_ball.features"]
    assert (features[:, 0] - features[0, 0]).abs().max() < 1e-4  # the constant eigenfunction


def test_testing_scores_points_and_masks(trained):
    cfg, trainer, _ = trained
    results = DensePoseTrainer.test(cfg, trainer.model)
    assert {"densepose_gps", "densepose_gpsm", "densepose_segm"} <= results.keys()
    assert results["densepose_gps"]["AP"] >= 0


def test_a_results_file_scores_as_the_model_does(trained, tmp_path, capsys):
    cfg, trainer, _ = trained
    evaluator = DensePoseEvaluator(
        "tiny_cse", output_dir=tmp_path, by_vertices=True, save_results=True, report=False
    )
    loader = DensePoseTrainer.build_test_loader(cfg, "tiny_cse")
    expected = inference_on_dataset(trainer.model, loader, evaluator)
    results = tmp_path / "coco_densepose_results.json"
    annotations = MetadataCatalog.get("tiny_cse").json_file
    command = ["evaluate", "--annotations", annotations, "--results", str(results)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for mode in ("gps", "gpsm"):
        for name, value in expected[f"densepose_{mode}"].items():
            # a box in the file is rounded, so that a point may lie in the pixel beside
            assert found[mode][name] == pytest.approx(value / 100 if value >= 0 else -1, abs=0.02)
    assert main([*command, "--no-gps"]) == 0
    assert main([*command, "--surface", "open"]) == 2
    assert "--surface is for charts" in capsys.readouterr().err
    entries = json.loads(results.read_text())
    # On an annotated person: maps of others are never decoded.
    person = json.loads(Path(annotations).read_text())["annotations"][0]
    entry = entries[0] | {key: person[key] for key in ("image_id", "category_id", "bbox")}
    entry |= {"score": 1.0, "vertices": vertices_of(19)}
    shape = [max(int(length), 1) for length in entry["bbox"][:1:-1]]
    for change, message in (
        ({"ref_model": "cat"}, "ref_model: no mesh 'cat'"),
        ({"vertices": vertices_of(20)}, "vertices has vertex 20; ball has 0 to 19"),
        ({"vertices": "?"}, "vertices is not base64"),
        ({"uv_data": "", "uv_shape": [3, *shape]}, "charts, those before it have vertices"),
    ):
        changed = [*entries, entry | change]
        results.write_text(json.dumps(changed))
        assert main(command) == 2
        assert message in capsys.readouterr().err.replace("\n", " ")


def test_a_perfect_results_file_scores_one(trained, tmp_path):
    annotations = MetadataCatalog.get("tiny_cse").json_file
    entries = []
    for person in json.loads(Path(annotations).read_text())["annotations"]:
        width, height = (max(int(length), 1) for length in person["bbox"][2:])
        y, x = np.mgrid[:height, :width] + 0.5
        points = np.stack([person["dp_x"], person["dp_y"]])[:, :, None, None] / 256
        nearest = np.hypot(x / width - points[0], y / height - points[1]).argmin(0)
        values = np.asarray(person["dp_vertex"], np.uint16)[nearest] + 1
        keys = ("image_id", "category_id", "bbox", "ref_model")
        entries.append(
            {key: person[key] for key in keys}
            | {"score": 0.9, "vertices": encoded(values.astype(np.uint16))}
        )
    (tmp_path / "results.json").write_text(json.dumps(entries))
    command = ["evaluate", "--annotations", annotations, "--out", str(tmp_path)]
    assert main([*command, "--results", str(tmp_path / "results.json")]) == 0
    assert json.loads((tmp_path / "metrics.json").read_text())["gps"]["AP"] > 0.9


def vertices_of(vertex):
    """The content of an entry with one vertex everywhere."""
    return encoded(np.full((200, 200), vertex + 1, np.uint16))


def encoded(values):
    done, png = cv2.imencode(".png", values)
    assert done
    return base64.b64encode(png).decode()


def test_people_have_vertices_of_the_mesh(people):
    for person in people:
        result = person.result
        assert isinstance(result, VertexResult)
        assert result.mesh == "ball"
        assert result.vertices.max() < 20
    vertices = people.to_vertices()
    assert vertices.shape == people.size
    assert ((vertices >= 0) == (people.to_index() > 0)).all()
    with pytest.raises(ValueError, match="the mesh ball has no charts"):
        people.to_iuv()


def test_people_come_back_from_their_files(people):
    again = People.from_arrays(people.to_arrays())
    for one, other in zip(people, again):
        assert one.result.mesh == other.result.mesh
        torch.testing.assert_close(one.result.vertices, other.result.vertices)
    for person, entry in zip(people, people.to_json()):
        result = decode_vertices(entry["vertices"], entry["ref_model"])
        torch.testing.assert_close(result.vertices, person.result.vertices)
        assert ((result.labels > 0) == (person.result.labels > 0)).all()
    for one, other in zip(people, People.from_json(people.to_json(), people.size)):
        torch.testing.assert_close(one.result.vertices, other.result.vertices)


@pytest.mark.parametrize("form", ["iuv", "uv", "contour", "labels"])
def test_what_needs_charts_says_so(people, trained, form, tmp_path):
    picture = cv2.imread(str(trained[2]))
    with pytest.raises(ValueError, match="the mesh ball has no charts, and so no I, U, V"):
        write_files(tmp_path, "one", [FORMATS[form]], picture, people, Options())


def test_parts_and_textures_need_charts(people, trained, tmp_path):
    picture = cv2.imread(str(trained[2]))
    with pytest.raises(ValueError, match="the mesh ball has no charts"):
        write_files(tmp_path, "one", [PART_MASK], picture, people, Options(parts=(1, 2)))
    with pytest.raises(ValueError, match="the mesh ball has no charts"):
        apply_texture(picture, people, Atlas(np.zeros((600, 400, 3), np.uint8)))


def test_files_show_and_hold_the_vertices(people, trained, tmp_path):
    picture = cv2.imread(str(trained[2]))
    formats = ("overlay", "vertices", "mask", "npz")
    write_files(tmp_path, "one", [FORMATS[form] for form in formats], picture, people, Options())
    stored = np.load(tmp_path / "one_vertices.npz")["vertices"]
    np.testing.assert_array_equal(stored, people.to_vertices())
    assert (cv2.imread(str(tmp_path / "one_overlay.jpg")) != picture).any()


def test_augmented_testing(trained, tmp_path):
    cfg, trainer, picture = trained
    cfg = cfg.clone()
    cfg.defrost()
    cfg.TEST.AUG.MIN_SIZES = (96, 128)
    model = DensePoseRCNNWithTTA(cfg, trainer.model.eval()).eval()
    image = torch.from_numpy(cv2.imread(str(picture)).transpose(2, 0, 1).copy())
    given = {"image": image, "height": image.shape[1], "width": image.shape[2]}
    output = model([given])[0]["instances"].pred_densepose
    assert output.meshes.names() == ["ball"] * len(output)
    config = tmp_path / "config.yaml"
    config.write_text(cfg.dump())
    for name, options in (("alone", []), ("averaged", ["--augment"])):
        command = ["predict", str(picture), "--out", str(tmp_path / name), "--model", str(config)]
        assert main([*command, *options, "--min-score", "0", "--format", "vertices"]) == 0
    alone, averaged = (
        np.load(tmp_path / name / f"{picture.stem}_vertices.npz")["vertices"]
        for name in ("alone", "averaged")
    )
    assert alone.shape == averaged.shape
    assert not np.array_equal(alone, averaged)


@pytest.mark.slow
def test_commands_with_a_mesh_without_charts(trained, tmp_path, capsys):
    cfg, _, picture = trained
    (tmp_path / "config.yaml").write_text(cfg.dump())
    with VideoWriter(tmp_path / "film.mp4") as film:
        for _ in range(2):
            film.write(cv2.imread(str(picture)))
    model = ["--model", str(tmp_path / "config.yaml"), "--min-score", "0"]
    film = ["video", str(tmp_path / "film.mp4"), *model, "--out"]
    assert main([*film, str(tmp_path / "drawn.mp4")]) == 0
    assert (tmp_path / "drawn.mp4").stat().st_size > 0
    for command in (
        [*film, str(tmp_path / "iuv.mp4"), "--draw", "iuv"],
        ["mesh", str(picture), *model, "--out", str(tmp_path / "mesh")],
        ["texture", "extract", str(picture), *model, "--out", str(tmp_path / "texture.png")],
    ):
        capsys.readouterr()
        assert main(command) == 2
        *_, line = capsys.readouterr().err.splitlines()
        assert line.startswith(f"densepose-ext {command[0]}")
        assert "the mesh ball has no charts" in line


def test_vertices_of_the_open_body_have_charts():
    i, u, v = get_surface("open").vertex_iuv
    vertices = torch.tensor([[5, 0], [12410, 77]], dtype=torch.int32)
    labels = torch.tensor([[1, 0], [1, 1]], dtype=torch.uint8)
    found = charted(VertexResult(labels, vertices, "open"))
    assert found.labels.tolist() == [[i[5], 0], [i[12410], i[77]]]
    assert found.uv[:, 1, 0].tolist() == pytest.approx([u[12410], v[12410]])
    assert found.iuv_uint8().shape == (3, 2, 2)


def test_charts_and_vertices_of_an_annotation():
    chosen = np.arange(0, 12411, 500)
    vertices = {
        "dp_x": [1.0] * len(chosen),
        "dp_y": [2.0] * len(chosen),
        "dp_vertex": chosen.tolist(),
        "ref_model": "open",
    }
    charts = with_charts(vertices)
    del charts["dp_vertex"], charts["ref_model"]
    assert with_vertices(charts)["dp_vertex"] == chosen.tolist()
    charts["dp_I"][0] = 0
    assert with_vertices(charts)["dp_vertex"] == chosen[1:].tolist()
    with pytest.raises(ValueError, match="dp_vertex 99999, expected 0 to 12410"):
        with_charts(vertices | {"dp_vertex": [99999] * len(chosen)})
    with pytest.raises(ValueError, match="cat_5001 has no charts"):
        with_vertices(charts, "cat_5001")


@pytest.mark.slow
@pytest.mark.skipif(not STOCK_TOOLS.is_dir(), reason="this Detectron2 came without its tools")
def test_the_stock_launcher_gives_the_same_weights(tmp_path):
    place = Workplace.make(tmp_path, images=2)
    write_mesh(tmp_path / "meshes", "ball", 20)
    charts = tmp_path / "datasets/coco/annotations/densepose_minival2014_100.json"
    path = tmp_path / "datasets/coco_cse/densepose_minival2014_100_cse.json"
    path.parent.mkdir()
    path.write_text(json.dumps(on_the_ball(json.loads(charts.read_text()))))
    name = "densepose_coco_2014_minival_100_cse"
    config = tmp_path / "config.yaml"
    config.write_text(tiny_config(*overrides_of_the_ball(name)).dump())
    weights = []
    for launcher in ("own", "stock"):
        log = place.train(
            *("OUTPUT_DIR", launcher, "SOLVER.MAX_ITER", "2", "TEST.EVAL_PERIOD", "2"),
            flags=["--config-file", config],
            launcher=STOCK_TOOLS / "train_net.py" if launcher == "stock" else ROOT / "train_net.py",
            env={
                "DENSEPOSE_EXT_MESHES": str(tmp_path / "meshes"),
                **(
                    {"DETECTRON2_ENV_MODULE": "densepose_ext.plugin"} if launcher == "stock" else {}
                ),
            },
        )
        assert "loss_densepose_Eball" in log
        assert "copypaste: Task: densepose_gps" in log
        weights.append(torch.load(tmp_path / launcher / "model_final.pth", weights_only=True))
    one, other = (content["model"] for content in weights)
    assert one.keys() == other.keys()
    assert [key for key in one if not torch.equal(one[key], other[key])] == []
