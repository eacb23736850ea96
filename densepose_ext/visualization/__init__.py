"""Pictures of dense pose."""

from .boxes import draw_boxes, draw_keypoints
from .colormaps import COLORMAPS, colormap
from .compose import compose_iuv
from .contours import draw_contours
from .control import control_picture
from .legend import draw_legend, template_people
from .overlay import draw_masks, draw_parts, draw_u, draw_v
from .palette import PALETTES, PART_COLOURS, part_colours, person_colour
from .sheet import side_by_side
