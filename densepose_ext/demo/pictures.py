"""The pictures of the demo: predictions beside the ground truth, and a texture transfer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from detectron2.data import MetadataCatalog
from tqdm import tqdm

from ..prediction.predictor import DensePosePredictor
from ..structures import Person
from ..synthetic.example import make_example
from ..synthetic.settings import Settings
from ..synthetic.truth import true_people
from ..texture import transfer_texture
from ..visualization import draw_boxes, draw_legend, draw_parts, draw_u, draw_v, side_by_side
from ..visualization.picture_file import write_picture

#: Number of test pictures shown, and of those shown with U and V.
SHOWN, SHOWN_WITH_UV = 6, 2
#: People below this score are not shown.
MIN_SCORE = 0.5
HEIGHT = 300


@dataclass(frozen=True)
class Picture:
    """A picture file, and what it shows."""

    path: Path
    caption: str


def draw_pictures(
    folder: Path, predictors: Mapping[str, DensePosePredictor], dataset: str
) -> list[Picture]:
    """Draws synthetic people and, if scikit-image is installed, its photograph of an astronaut.

    Args:
        folder: for the files.
        predictors: by name; the last one finds the people for the texture transfer.
        dataset: a registered dataset of synthetic people, whose ground truth can be rendered again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = MetadataCatalog.get(dataset).synthetic
    settings = Settings(**{key: value for key, value in record.items() if key != "version"})
    pictures, examples = [_write(folder / "legend.jpg", draw_legend(HEIGHT), "the 24 parts")], []
    with contextlib.closing(tqdm(total=SHOWN + 2, desc="pictures", unit="picture")) as bar:
        for number in range(SHOWN):
            example = make_example(settings, "val", number)
            image = np.ascontiguousarray(example.image[:, :, ::-1])
            truth = true_people(example)
            examples += [(image, person) for person in truth]
            found = {"truth": truth, **_found(predictors, image)}
            rows = [("parts", draw_parts)]
            if number < SHOWN_WITH_UV:
                rows += [("U", draw_u), ("V", draw_v)]
            path = folder / f"synthetic_{number}.jpg"
            pictures.append(_write(path, _sheet(image, found, rows), f"synthetic picture {number}"))
            bar.update()
        photograph = _astronaut()
        if photograph is not None:
            found = _found(predictors, photograph)
            sheet = _sheet(photograph, found, [("parts", draw_parts), ("U", draw_u), ("V", draw_v)])
            pictures.append(_write(folder / "astronaut.jpg", sheet, "a photograph"))
            bar.update()
            people = [p for p in list(found.values())[-1] if bool((p.result.labels > 0).any())]
            if people:
                image, person = max(examples, key=lambda e: _in_common(e[1], people[0]))
                sheet = _dressed(photograph, people[0], image, person)
                pictures.append(_write(folder / "texture.jpg", sheet, "texture transfer"))
        bar.update()
    return pictures


def _astronaut() -> np.ndarray | None:
    """(H, W, 3) uint8 BGR, in the public domain, or None without scikit-image."""
    try:
        from skimage.data import astronaut
    except ModuleNotFoundError:
        return None
    return np.ascontiguousarray(astronaut()[:, :, ::-1])


def _found(predictors: Mapping[str, DensePosePredictor], image: np.ndarray) -> dict[str, list]:
    return {
        name: [person for person in predictor(image) if person.score >= MIN_SCORE]
        for name, predictor in predictors.items()
    }


def _sheet(
    image: np.ndarray,
    found: Mapping[str, list[Person]],
    rows: list[tuple[str, Callable]],
) -> np.ndarray:
    """A row of pictures per kind of overlay: the picture, then the people of each predictor."""
    pictures, captions = [], []
    for what, draw in rows:
        pictures.append(image)
        captions.append("picture")
        for name, people in found.items():
            drawn = draw(image, people)
            pictures.append(drawn if name == "truth" else draw_boxes(drawn, people))
            captions.append(f"{what}, {name}")
    return side_by_side(pictures, captions, height=HEIGHT, columns=1 + len(found))


def _in_common(one: Person, other: Person) -> int:
    """How much of the body both show, in pixels."""
    counts = [np.bincount(p.result.labels.numpy().ravel(), minlength=25) for p in (one, other)]
    return int(np.minimum(*counts)[1:].sum())


def _dressed(photograph, person: Person, image, other: Person) -> np.ndarray:
    """Exchanges the textures of a person in a photograph and another one in a picture."""
    pictures = [
        image,
        photograph,
        transfer_texture(photograph, person, image, [other]),
        transfer_texture(image, other, photograph, [person]),
    ]
    captions = ["A", "B", "A dressed in B", "B dressed in A"]
    return side_by_side(pictures, captions, height=HEIGHT, columns=4)


def _write(path: Path, picture: np.ndarray, caption: str) -> Picture:
    write_picture(path, picture)
    return Picture(path, caption)
