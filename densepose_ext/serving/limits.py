"""The limits of requests."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Limits of requests; those that exceed them are refused.

    Attributes:
        megabytes: maximum size of a picture file, 10^6 bytes.
        megapixels: maximum size of a picture or frame, 10^6 pixels.
        requests: maximum number of requests in progress, including waiting ones.
        seconds: maximum time for an upload, and for the result of a picture, including waiting.
        film_megabytes: maximum size of a video file, 10^6 bytes.
        film_frames: maximum number of frames of a video.

    Raises:
        ValueError: one is not positive.
    """

    megabytes: float = 32
    megapixels: float = 50
    requests: int = 16
    seconds: float = 60
    film_megabytes: float = 100
    film_frames: int = 3000

    def __post_init__(self):
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(
                    f"the limit of {field.name} is {getattr(self, field.name)}; expected more"
                    " than 0"
                )

    @property
    def bytes(self) -> int:
        """Maximum size of an upload."""
        return round(self.megabytes * 1e6)

    @property
    def pixels(self) -> int:
        """Maximum number of pixels of a picture or frame."""
        return round(self.megapixels * 1e6)
