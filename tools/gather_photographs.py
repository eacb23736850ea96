"""Gathers free photographs of animals, things and places, as backgrounds for synthetic people.

    python tools/gather_photographs.py output/photographs
    densepose-ext synth --out DIR --backgrounds output/photographs

All are in the public domain, CC0 or CC BY, and none is known to show a person. They come from the
Debian packages gcompris-qt-data and lomiri-wallpapers-16.04, if they are installed or ``apt-get
download`` finds them, and from an installed scikit-image. ``SOURCES.tsv`` beside the photographs
lists their authors, licences and sources, which CC BY requires to be named wherever the
photographs, or pictures that show them, are passed on.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

#: Debian packages with photographs.
DEBIAN = ("gcompris-qt-data", "lomiri-wallpapers-16.04")
FREE = re.compile(r"public.?domain|CC-?0.*|CC-BY[- ][1-4]\.\d", re.IGNORECASE)
#: Pictures with a shorter side than this are usually icons and drawings.
SMALLEST = 200
#: Photographs that show people or statues, by the end of their path.
WITH_PEOPLE = (
    *("monuments/arcDeTriomphe.webp", "monuments/christTheRedeemer.webp"),
    *("monuments/monument1.webp", "monuments/usCapitol.webp"),
    "images/monuments/victoriaMemorial.webp",
    *("brandenburgGate.webp", "mountRushmore.webp", "statueOfLiberty.webp", "statueofLiberty.webp"),
    *("eiffelTower.webp", "palaisdesPapes.webp", "berlinCathedral.webp", "wormsCathedral.webp"),
    *("charminar.webp", "gatewayofIndia.webp", "mysorePalace.webp"),
    *("cabrillo.webp", "castleClinton.webp", "music/australia.webp", "music/ireland.webp"),
    *("music/italy.webp", "music/japan.webp", "music/mexico.webp", "music/orchestra.webp"),
)
#: Photographs of scikit-image (licences: skimage/data/_fetchers.py), except astronaut.png and
#: camera.png, which show people.
SCIKIT_IMAGE = {
    "brick.png": ("Struffel Productions", "CC0"),
    "chelsea.png": ("Stefan van der Walt", "CC0"),
    "coffee.png": ("Rachel Michetti", "CC0"),
    "grass.png": ("Linolafett", "CC0"),
    "gravel.png": ("Struffel Productions", "CC0"),
    "rocket.jpg": ("SpaceX", "public domain"),
}


@dataclass(frozen=True)
class Photograph:
    """A photograph and its author.

    Attributes:
        path: in its package.
        content: of its file, JPEG, PNG or WebP.
    """

    path: str
    content: bytes
    author: str
    licence: str
    source: str


def resources(container: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and content of the files in a compiled Qt resource (``.rcc``).

    The header has the offsets of the tree of nodes, of the names and of the contents. A node is a
    folder, with the index of its first child, or a file (Qt's rcc.cpp, RCCResourceLibrary::output).

    Raises:
        ValueError: it is not such a file.
    """
    magic, version, tree, contents, names = struct.unpack_from(">4s4I", container)
    if magic != b"qres":
        raise ValueError("no compiled Qt resource")
    node_size = 14 if version < 2 else 22  # from version 2 on with the time of the last change

    def name(node: int) -> str:
        (at,) = struct.unpack_from(">I", container, tree + node * node_size)
        (length,) = struct.unpack_from(">H", container, names + at)
        start = names + at + 6  # behind the length and a hash
        return container[start : start + 2 * length].decode("utf-16-be")

    def walk(node: int, folder: str) -> Iterator[tuple[str, bytes]]:
        _, flags, first, second = struct.unpack_from(">IHII", container, tree + node * node_size)
        if flags & 2:
            for child in range(second, second + first):
                yield from walk(child, f"{folder}/{name(child)}")
            return
        start = contents + second
        (length,) = struct.unpack_from(">I", container, start)
        content = container[start + 4 : start + 4 + length]
        if flags & 4:
            return  # packed by Zstandard, as texts are at times; pictures are not
        yield folder.lstrip("/"), zlib.decompress(content[4:]) if flags & 1 else content

    yield from walk(0, "")


def declared(text: str) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Reads paragraphs in the format of Debian's copyright files.

    Yields:
        patterns of file names, and "copyright", "licence", "source" or "comment" by name.
    """
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, list[str]] = {}
        current: list[str] = []
        for line in paragraph.splitlines():
            key, colon, value = line.partition(":")
            if colon and re.fullmatch(r"Copyright|Licen[sc]e|Source|Comment|Files", key):
                current = fields.setdefault(key.lower().replace("license", "licence"), [])
                line = value
            current.append(line.strip())
        if "files" in fields:
            files = " ".join(fields.pop("files")).split()
            yield files, {key: " ".join(lines).strip() for key, lines in fields.items()}


def of_gcompris(root: Path) -> Iterator[Photograph]:
    """Those of the containers, whose licences stand in a README beside them."""
    for path in sorted((root / "gcompris-qt" / "rcc").glob("*.rcc")):
        files = dict(resources(path.read_bytes()))
        for readme, text in files.items():
            folder, _, name = readme.rpartition("/")
            if name != "README":
                continue
            for names, said in declared(text.decode("utf-8", "replace")):
                for entry in (f"{folder}/{n}" for n in names):
                    if entry in files and entry.endswith((".webp", ".jpg", ".png")):
                        source = said.get("source") or said.get("comment", "")
                        yield _photograph(entry, files[entry], said, source)


def of_wallpapers(root: Path) -> Iterator[Photograph]:
    """Those of lomiri-wallpapers, by the package's copyright file."""
    notes = root / "doc" / "lomiri-wallpapers-16.04" / "copyright"
    if not notes.is_file():
        return
    for names, said in declared(notes.read_text(encoding="utf-8")):
        for path in (root / "backgrounds" / Path(name).name for name in names):
            if path.is_file():
                source = "https://gitlab.com/ubports/development/core/lomiri-wallpapers"
                yield _photograph(f"lomiri-wallpapers/{path.name}", path.read_bytes(), said, source)


def _photograph(path: str, content: bytes, said: dict[str, str], source: str) -> Photograph:
    return Photograph(path, content, said.get("copyright", ""), said.get("licence", ""), source)


def of_scikit_image() -> Iterator[Photograph]:
    """Those of an installed scikit-image, without importing it."""
    spec = importlib.util.find_spec("skimage")
    if spec is None:
        return
    folder = Path(spec.origin).parent / "data"
    for name, (author, licence) in SCIKIT_IMAGE.items():
        if (folder / name).is_file():
            content = (folder / name).read_bytes()
            yield Photograph(f"skimage/data/{name}", content, author, licence, "scikit-image")


def is_wanted(photograph: Photograph) -> bool:
    """Whether a photograph is free, large enough, and without people."""
    if not FREE.fullmatch(photograph.licence) or photograph.path.endswith(WITH_PEOPLE):
        return False
    picture = cv2.imdecode(np.frombuffer(photograph.content, np.uint8), cv2.IMREAD_COLOR)
    return picture is not None and min(picture.shape[:2]) >= SMALLEST


def debian_files(folder: Path) -> list[Path]:
    """Folders like /usr/share with the Debian packages: installed, or unpacked into ``folder``."""
    if Path("/usr/share/gcompris-qt/rcc").is_dir():
        return [Path("/usr/share")]
    for package in DEBIAN:
        try:
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
            (fetched,) = folder.glob(f"{package}_*.deb")
            subprocess.run(["dpkg", "-x", fetched, folder], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{package}: left out, {error}", file=sys.stderr)
    return [folder / "usr" / "share"]


def gather(out: Path) -> int:
    """Writes photographs and, last, SOURCES.tsv; returns their number.

    Raises:
        ValueError: no photographs were found.
    """
    rows = ["file\tauthor\tlicence\tsource"]
    with tempfile.TemporaryDirectory() as temporary:
        found = list(of_scikit_image())
        for root in debian_files(Path(temporary)):
            found += [*of_gcompris(root), *of_wallpapers(root)]
        wanted = [p for p in {p.path: p for p in found}.values() if is_wanted(p)]
        if not wanted:
            raise ValueError(
                f"no photographs found; expected the Debian packages {', '.join(DEBIAN)}, or"
                " scikit-image"
            )
        out.mkdir(parents=True, exist_ok=True)
        for photograph in wanted:
            name = "_".join(Path(photograph.path).parts[-3:])
            (out / name).write_bytes(photograph.content)
            said = (photograph.author, photograph.licence, photograph.source)
            rows.append("\t".join([name, *said]))
    (out / "SOURCES.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows) - 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="folder for the photographs")
    given = parser.parse_args()
    try:
        count = gather(given.out)
    except ValueError as error:
        sys.exit(f"gather_photographs: {error}")
    print(f"{count} photographs in {given.out}")
