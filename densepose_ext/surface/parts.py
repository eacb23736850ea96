"""The parts of the body surface, which the labels I of DensePose number.

The surface is cut into 24 charts ("fine parts", index I = 1..24, 0 is background), each with
coordinates U, V in [0, 1]. Annotators drew 14 coarser regions (``dp_masks``, 1..14). Right and left
are the person's own (Güler, Neverova, Kokkinos: DensePose, CVPR 2018, section 2).
"""

import re

import numpy as np

#: Points and masks of an annotation are given in 1/256 of the person's box.
ANNOTATION_SIDE = 256

NUM_FINE_PARTS = 24
NUM_COARSE_PARTS = 14

#: Name of each fine part, by I.
FINE_PART_NAMES = (
    "background",
    "torso back",
    "torso front",
    "right hand",
    "left hand",
    "left foot",
    "right foot",
    "right upper leg back",
    "left upper leg back",
    "right upper leg front",
    "left upper leg front",
    "right lower leg back",
    "left lower leg back",
    "right lower leg front",
    "left lower leg front",
    "left upper arm front",
    "right upper arm front",
    "left upper arm back",
    "right upper arm back",
    "left lower arm front",
    "right lower arm front",
    "left lower arm back",
    "right lower arm back",
    "head right half",
    "head left half",
)

#: Name of each coarse part, by its index in ``dp_masks`` plus one.
COARSE_PART_NAMES = (
    "background",
    "torso",
    "right hand",
    "left hand",
    "left foot",
    "right foot",
    "right upper leg",
    "left upper leg",
    "right lower leg",
    "left lower leg",
    "left upper arm",
    "right upper arm",
    "left lower arm",
    "right lower arm",
    "head",
)


def _mirror(names: tuple[str, ...]) -> np.ndarray:
    """Index of the part with "left" and "right" exchanged in its name. Shape (len(names),)."""
    swap = {"left": "right", "right": "left"}
    mirrored = [" ".join(swap.get(word, word) for word in name.split()) for name in names]
    return np.array([names.index(name) for name in mirrored])


#: The part that takes the place of part i in a flipped picture. Shapes (25,) and (15,).
FINE_MIRROR = _mirror(FINE_PART_NAMES)
COARSE_MIRROR = _mirror(COARSE_PART_NAMES)

#: Coarse part of each fine part: the limb, whether front or back. Shape (25,).
FINE_TO_COARSE = np.array(
    [
        COARSE_PART_NAMES.index("head" if "head" in name else re.sub(" (back|front)$", "", name))
        for name in FINE_PART_NAMES
    ]
)

#: The eight groups that share a kappa in the evaluation, and the group of each fine part.
GROUP_NAMES = (
    "background",
    "torso",
    "hands",
    "feet",
    "upper legs",
    "lower legs",
    "upper arms",
    "lower arms",
    "head",
)
FINE_TO_GROUP = np.array(
    [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8]
)

#: Tolerance of the geodesic point similarity for each group, in metres. Shape (9,); 0 unused.
GROUP_KAPPA = np.array([0.0, 0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150])
