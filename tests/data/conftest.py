"""A server of one file on this machine."""

import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Handler(BaseHTTPRequestHandler):
    """Passes each request to its server."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802
        self.owner.ranges.append(self.headers.get("Range"))
        self.owner.headers.append(dict(self.headers))
        self.owner.answer(self)

    def log_message(self, *args):
        pass


class Server:
    """Serves `body` at any path; its attributes are its weaknesses."""

    def __init__(self, body):
        self.body = body
        self.status = 200
        self.has_ranges = True
        self.cut_after = None  # bytes of body after which to hang up
        self.says_length = True
        self.location = None
        self.drips = None  # "head" or "body": a byte, a moment, a byte
        self.stopped = threading.Event()
        self.ranges = []  # what was asked for, one entry per request
        self.headers = []

    def start(self):
        handler = type("OwnHandler", (Handler,), {"owner": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(
            target=self.http.serve_forever, args=(0.01,)
        )
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/esc50.zip"
        return self

    def stop(self):
        self.stopped.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def answer(self, handler):
        if self.drips == "head":
            self.drip(handler, b"HTTP/1.1 200 OK\r\nX: ")
            return
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked and self.has_ranges else 0
        handler.send_response(206 if start else self.status)
        headers = {"Location": self.location}
        if start:
            last = len(self.body) - 1
            bounds = f"bytes {start}-{last}/{len(self.body)}"
            headers["Content-Range"] = bounds
        self.send(handler, self.body[start:], headers)
        handler.close_connection = True

    def send(self, handler, body, headers):
        if self.says_length:
            headers["Content-Length"] = str(len(body))
        for name, value in headers.items():
            if value is not None:
                handler.send_header(name, value)
        handler.end_headers()
        if self.drips == "body":
            self.drip(handler, b"")
        else:
            with suppress(OSError):  # nobody wants the rest
                handler.wfile.write(body[: self.cut_after])

    def drip(self, handler, first):
        with suppress(OSError):  # nobody listens any more
            handler.wfile.write(first)
            while not self.stopped.wait(0.02):
                handler.wfile.write(b"x")


@pytest.fixture
def server(monkeypatch):
    """A server of some bytes; the client is without a token."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    running = Server(bytes(range(256)) * 400).start()
    yield running
    running.stop()
