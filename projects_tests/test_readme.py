"""What the README tells people to type and to write does what it says.

Commands of `densepose-ext` and Python are run on small stand-ins for the files they name. Those of
the launchers are taken as far as the model: what follows is in test_training.py, on small ones.
"""

import re
import shlex
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine import default_argument_parser
from detectron2.modeling import build_model

from densepose_ext import DensePosePredictor, load_config
from densepose_ext.commands.main import main
from densepose_ext.synthetic.dataset import generate
from densepose_ext.synthetic.example import Settings
from densepose_ext.video.writer import VideoWriter
from projects_tests.reference import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    """Words of every command of the README, comments left out."""
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def starting(*names: str) -> list:
    """Commands by their first words, as parameters of a test."""
    found = [words for words in commands() if tuple(words[: len(names)]) == names]
    assert found, f"the README has no command {' '.join(names)}"
    return [pytest.param(words, id=" ".join(words)[:70]) for words in found]


def test_every_command_is_of_a_kind_that_is_tested():
    kinds = {words[0].split("=")[0] for words in commands()}
    assert kinds == {
        *("make", "source", "pip", "densepose-ext", "python"),
        "DETECTRON2_ENV_MODULE",
    }


@pytest.mark.parametrize("words", starting("make"))
def test_make(words):
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    done = subprocess.run(
        [*words, "-n", f"PYTHON={sys.executable}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with what the README's commands take: photographs, annotations, results."""
    folder = tmp_path_factory.mktemp("readme")
    generate(folder / "people_made", Settings(size=96), {"val": 2})
    (folder / "people_made" / "val").rename(folder / "images")
    (folder / "people_made" / "densepose_val.json").rename(folder / "annotations.json")
    (folder / "photographs").mkdir()
    for path in (folder / "images").iterdir():
        shutil.copy(path, folder / "photographs")
        shutil.copy(path, folder / "picture.jpg")
    with VideoWriter(folder / "film.mp4") as film:
        for path in (folder / "images").iterdir():
            film.write(cv2.imread(str(path)))
    return folder


#: Numbers of pictures and their size, in the README and in its test.
SMALLER = {"200": "2", "50": "1", "512": "96"}


def test_densepose_ext(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    scored = ["--format", "json", "--image-ids", "annotations.json", "--device", "cpu"]
    assert main(["predict", "images", "--out", "scored", *scored]) == 0
    shutil.copy("scored/results.json", "results.json")
    for words in (parameter.values[0] for parameter in starting("densepose-ext")):
        words = [SMALLER.get(word, word) for word in words[1:]]
        if "--help" in words:
            with pytest.raises(SystemExit) as stop:
                main(words)
            assert stop.value.code == 0
        else:
            assert main(words) == 0, (words, capsys.readouterr().err)
    assert len(list((workplace / "found").glob("*_iuv.png"))) == 2
    assert (workplace / "drawn.mp4").stat().st_size > 1000
    assert (workplace / "sheet.jpg").is_file()
    assert (workplace / "people" / "densepose_train.json").is_file()
    assert (workplace / "report" / "report.html").is_file()


@pytest.mark.parametrize("words", starting("python"))
def test_launchers(words):
    script, arguments = words[1], words[2:]
    assert (ROOT / script).is_file() or script.startswith("$DETECTRON2/tools/")
    options = default_argument_parser().parse_args(arguments)
    config = ROOT / options.config_file
    assert config.is_file()
    if config.suffix == ".yaml":
        cfg = load_config(str(config), [*options.opts, "MODEL.DEVICE", "cpu"])
        build_model(cfg)


def test_python(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    picture = np.zeros((32, 32, 3), np.uint8)
    variables = {"image": torch.from_numpy(picture).permute(2, 0, 1), "h": 32, "w": 32}
    try:
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), variables)
        assert len(DatasetCatalog.get("my_train")) == 2
    finally:
        DatasetCatalog.remove("my_train")
        MetadataCatalog.remove("my_train")
    iuv = cv2.imread("iuv.png")
    assert iuv.shape == cv2.imread("picture.jpg").shape
    assert len(variables["results"]) == len(variables["instances"])


def test_pictures_are_there():
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path
    for path in re.findall(r"\]\(([A-Z_]+(?:\.md)?)\)", README):
        assert (ROOT / path).is_file(), path


def test_the_official_checkpoint_would_be_taken(tmp_path):
    name = re.search(r'DensePosePredictor\("(\w+)", "(\w+\.pkl)"\)', README)
    with pytest.raises(FileNotFoundError, match=name[2]):
        DensePosePredictor(name[1], str(tmp_path / name[2]))
