"""A server of files on this machine, for tests of downloads."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Serves small files by the last part of their path; it can break off, forget ranges and shift them.

    `cut_at` bytes of a file are sent before the connection is closed.
    """

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.checksums = {name: f"md5:{hashlib.md5(content).hexdigest()}" for name, content in self.files.items()}
        self.asked: list[tuple[str, str | None, int]] = []  # name, Range header, status
        self.paths: list[str] = []
        self.cut_at: int | None = None
        self.ranges = True
        self.shift = 0
        self.url = f"http://127.0.0.1:{self.server_port}/files"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer from a thread."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        name = self.path.rsplit("/", 1)[-1].split("?")[0]
        wanted = self.headers.get("Range")
        content = self.server.files.get(name)
        if content is None:
            self.server.asked.append((name, wanted, 404))
            self.send_error(404)
            return
        start, size = 0, len(content)
        if wanted and self.server.ranges:
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted).groups()  # type: ignore[union-attr]
            start, content = int(first), content[: int(last) + 1] if last else content
            if start >= len(content):
                self.server.asked.append((name, wanted, 416))
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start += self.server.shift
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{size}")
        else:
            self.send_response(200)
        self.server.asked.append((name, wanted, 206 if start else 200))
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.server.cut_at])

    def log_message(self, *_: object) -> None:
        pass
