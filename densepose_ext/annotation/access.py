"""Who may talk to the server: pages that it has served, from this machine or with its token."""

from __future__ import annotations

import ipaddress
import secrets
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse

COOKIE = "densepose_annotate"
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; base-uri 'none';"
    " frame-ancestors 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine alone."""
    host = host.strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """ASGI middleware.

    Without a token a request has to be addressed to this machine: another site's page could
    otherwise have its own name lead here. With a token it has to be in the address of the first
    page, and is in a cookie from then on. Requests that change something need a header that other
    sites' pages cannot send.
    """

    def __init__(self, app, token: str | None):
        self._app, self._token = app, token

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Request(scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((key.encode(), value.encode()) for key, value in _HEADERS.items()),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, request: Request):
        """The answer to a request that is not let through; None for one that is."""
        if self._token is None:
            if not is_loopback(request.url.hostname or ""):
                return PlainTextResponse("this server is for this machine alone", 403)
        else:
            given = parse_qs(request.url.query).get("token", [""])[0]
            if given and request.method == "GET" and self._matches(given):
                answer = RedirectResponse(request.url.path, 303)
                answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
                return answer
            if not self._matches(request.cookies.get(COOKIE, "")):
                return PlainTextResponse(
                    "open the address that the server printed, with its token", 401
                )
        if request.method not in ("GET", "HEAD") and not request.headers.get("x-session"):
            return PlainTextResponse("the header X-Session is missing", 403)
        return None

    def _matches(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), (self._token or "").encode())
