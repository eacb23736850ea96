"""Videos: reading, writing, and people that stay the same from frame to frame."""

from .reader import VideoFrame, VideoReader
from .smoothing import SurfaceSmoother
from .tracking import Tracker
from .writer import VideoWriter
