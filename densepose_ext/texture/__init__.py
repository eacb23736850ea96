"""Texture atlases: the colours of a person's whole surface in one picture.

Atlases are painted onto people, extracted from people, and transferred between them. Pictures are
(H, W, 3) uint8 BGR.
"""

from .apply import apply_texture
from .atlas import Atlas
from .extract import Extraction, TextureExtractor
from .fill import fill_atlas, fill_black, fill_transparent
from .iuv_picture import people_of_iuv
from .transfer import atlas_of, transfer_texture
