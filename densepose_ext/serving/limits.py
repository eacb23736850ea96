"""What a server takes on."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """Limits of requests; beyond them a request is refused with a reason.

    Attributes:
        megabytes: of an upload, in 10^6 bytes.
        megapixels: of a picture, in 10^6 pixels.
        requests: in progress at a time, waiting ones included.
        seconds: for an upload to arrive; and for a result of a picture, waiting included.
        film_megabytes: of a film, in 10^6 bytes.
        film_frames: of a film.

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
        """Of an upload."""
        return round(self.megabytes * 1e6)

    @property
    def pixels(self) -> int:
        """Of a picture."""
        return round(self.megapixels * 1e6)
