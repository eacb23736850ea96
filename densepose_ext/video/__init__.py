"""Videos: reading and writing them, and tracking people through them."""

from .reader import VideoFrame, VideoReader
from .smoothing import SurfaceSmoother
from .tracking import Tracker
from .writer import VideoWriter
