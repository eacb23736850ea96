"""The pictures of a run, and the names of their outputs."""

import ntpath
import os
from pathlib import PureWindowsPath

import pytest

from densepose_ext.prediction.inputs import _distinct, _unique_file_names, find_pictures


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def listed(found) -> list[tuple[str, str]]:
    return [(source.file_name, source.name) for source in found.pictures]


def test_a_folder(tmp_path):
    make(tmp_path, "b.JPG", "a/c d.png", "a/notes.txt", ".hidden.jpg", ".git/x.png", "é/人.webp")
    found = find_pictures([str(tmp_path)])
    assert listed(found) == [("b.JPG", "b"), ("a/c d.png", "a/c d"), ("é/人.webp", "é/人")]
    assert found.skipped == 2
    assert [os.path.isfile(source.path) for source in found.pictures] == [True] * 3


def test_files_are_taken_whatever_they_are_called(tmp_path, monkeypatch):
    make(tmp_path, "x/photo", "a[1].jpg")
    monkeypatch.chdir(tmp_path)
    found = find_pictures(["x/photo", "a[1].jpg", "none.jpg", "none*.jpg"])
    assert [s.path for s in found.pictures] == ["x/photo", "a[1].jpg", "none.jpg", "none*.jpg"]
    assert listed(found)[:2] == [("photo", "photo"), ("a[1].jpg", "a[1]")]


def test_the_home_folder_is_expanded(tmp_path, monkeypatch):
    """Also in the lines of ``-``, which no shell has seen."""
    make(tmp_path, "a.jpg", "b.jpg")
    monkeypatch.setenv("HOME", str(tmp_path))
    found = find_pictures(["~/a.jpg", "-"], ["~/b.jpg"])
    assert [s.path for s in found.pictures] == [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]


def test_patterns(tmp_path):
    make(tmp_path, "p/1.jpg", "p/q/2.jpg", "p/q/3.png", "4.jpg")
    found = find_pictures([str(tmp_path / "p" / "**" / "*.jpg")])
    assert listed(found) == [("1.jpg", "1"), ("q/2.jpg", "q/2")]


def test_a_list_of_inputs(tmp_path):
    make(tmp_path, "a b.jpg", "f/c.jpg", "d.jpg")
    lines = [f"{tmp_path}/a b.jpg\n", "\n", f"{tmp_path}/f\r\n"]
    found = find_pictures([f"{tmp_path}/d.jpg", "-"], lines)
    assert listed(found) == [("d.jpg", "d"), ("a b.jpg", "a b"), ("c.jpg", "c")]


def test_a_file_given_twice_is_one(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg")
    monkeypatch.chdir(tmp_path)
    assert len(find_pictures(["a.jpg", "./a.jpg", ".", "*.jpg"])) == 1


def test_outputs_never_meet(tmp_path):
    make(tmp_path, "x/a.jpg", "x/a.png", "x/b.jpg", "y/a.jpg", "y/c.jpg", "x/a.png.jpg")
    found = find_pictures([str(tmp_path / "x"), str(tmp_path / "y")])
    assert listed(found) == [
        ("x/a.jpg", "x/a"),
        ("a.png", "a"),
        ("a.png.jpg", "a.png"),
        ("b.jpg", "b"),
        ("y/a.jpg", "y/a"),
        ("c.jpg", "c"),
    ]
    found = find_pictures([str(tmp_path / "x")])
    assert listed(found) == [
        ("a.jpg", "a.jpg"),
        ("a.png", "a.png"),
        ("a.png.jpg", "a.png.jpg"),
        ("b.jpg", "b"),
    ]


def test_the_outputs_are_no_inputs(tmp_path):
    make(tmp_path, "a.jpg", "out/a_iuv.png", "out/b/c_iuv.png", "output.png")
    for given in (tmp_path, tmp_path / "**" / "*.*"):
        found = find_pictures([str(given)], without=tmp_path / "out")
        assert listed(found) == [("a.jpg", "a"), ("output.png", "output")]
    with pytest.raises(ValueError, match="cannot hold both the pictures and the outputs"):
        find_pictures([f"{tmp_path}/"], without=tmp_path)


def test_nothing(tmp_path):
    make(tmp_path, "a.txt")
    found = find_pictures([str(tmp_path)])
    assert len(found) == 0
    assert found.skipped == 1


@pytest.mark.parametrize(
    ("system", "expected"),
    [("linux", ["A.jpg", "a.jpg", "c.jpg"]), ("darwin", ["x/A.jpg", "y/a.jpg", "c.jpg"])],
)
def test_names_that_differ_only_in_case(monkeypatch, system, expected):
    """They are one file to macOS and Windows."""
    monkeypatch.setattr("sys.platform", system)
    names = ["A.jpg", "a.jpg", "c.jpg"]
    assert _distinct(names, ["x/A.jpg", "y/a.jpg", "z/c.jpg"]) == expected
    assert _distinct(["A", "a"], ["x/A", "X/a"])  # of a file system that tells them apart


def test_names_of_pictures_on_several_drives(monkeypatch):
    monkeypatch.setattr("os.path", ntpath)
    monkeypatch.setattr("densepose_ext.prediction.inputs.PurePath", PureWindowsPath)
    names = ["C:\\x\\a.jpg", "D:\\x\\a.jpg", "\\\\host\\share\\b.jpg"]
    found = {name: (name, name.rpartition("\\")[2]) for name in names}
    assert _unique_file_names(found) == ["C/x/a.jpg", "D/x/a.jpg", "b.jpg"]
