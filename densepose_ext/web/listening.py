"""Where a local server listens, and how it runs and ends."""

from __future__ import annotations

import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from .access import is_loopback


@dataclass(frozen=True)
class Listener:
    """A socket that listens, and what its server is to be told.

    Attributes:
        address: to open in a browser; the token is in it if one is needed.
        token: None on an address of this machine alone.
    """

    socket: socket.socket
    address: str
    token: str | None

    def run(self, app, grace: float = 3) -> None:
        """Serves an ASGI application until Ctrl-C or SIGTERM.

        Args:
            grace: seconds that requests in progress may take when it ends.

        Raises:
            KeyboardInterrupt: after Ctrl-C, when everything is closed.
        """
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=round(grace))
        with _sigterm_as_exit():
            uvicorn.Server(config).run(sockets=[self.socket])


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """SIGTERM raises SystemExit: uvicorn sends it again at its end, and what is open is closed."""

    def leave(number, frame):
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def listen(host: str, port: int, token: str | None = None) -> Iterator[Listener]:
    """A listener, closed in the end.

    Args:
        host: address to listen at. Any but this machine's own needs a token.
        port: 0 for any that is free.
        token: default: none is needed at an address of this machine, else a random one.

    Raises:
        OSError: the port cannot be used.
    """
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off where the protocol is named; it would hold answers
    # back for 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        if sys.platform != "win32":  # where it lets two programs listen at one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OSError(f"cannot listen at {host}, port {port}: {reason}") from error
        listener.listen(128)  # from now on browsers may connect, before the server is ready
        shown = f"[{host}]" if ":" in host else host
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else shown
        query = f"?token={token}" if token else ""
        address = f"http://{shown}:{listener.getsockname()[1]}/{query}"
        yield Listener(listener, address, token)
