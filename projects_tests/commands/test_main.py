"""The command line: exit codes, and one line per error."""

import importlib
import json
import os
import subprocess
import sys

import pytest

import densepose_ext
from densepose_ext import get_config_file
from densepose_ext.commands import check, configs
from densepose_ext.commands.main import COMMANDS, main
from densepose_ext.files.configs import list_configs
from projects_tests.reference import ROOT
from projects_tests.tiny_dataset import make_dataset, write_coco
from projects_tests.tiny_meshes import write_mesh


def test_every_command_has_its_module():
    for name, purpose in COMMANDS.items():
        module = importlib.import_module(f"densepose_ext.commands.{name.replace('-', '_')}")
        assert callable(module.add_arguments)
        assert callable(module.run)
        assert purpose[0].islower()
        assert not purpose.endswith(".")


@pytest.mark.parametrize("arguments", [["-h"], ["--help"]])
def test_help_lists_the_commands(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, purpose in COMMANDS.items():
        assert f"{name} {purpose}" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith(f"usage: densepose-ext {command}")
    assert COMMANDS[command][1:] + "." in text


def test_help_imports_neither_torch_nor_numpy(tmp_path):
    for name in ("torch", "detectron2", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is imported')")
    for command in ([], *([name] for name in COMMANDS)):
        done = subprocess.run(
            [sys.executable, "-m", "densepose_ext", *command, "--help"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("usage: densepose-ext")


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"densepose-ext {densepose_ext.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["--nonsense"], ["configs", "a", "b"], ["check"], ["--nonsense", "configs"]],
)
def test_wrong_usage(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("usage: densepose-ext")
    assert not captured.out


@pytest.mark.slow
def test_as_a_module_and_by_its_exit_code():
    done = subprocess.run(
        [*(sys.executable, "-W", "ignore"), "-m", "densepose_ext", "check", "/nowhere/people.json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert line == "densepose-ext check: /nowhere/people.json: no such annotation file"


def test_a_reader_that_stops_reading_is_no_error():
    command = [sys.executable, "-W", "ignore", "-m", "densepose_ext", "configs"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_home_folder_is_expanded_in_options(monkeypatch, tmp_path):
    """As in --out=~/a, which shells do not expand."""
    seen = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(check, "run", lambda options: seen.append(options.annotations) or 0)
    assert main(["check", "~/gt.json"]) == 0
    assert main(["check", "a~b.json"]) == 0
    assert [str(path) for path in seen] == [str(tmp_path / "gt.json"), "a~b.json"]


def test_errors_take_one_line(monkeypatch, capsys):
    def run(options):
        raise ValueError("first\n  second")

    monkeypatch.setattr(configs, "run", run)
    assert main(["configs"]) == 2
    assert capsys.readouterr().err == "densepose-ext configs: first second\n"


class TestConfigs:
    def test_all(self, capsys):
        assert main(["configs"]) == 0
        assert capsys.readouterr().out.split() == list_configs()

    def test_the_path_of_one(self, capsys):
        name = "quick_schedules/densepose_rcnn_R_50_FPN_instant_test.yaml"
        assert main(["configs", name]) == 0
        assert capsys.readouterr().out == get_config_file(name) + "\n"

    def test_an_unknown_one(self, capsys):
        assert main(["configs", "R_50"]) == 2
        captured = capsys.readouterr()
        assert not captured.out
        (line,) = captured.err.splitlines()
        assert line.startswith("densepose-ext configs: no config 'R_50'; there are: Base-")


class TestCheck:
    @pytest.fixture
    def dataset(self, tmp_path):
        return make_dataset(tmp_path, images=4, dense=lambda number: number != 2)

    @staticmethod
    def rows(text: str) -> dict[str, str]:
        lines = [line for line in text.splitlines() if line and "  " in line]
        return {line.rsplit(maxsplit=1)[0].strip(): line.rsplit(maxsplit=1)[1] for line in lines}

    def test_what_a_file_holds(self, dataset, capsys):
        assert main(["check", str(dataset)]) == 0
        contents = json.loads(dataset.read_text())["annotations"]
        rows = self.rows(capsys.readouterr().out)
        assert rows["images"] == "4"
        assert rows["people"] == "8"
        assert rows["crowds among them"] == "0"
        assert rows["people with a mask"] == rows["people with keypoints"] == "8"
        assert rows["people with dense pose"] == rows["people with part masks"] == "6"
        points = [part for person in contents for part in person.get("dp_I", [])]
        assert rows["points"] == str(len(points))
        assert rows["right hand"] == str(points.count(3))
        assert "images missing" not in rows

    def test_a_missing_folder_of_images(self, dataset, capsys):
        assert main(["check", str(dataset), "--images", "/nowhere"]) == 2
        assert capsys.readouterr().err.endswith("--images /nowhere: there is no such folder\n")

    def test_missing_images(self, dataset, capsys, caplog):
        assert main(["check", str(dataset), "--images", str(dataset.parent)]) == 0
        assert self.rows(capsys.readouterr().out)["images missing"] == "0"
        (dataset.parent / "3.jpg").unlink()
        assert main(["check", "--images", str(dataset.parent), str(dataset)]) == 0
        printed = capsys.readouterr()
        assert self.rows(printed.out)["images missing"] == "1"
        assert f"the first is {dataset.parent / '3.jpg'}" in printed.err + caplog.text

    def test_what_cannot_be_used_is_said(self, dataset, capsys, caplog):
        contents = json.loads(dataset.read_text())
        contents["annotations"][0]["dp_I"][0] = 99
        contents["annotations"][1]["bbox"] = [0, 0, 0, 0]
        dataset.write_text(json.dumps(contents))
        assert main(["check", str(dataset)]) == 0
        rows = self.rows(capsys.readouterr().out)
        assert rows["people"] == "7"
        assert rows["people with dense pose"] == "4"
        assert len(caplog.records) == 2
        assert "left out 1 dense poses" in caplog.text
        assert "dp_I[0] = 99, expected a part, 0 to 24" in caplog.text
        assert "left out 1 annotations" in caplog.text

    def test_vertices_are_counted_and_compared_with_their_mesh(
        self, dataset, tmp_path, monkeypatch, capsys, caplog
    ):
        monkeypatch.setenv("DENSEPOSE_EXT_MESHES", str(tmp_path / "meshes"))
        write_mesh(tmp_path / "meshes", "ball", 20)
        contents = json.loads(dataset.read_text())
        people = [person for person in contents["annotations"] if "dp_I" in person]
        for person in people[:5]:
            person |= {"dp_vertex": [0] * len(person["dp_x"]), "ref_model": "ball"}
        for person in people[:2]:
            for key in ("dp_I", "dp_U", "dp_V"):
                del person[key]
        people[1]["dp_vertex"][-1] = 20
        people[2]["ref_model"] = people[3]["ref_model"] = "bull"
        people[4]["ref_model"] = "bear_4936"
        dataset.write_text(json.dumps(contents))
        assert main(["check", str(dataset)]) == 0
        rows = self.rows(capsys.readouterr().out)
        assert rows["people with dense pose"] == "6"
        assert rows["people with vertices"] == "5"
        assert rows["ball"] == str(sum(len(person["dp_x"]) for person in people[:2]))
        ball, bear, bull = (record.getMessage() for record in caplog.records)
        first = f"the first is annotation {people[1]['id']} of image {people[1]['image_id']}: "
        assert first + "dp_vertex has 20, expected 0 to 19, the vertices of ball" in ball
        assert bull.startswith(f"{dataset}: 2 dense poses cannot be used; the first is annotation")
        assert "ref_model = 'bull': no mesh 'bull': known are open" in bull
        assert "dp_vertex of 1 person is not checked: the mesh bear_4936 needs bear_4936" in bear

    def test_files_without_anybody(self, tmp_path, capsys):
        path = tmp_path / "empty.json"
        write_coco(path, [], [])
        assert main(["check", str(path)]) == 0
        assert self.rows(capsys.readouterr().out)["points"] == "0"

    @pytest.mark.parametrize("content", [None, "", "{}", "[]", "picture"])
    def test_files_that_are_no_annotations(self, tmp_path, capsys, content):
        path = tmp_path / "wrong.json"
        if content is not None:
            path.write_text(content)
        assert main(["check", str(path)]) == 2
        captured = capsys.readouterr()
        assert not captured.out
        (line,) = captured.err.splitlines()
        assert line.startswith(f"densepose-ext check: {path}")

    def test_a_folder(self, tmp_path, capsys):
        assert main(["check", str(tmp_path)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
