"""An HTTP server of files that breaks off, forgets, or refuses, as told."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse


@dataclass
class Files:
    """What is served, and what was asked for.

    Attributes:
        contents: of files by path. tag: their ETag.
        ends: byte at which the connection of each further request ends; then none does.
        status: answered to everything, if not 0.
        says_length: whether it sends Content-Length.
        asked: the header Range of each request, or "".
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    tag: str = '"first"'
    ends: list[int] = field(default_factory=list)
    status: int = 0
    says_length: bool = True
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def file_server():
    """Yields :class:`Files` whose ``url`` leads to them."""
    files = Files()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range", "")
            files.asked.append(wanted)
            content = files.contents.get(urlparse(self.path).path)  # of a proxy: a whole URL
            if files.status or content is None:
                self.send_error(files.status or 404)
                return
            start = 0
            if wanted and self.headers.get("If-Range") == files.tag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("ETag", files.tag)
            if files.says_length:
                self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : files.ends.pop(0) if files.ends else None])

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    files.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield files
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
