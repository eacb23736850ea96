"""What a set of synthetic images depends on."""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..files.media import PICTURE_SUFFIXES

#: Raised whenever the same settings give different images or annotations, except for new keys.
VERSION = 1
SPLITS = ("train", "val")
SMALLEST, LARGEST = 64, 2048


@dataclass(frozen=True)
class Settings:
    """What images depend on besides their split and number.

    Attributes:
        size: side of the square images, pixels.
        seed: random seed.
        people: the most people in an image; there is at least one.
        points: the most annotated points on each of the 14 coarse parts; human annotators placed
            up to 14 (Güler et al. 2018, section 2.1).
        by_hand: annotate with the errors of human annotators.
        dense: also write I, U, V, depth and the bodies' parameters, and dense targets.
        backgrounds: folder of photographs for backgrounds; None renders them.
        things: the most objects (cars, animals, plants, chairs, ...) in an image.
        printed: print half of the clothes with patches of the photographs in ``backgrounds``.
        facing: share of people who are turned towards the camera, rather than away from it; over
            a half in photographs.
        pictures: the photographs in ``backgrounds``, which are found anew for each object.
    """

    size: int = 512
    seed: int = 0
    people: int = 5
    points: int = 14
    by_hand: bool = False
    dense: bool = False
    backgrounds: str | None = None
    things: int = 0
    printed: bool = False
    facing: float = 0.5
    pictures: tuple[Path, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self):
        if not SMALLEST <= self.size <= LARGEST:
            raise ValueError(f"size is {self.size}; expected {SMALLEST} to {LARGEST} pixels")
        if not 1 <= self.people <= 10:
            raise ValueError(f"people is {self.people}; expected 1 to 10 an image")
        if not 1 <= self.points <= 100:
            raise ValueError(f"points is {self.points}; expected 1 to 100 a part")
        if not 0 <= self.things <= 20:
            raise ValueError(f"things is {self.things}; expected 0 to 20 an image")
        if self.printed and self.backgrounds is None:
            raise ValueError("printed clothes need a folder of photographs as backgrounds")
        if not 0.5 <= self.facing < 1:
            raise ValueError(f"facing is {self.facing}; expected 0.5 or more, but less than 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; expected 0 or more")
        if self.backgrounds is not None:
            found = tuple(_list_pictures(Path(self.backgrounds)))
            object.__setattr__(self, "pictures", found)

    def record(self) -> dict:
        """The content of ``settings.json``: equal records give equal images, whatever the paths."""
        record = asdict(self)
        del record["pictures"]
        if not self.things:
            del record["things"]  # as in datasets made before this setting existed
        if not self.printed:
            del record["printed"]  # likewise
        if self.facing == 0.5:
            del record["facing"]
        if self.backgrounds is not None:
            digest = hashlib.sha256()
            for path in self.pictures:
                digest.update(path.relative_to(self.backgrounds).as_posix().encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
            record["backgrounds"] = digest.hexdigest()
        return {"version": VERSION, **record}


def _list_pictures(folder: Path) -> list[Path]:
    """Pictures of a folder, by name.

    Raises:
        NotADirectoryError: it is not a folder.
        ValueError: it holds no pictures.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"background folder {folder} is not a folder")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise ValueError(
            f"background folder {folder} holds no pictures; expected files ending in "
            f"{', '.join(PICTURE_SUFFIXES)}"
        )
    return found
