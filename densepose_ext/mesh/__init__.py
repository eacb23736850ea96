"""The surface that a picture shows, in space: on the open body at rest, y up, metres."""

from .files import write_obj, write_ply
from .points import seen_points
from .template import draw_template
