"""An answer other than a result."""

from __future__ import annotations


class Refusal(Exception):
    """A request cannot be answered.

    Attributes:
        status: of HTTP: 4xx if the request is at fault, 5xx if the server is.
        headers: of the answer.
    """

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None):
        super().__init__(" ".join(reason.split()))
        self.status = status
        self.headers = headers or {}
