"""The exception for requests that cannot be answered."""

from __future__ import annotations


class Refusal(Exception):
    """A request cannot be answered.

    Attributes:
        status: HTTP status: 4xx if the request is at fault, 5xx if the server is.
        headers: headers of the response.
    """

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None):
        super().__init__(" ".join(reason.split()))
        self.status = status
        self.headers = headers or {}
