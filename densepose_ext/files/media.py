"""Suffixes of picture and video files."""

from __future__ import annotations

import os

PICTURE_SUFFIXES = (
    *(".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe"),
    *(".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"),
    *(".ogv", ".ts", ".webm", ".wmv"),
)


def is_video(path: str) -> bool:
    """Whether a path has the suffix of a video, and is not a folder."""
    return path.lower().endswith(VIDEO_SUFFIXES) and not os.path.isdir(path)
