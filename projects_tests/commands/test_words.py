"""What is said about odd words on any command line."""

import os

import pytest

from densepose_ext.commands import agreement, synth, teach, texture
from densepose_ext.commands.main import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Exit status and last line of a command, whose work is left out."""
    for module in (agreement, synth, teach, texture):
        monkeypatch.setattr(module, "run", lambda options: 0)

    def run(*words):
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:
            status = stop.code
        return status, (capsys.readouterr().err.splitlines() or [""])[-1]

    return run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["synth", "--out", ""], "an empty word after --out: "),
        (["synth", "--out="], "--out= has no value: "),
        (["agreement", ""], "an empty word: "),
        (["texture", "extract", "a.png", "", "--out", "b.png"], "an empty word after a.png: "),
    ],
)
def test_empty_words_are_named(run, words, message):
    status, line = run(*words)
    assert status == 2
    assert line.startswith(f"densepose-ext {words[0]}: {message}")
    assert line.endswith("is a variable of the shell not set?")


def test_values_of_config_keys_may_be_empty(run):
    files = ["--annotations", "a.json", "--images", "b", "--surface", "open", "--out", "c"]
    assert run("teach", *files, "MODEL.WEIGHTS", "") == (0, "")


def test_inputs_are_not_overwritten(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    first.touch()
    os.link(first, tmp_path / "linked.png")
    for words in (
        ["texture", "extract", first, "--out", "./a.png"],
        ["texture", "extract", "x.png", "--iuv", first, "--out", "a.png"],
        ["texture", "extract", first, "--out", "linked.png"],
        ["texture", "extract", first, "--out", "c.png", "--coverage", "a.png"],
        ["agreement", first, second, "--plot", first],
    ):
        status, line = run(*words)
        assert status == 2
        assert line.endswith(" is an input; write to another file")
    status, line = run("texture", "extract", first, "--out", "c.png", "--coverage", "./c.png")
    assert status == 2
    assert line.endswith(": ./c.png would be written twice; expected different files")
    assert run("texture", "extract", first, "--out", "c.png", "--coverage", second) == (0, "")
    assert run("synth", "--out", tmp_path, "--preview", "a.png") == (0, "")


def test_names_that_start_with_a_dash(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-a.png").touch()
    for words in (["agreement", "-a.png"], ["texture", "extract", "-a.png", "--out", "b.png"]):
        status, line = run(*words)
        assert status == 2
        assert line.endswith("; the file -a.png is to be given as ./-a.png")
    assert "given as" not in run("agreement", "-b.png")[1]
