"""Parts by name."""

import pytest

from densepose_ext.surface.part_selection import select_parts


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ("torso", (1, 2)),
        ("torso-front", (2,)),
        ("hands", (3, 4)),
        ("left-hand", (4,)),
        ("feet", (5, 6)),
        ("right-foot", (6,)),
        ("arms", tuple(range(15, 23))),
        ("left-upper-arm", (15, 17)),
        ("torso,arms", (1, 2, *range(15, 23))),
        ("upper-body", (1, 2, *range(15, 23))),
        ("legs", tuple(range(7, 15))),
        ("lower-legs", (11, 12, 13, 14)),
        ("head", (23, 24)),
        ("body", tuple(range(1, 25))),
        ("3, Torso-back,3", (1, 3)),
    ],
)
def test_names(names, parts):
    assert select_parts(names) == parts


@pytest.mark.parametrize("names", ["", "hair", "0", "25", "torso,", "left-torso", "background"])
def test_no_such_part(names):
    with pytest.raises(ValueError, match=r"no part '.*'; expected 1 to 24, or such names as torso"):
        select_parts(names)
