"""Free photographs from packages: which are used, and their authors."""

import runpy
import struct
import zlib

import cv2
import numpy as np
import pytest

from projects_tests.reference import ROOT

README = """
Copyright: Some Body
Source: https://example.org/cat.jpg
License: Public Domain
Files:
cat.webp
icon.webp

Copyright: Another
License: CC-BY-SA 4.0
Files:
dog.webp

Copyright: A Third
License: CC-BY 2.0
Files:
horse.webp
brandenburgGate.webp
missing.webp
"""


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(ROOT / "tools/gather_photographs.py"))


def encoded(height: int, width: int) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    return cv2.imencode(".webp", noise)[1].tobytes()


def container(folder: str, files: dict[str, bytes], version: int = 3) -> bytes:
    """A compiled Qt resource with one folder; texts are packed, as rcc packs them."""
    names, contents, nodes = b"", b"", [("", 2, 1, 1), (folder, 2, len(files), 2)]
    for name, content in files.items():
        packed = name == "README"
        if packed:
            content = struct.pack(">I", len(content)) + zlib.compress(content)
        nodes.append((name, int(packed), 0, len(contents)))
        contents += struct.pack(">I", len(content)) + content
    tree = b""
    for name, flags, first, second in nodes:
        tree += struct.pack(">IHII", len(names), flags, first, second)
        tree += bytes(8) if version > 1 else b""
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    header = 24
    places = (header, header + len(tree), header + len(tree) + len(contents))
    return struct.pack(">4s4II", b"qres", version, *places, 0) + tree + contents + names


@pytest.mark.parametrize("version", [1, 3])
def test_files_of_a_container(tool, version):
    files = {"README": b"text " * 20, "a.webp": b"picture"}
    read = dict(tool["resources"](container("images", files, version)))
    assert read == {"images/README": b"text " * 20, "images/a.webp": b"picture"}


def test_what_is_no_container(tool):
    with pytest.raises(ValueError, match="no compiled Qt resource"):
        list(tool["resources"](b"PK34" + bytes(40)))


def test_free_photographs_of_nobody_are_taken_with_their_authors(tool, tmp_path, monkeypatch):
    large = encoded(220, 300)
    files = {"README": README.encode(), "cat.webp": large, "icon.webp": encoded(64, 64)}
    files |= {f"{name}.webp": large for name in ("dog", "horse", "brandenburgGate", "unnamed")}
    folder = tmp_path / "share/gcompris-qt/rcc"
    folder.mkdir(parents=True)
    (folder / "animals.rcc").write_bytes(container("images", files))
    settings = tool["gather"].__globals__
    monkeypatch.setitem(settings, "debian_files", lambda _: [tmp_path / "share"])
    monkeypatch.setitem(settings, "of_scikit_image", lambda: [])
    assert tool["gather"](tmp_path / "out") == 2
    assert {p.name for p in (tmp_path / "out").glob("*.webp")} == {
        "images_cat.webp",
        "images_horse.webp",
    }
    rows = (tmp_path / "out/SOURCES.tsv").read_text().splitlines()
    assert rows[1:] == [
        "images_cat.webp\tSome Body\tPublic Domain\thttps://example.org/cat.jpg",
        "images_horse.webp\tA Third\tCC-BY 2.0\t",
    ]


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("Public Domain", True), ("CC0-1.0", True), ("CC-BY 3.0", True), ("CC-BY-4.0", True),
        ("CC-BY-SA-4.0", False), ("CC-BY-NC 2.0", False), ("GPLv3", False), ("", False),
    ],
)  # fmt: skip
def test_licences(tool, licence, free):
    photograph = tool["Photograph"]("a.webp", encoded(200, 200), "", licence, "")
    assert tool["is_wanted"](photograph) == free
