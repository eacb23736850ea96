"""Access control of local servers: requests addressed to this machine, or with a token."""

from __future__ import annotations

import ipaddress
import secrets
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:;"
    " media-src 'self' blob:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether a host name or address is a loopback one, which only this machine can reach."""
    host = host.strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """ASGI middleware that refuses requests without access.

    Without a token, requests must name a loopback host: another site could make its own host name
    resolve to this machine (DNS rebinding). With a token, programs send it as
    ``Authorization: Bearer TOKEN``; browsers get it in the URL of the first page, then keep it in a
    cookie. Requests from pages of other sites are always refused.
    """

    def __init__(self, app, token: str | None, cookie: str):
        """
        Args:
            token: None: no token is needed.
            cookie: name of the cookie, unique to the server: ports of a host share their cookies.
        """
        self._app, self._token, self._cookie = app, token, cookie

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._answer(Request(scope))

        async def send_with_headers(message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((key.encode(), value.encode()) for key, value in _HEADERS.items()),
                ]
            await send(message)

        await (answer or self._app)(scope, receive, send_with_headers)

    def _answer(self, request: Request) -> Response | None:
        """The response to a request without access; None if it has access."""
        if not _is_of_this_site(request):
            return _refusal(403, "requests from pages of other sites are refused")
        if self._token is None:
            if not is_loopback(request.url.hostname or ""):
                return _refusal(403, "this server is only for this machine")
            return None
        given = parse_qs(request.url.query).get("token", [""])[0]
        if given and request.method == "GET" and self._is_token(given):
            answer = RedirectResponse(request.url.path, 303)
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
            return answer
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given.strip()):
            return None
        if self._is_token(request.cookies.get(self._cookie, "")):
            return None
        return _refusal(
            401,
            "the token is missing or wrong: open the URL that the server printed; programs send the"
            " header Authorization: Bearer TOKEN",
            {"www-authenticate": "Bearer"},
        )

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), (self._token or "").encode())


def _is_of_this_site(request: Request) -> bool:
    """False if the browser says that a page of another site has sent the request."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": reason}, status, headers)
