"""The published checkpoints of the official DensePose project, by the names of its configs.

This module imports no torch: ``densepose-ext models`` lists the table at once.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath

from ..files.configs import get_config_file

#: Where the project publishes its files.
ROOT = "https://dl.fbaipublicfiles.com/densepose"

#: The licence of all of them, according to their page and their data.
LICENCE = "CC BY-SA 3.0; trained on data for non-commercial use"

#: Followed by the name of a model, a path from which Detectron2 reads weights.
PREFIX = "densepose://"

_TABLE = Path(__file__).parent / "assets" / "official.tsv"


@dataclass(frozen=True)
class OfficialModel:
    """A published checkpoint.

    Attributes:
        name: of its config below ``configs/``, without ``.yaml``.
        url: of the file.
        file_hash: hexadecimal digits at the end of the file's name.
        box_ap, segm_ap, gps_ap, gpsm_ap: percent, as published: on COCO minival, for animals on
            their own test sets.
        megabytes: of its parameters, which are nearly all of the file.
    """

    name: str
    url: str
    file_hash: str
    box_ap: float
    segm_ap: float
    gps_ap: float
    gpsm_ap: float
    megabytes: float

    @property
    def config(self) -> str:
        """Path of the YAML file."""
        return get_config_file(f"{self.name}.yaml")

    @property
    def weights(self) -> str:
        """A path for MODEL.WEIGHTS; the file is downloaded when it is read."""
        return PREFIX + self.name


@cache
def _models() -> dict[str, OfficialModel]:
    with open(_TABLE, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    models = {}
    for row in rows:
        name, number, file_hash = row.pop("name"), row.pop("model_id"), row.pop("hash")
        url = f"{ROOT}/{name}/{number}/model_final_{file_hash}.pkl"
        figures = {key: float(value) for key, value in row.items()}
        models[name] = OfficialModel(name, url, file_hash, **figures)
    return models


def official_names() -> list[str]:
    """Names of all published checkpoints, in the order of the official tables."""
    return list(_models())


def official(name: str) -> OfficialModel:
    """The published checkpoint of a name.

    Raises:
        ValueError: there is none.
    """
    try:
        return _models()[name]
    except KeyError:
        raise ValueError(
            f"no official checkpoint {name!r}; densepose-ext models lists them all"
        ) from None


def official_of_config(config_file: str) -> OfficialModel:
    """The checkpoint that was published for a config, found by the name of the file.

    Raises:
        ValueError: there is none.
    """
    path = PurePath(config_file).with_suffix("")
    below = "/".join(path.parts[-2:])
    if below in _models():
        return _models()[below]
    # a copy of a config of embeddings is not the one of charts that has the same name
    if path.name in _models() and path.parent.name not in ("cse", "evolution"):
        return _models()[path.name]
    raise ValueError(
        f"{config_file}: the official project has published no checkpoint of this name;"
        " densepose-ext models lists those it has"
    )
