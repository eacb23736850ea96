"""Listens on a port, and runs a local server until it is stopped."""

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
    """A listening socket, with the URL and the token of its server.

    Attributes:
        address: URL to open in a browser; includes the token if there is one.
        token: None if no token is needed.
    """

    socket: socket.socket
    address: str
    token: str | None

    def run(self, app, grace: float = 3) -> None:
        """Serves an ASGI application until Ctrl-C or SIGTERM.

        Args:
            grace: seconds that requests in progress get to finish at shutdown.

        Raises:
            KeyboardInterrupt: after Ctrl-C, once everything is closed.
        """
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=round(grace))
        with _sigterm_as_exit():
            uvicorn.Server(config).run(sockets=[self.socket])


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Turns SIGTERM, which uvicorn raises again after shutdown, into SystemExit."""

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
    """Opens a listener, and closes it at the end.

    Args:
        host: address to listen on.
        port: 0 for any free port.
        token: default: none for a loopback address, else a random one.

    Raises:
        OSError: the port cannot be used.
    """
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Since the protocol is named, asyncio disables Nagle's algorithm, which delays responses by
    # 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        if sys.platform != "win32":  # where it would let two programs listen on one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OSError(f"cannot listen on {host}, port {port}: {reason}") from error
        listener.listen(128)  # from now on, connections wait until the server is ready
        shown = f"[{host}]" if ":" in host else host
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else shown
        query = f"?token={token}" if token else ""
        address = f"http://{shown}:{listener.getsockname()[1]}/{query}"
        yield Listener(listener, address, token)
