"""The commands and code in README and docs/ work.

Every command is parsed. Quick commands of `densepose-ext`, and all Python, are run on small
stand-ins for the files they name. Those of the launchers are taken as far as the model: what
follows is in test_training.py, on small ones.
"""

import argparse
import functools
import importlib
import inspect
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

import densepose_ext
from densepose_ext import DensePosePredictor, load_config
from densepose_ext.commands.main import COMMANDS, main, module_of
from densepose_ext.export import export_model
from densepose_ext.model_zoo import official
from densepose_ext.prediction.dump import dump_entry, write_dump
from densepose_ext.synthetic.dataset import generate
from densepose_ext.synthetic.settings import Settings
from densepose_ext.video.writer import VideoWriter
from projects_tests.reference import ROOT
from projects_tests.tiny_model import CONFIG, tiny_model

DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    if "_build" not in path.parts
}


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands() -> list[list[str]]:
    """Words of every command of the pages, each once, comments left out."""
    found = {}
    for text in PAGES.values():
        lines = "\n".join(blocks("bash", text)).replace("\\\n", " ").splitlines()
        for line in lines:
            if words := shlex.split(line, comments=True):
                found.setdefault(tuple(words))
    return [list(words) for words in found]


def starting(*names: str) -> list:
    """Commands by their first words, as parameters of a test."""
    found = [words for words in commands() if tuple(words[: len(names)]) == names]
    assert found, f"no page has a command {' '.join(names)}"
    return [pytest.param(words, id=" ".join(words)[:90]) for words in found]


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


@pytest.mark.parametrize("words", starting("densepose-ext"))
def test_options_of_commands_exist(words):
    assert words[1] in COMMANDS
    parser = argparse.ArgumentParser()
    module_of(words[1]).add_arguments(parser)
    parser.parse_args(words[2:])


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with what the commands take: photographs, annotations, a video."""
    folder = tmp_path_factory.mktemp("documentation")
    generate(folder / "people_made", Settings(size=96), {"val": 2})
    (folder / "people_made" / "val").rename(folder / "images")
    (folder / "people_made" / "densepose_val.json").rename(folder / "annotations.json")
    (folder / "photographs").mkdir()
    for path in (folder / "images").iterdir():
        shutil.copy(path, folder / "photographs")
        shutil.copy(path, folder / "picture.jpg")
    torch.save({"model": tiny_model().state_dict()}, folder / "tiny.pth")
    predictor = DensePosePredictor(CONFIG, folder / "tiny.pth", "cpu", min_score=0)
    export_model(predictor, folder / "exported")
    entry = dump_entry("picture.jpg", predictor(folder / "picture.jpg"))
    write_dump(folder / "results.pkl", [entry])
    with VideoWriter(folder / "film.mp4") as film:
        for path in (folder / "images").iterdir():
            film.write(cv2.imread(str(path)))
    return folder


#: Numbers of pictures and their size, in the pages and in their test.
SMALLER = {"200": "2", "50": "1", "512": "96"}
#: Commands that test_densepose_ext runs; texture, mesh and export are run by their own tests.
QUICK = ("predict", "masks", "video", "synth", "check", "evaluate")


@pytest.mark.slow
def test_densepose_ext(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    for words in (words[1:] for words in commands() if words[0] == "densepose-ext"):
        if words[0] in QUICK:
            words = [SMALLER.get(word, word) for word in words]
            assert main(words) == 0, (words, capsys.readouterr().err)
    assert len(list((workplace / "found").glob("*_iuv.png"))) == 2
    assert (workplace / "drawn.mp4").stat().st_size > 1000
    assert (workplace / "sheet.jpg").is_file()
    assert (workplace / "people" / "densepose_train.json").is_file()
    assert (workplace / "report" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("words", starting("python"))
def test_launchers(words):
    script, arguments = words[1], words[2:]
    assert (ROOT / script).is_file() or script.startswith("$DETECTRON2/tools/")
    if script.startswith("examples/"):
        return
    options = default_argument_parser().parse_args(arguments)
    config = ROOT / options.config_file
    assert config.is_file()
    if config.suffix == ".yaml":
        load_config(str(config), [*options.opts, "MODEL.DEVICE", "cpu"])
        build(options.config_file)


@functools.cache
def build(config: str) -> None:
    build_model(load_config(str(ROOT / config), ["MODEL.DEVICE", "cpu"]))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if "```python" in text])
def test_python(page, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    picture = np.zeros((32, 32, 3), np.uint8)
    variables = {"image": torch.from_numpy(picture).permute(2, 0, 1), "h": 32, "w": 32}
    known = set(DatasetCatalog.list())
    try:
        for number, block in enumerate(blocks("python", PAGES[page])):
            exec(compile(block, f"{page}, block {number}", "exec"), variables)
    finally:
        for name in set(DatasetCatalog.list()) - known:
            DatasetCatalog.remove(name)
            MetadataCatalog.remove(name)
    if 'imwrite("iuv.png"' in PAGES[page]:
        assert cv2.imread("iuv.png").shape == cv2.imread("picture.jpg").shape
    if "results" in variables:
        assert len(variables["results"]) == len(variables["instances"])


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for path in re.findall(r"\]\(([^)#:]+)\)", PAGES[page]):
        assert (ROOT / page).parent.joinpath(path).is_file(), path
    for block in blocks(r"\{toctree\}", PAGES[page]):
        for line in re.findall(r"^[\w/]+$", block, re.MULTILINE):
            assert (DOCS / f"{line}.md").is_file(), line


def test_official_models_that_are_named_exist():
    texts = [*PAGES.values(), (ROOT / "MODEL_ZOO.md").read_text(encoding="utf-8")]
    names = [n for text in texts for n in re.findall(r'DensePosePredictor\("([\w/]+)"\)', text)]
    assert len(names) > 2
    for name in names:
        assert official(name).name == name


@pytest.mark.slow
def test_sphinx_builds_all_pages(tmp_path):
    pytest.importorskip("sphinx")
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "sphinx", "-W", "--keep-going", "-q"),
            *("-b", "html", "-d", tmp_path / "read", DOCS, tmp_path / "pages"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for page in PAGES:
        if page.startswith("docs/"):
            path = tmp_path / "pages" / page.removeprefix("docs/").replace(".md", ".html")
            assert path.is_file(), page


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 120


def test_every_public_name_is_in_the_reference():
    text = PAGES["docs/reference/api.md"]
    places = re.findall(r"^\.\. currentmodule:: (\S+)|^\.\. auto\w+:: (\S+)", text, re.MULTILINE)
    documented, module = set(), None
    for place, name in places:
        if place:
            module = importlib.import_module(place)
        else:
            assert hasattr(module, name), f"{module.__name__}.{name}"
            documented.add(name)
    assert set(public_names()) <= documented


def public_names() -> dict:
    """What the top level of the package offers, but for its modules."""
    offered = {name: getattr(densepose_ext, name) for name in dir(densepose_ext) if name[0] != "_"}
    return {
        name: value
        for name, value in offered.items()
        if (getattr(value, "__module__", None) or "").startswith("densepose_ext")
    }


@pytest.mark.parametrize("name", public_names())
def test_public_functions_say_their_types(name):
    value = public_names()[name]
    functions = (
        {name: value}
        if inspect.isfunction(value)
        else {
            key: getattr(part, "__func__", part)
            for key, part in vars(value).items()
            if (key in ("__init__", "__call__", "__getitem__") or key[0] != "_")
            and inspect.isfunction(getattr(part, "__func__", part))
        }
    )
    for key, function in functions.items():
        parameters = list(inspect.signature(function).parameters.values())
        if inspect.isclass(value) and parameters and parameters[0].name in ("self", "cls"):
            parameters = parameters[1:]
        missing = [p.name for p in parameters if p.annotation is p.empty]
        assert not missing, f"{key} has no types for {missing}"
        assert key == "__init__" or "return" in function.__annotations__, key


def test_every_config_key_is_in_the_reference(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(DOCS / "_extensions")
    reference = importlib.import_module("config_reference")
    sections = reference.read_sections()
    keys = {key for section in sections for group in section.groups for key in group.keys}
    assert keys == set(reference.added_keys())
    comments = {key: group.comment for s in sections for group in s.groups for key in group.keys}
    assert "degrees" in comments["INPUT.ROTATION_ANGLES"]
    own = {key: text for s in sections for group in s.groups for key, text in group.keys.items()}
    assert own["MODEL.ROI_DENSEPOSE_HEAD.POINT_REGRESSION_WEIGHTS"] == "U and V"
