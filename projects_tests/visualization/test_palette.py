"""The palettes: neighbours apart, relatives near, and for eyes of all kinds."""

import numpy as np
import pytest

from densepose_ext.evaluation import gallery
from densepose_ext.surface.parts import FINE_MIRROR, FINE_PART_NAMES, FINE_TO_COARSE
from densepose_ext.surface.surface import BodySurface
from densepose_ext.synthetic import preview
from densepose_ext.visualization import PALETTES, PART_COLOURS, part_colours, person_colour

#: Linear RGB as seen without the pigment for red or green: Machado, Oliveira, Fernandes 2009.
EYES = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def oklab(rgb, eyes="usual"):
    """OKLab (N, 3) of sRGB uint8 (N, 3): Ottosson 2020."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ EYES[eyes].T, 0, 1)
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(linear @ np.transpose(to_cones)) @ np.transpose(to_lab)


def distances(rgb, eyes="usual"):
    lab = oklab(rgb, eyes)
    return np.linalg.norm(lab[:, None] - lab[None], axis=2)


def touching_parts():
    """(P, 2) pairs of parts that share an edge of the body."""
    surface = BodySurface.load()
    faces, parts = surface.body.faces, surface.charts.face_part
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    order = np.lexsort(edges.T)
    edges, parts = edges[order], np.repeat(parts, 3)[order]
    same = (edges[1:] == edges[:-1]).all(1) & (parts[1:] != parts[:-1])
    return np.unique(np.sort(np.stack([parts[1:], parts[:-1]], 1)[same], axis=1), axis=0)


@pytest.mark.parametrize(
    ("name", "eyes", "apart", "different"),
    [
        ("default", "usual", 0.10, 0.06),
        ("colour-blind", "usual", 0.095, 0.06),
        ("colour-blind", "protanopia", 0.09, 0.04),
        ("colour-blind", "deuteranopia", 0.09, 0.04),
    ],
)
def test_neighbours_are_apart(name, eyes, apart, different):
    distance = distances(part_colours(name), eyes)
    for a, b in touching_parts():
        assert distance[a, b] >= apart, (FINE_PART_NAMES[a], FINE_PART_NAMES[b])
    assert distance[np.triu_indices(25, 1)].min() >= different


@pytest.mark.parametrize("name", PALETTES)
def test_parts_of_a_limb_are_related(name):
    """A part's nearest colours are those of its own limb, on either side."""
    distance = distances(part_colours(name))
    limb = np.minimum(FINE_TO_COARSE, FINE_TO_COARSE[FINE_MIRROR])
    for part in range(1, 25):
        relatives = np.flatnonzero((limb == limb[part]) & (np.arange(25) != part))
        others = np.flatnonzero(limb[1:] != limb[part]) + 1
        assert distance[part, relatives].min() < np.median(distance[part, others])


def test_one_palette():
    assert gallery.PART_COLOURS is PART_COLOURS
    assert preview.PART_COLOURS is PART_COLOURS
    assert PALETTES["default"] is PART_COLOURS
    for table in PALETTES.values():
        assert table.shape == (25, 3)
        assert not table[0].any()
        assert not table.flags.writeable


def test_unknown_names():
    with pytest.raises(ValueError, match="'rainbow'; expected one of default, colour-blind, vir"):
        part_colours("rainbow")


def test_colours_of_people():
    assert len({person_colour(n) for n in range(12)}) == 12
    assert person_colour(12) == person_colour(0)
    assert person_colour(np.int64(3)) == person_colour(3)
