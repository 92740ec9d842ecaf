"""A hub on this machine."""

import base64
import hashlib
import json
import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

LFS_SUFFIXES = (".safetensors", ".wav", ".png")


def git_blob_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def describe(name, data):
    """One file of a listing."""
    sibling = {"rfilename": name, "size": len(data)}
    if not name.endswith(LFS_SUFFIXES):
        return sibling | {"blobId": git_blob_id(data)}
    sha256 = hashlib.sha256(data).hexdigest()
    lfs = {"size": len(data), "sha256": sha256, "pointerSize": 134}
    return sibling | {"blobId": git_blob_id(sha256.encode()), "lfs": lfs}


class Handler(BaseHTTPRequestHandler):
    """Passes each request to its hub's method for that kind of address."""

    protocol_version = "HTTP/1.1"
    routes = (
        ("GET", r"/api/models/([^/]+/[^/]+)/revision/(.+)", "list_files"),
        ("GET", r"/api/models/([^/]+/[^/]+)", "list_files"),
        ("HEAD", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
        ("GET", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
        ("GET", r"/storage/([0-9a-f]{64})", "load"),
        ("PUT", r"/storage/([0-9a-f]{64})", "store"),
        ("POST", r"/api/repos/create", "create"),
        ("POST", r"/api/models/([^/]+/[^/]+)/branch/(.+)", "branch"),
        ("POST", r"/api/validate-yaml", "validate"),
        ("POST", r"/api/models/([^/]+/[^/]+)/preupload/(.+)", "preupload"),
        ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
        ("POST", r"/api/models/([^/]+/[^/]+)/commit/(.+)", "commit"),
    )

    def answer(self):
        path = urlsplit(self.path).path
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        self.hub.requests.append((self.command, path, dict(self.headers)))
        for method, pattern, name in self.routes:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                parts = map(unquote, match.groups())
                return getattr(self.hub, name)(self, *parts)
        return self.refuse(404, "EntryNotFound")

    do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815

    def send(self, data, status=200, **headers):
        self.send_response(status)
        headers = {"Content-Length": len(data)} | headers
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):  # nobody wants the rest
                self.wfile.write(data)

    def send_json(self, value, status=200):
        self.send(json.dumps(value).encode(), status)

    def refuse(self, status, code):
        self.send(b"", status, X_Error_Code=code)

    def log_message(self, *args):
        pass


class Hub:
    """Repositories in memory; its attributes are its weaknesses."""

    def __init__(self):
        self.commits = {}  # name -> commit -> file name -> bytes
        self.branches = {}  # name -> branch -> commit
        self.storage = {}  # sha256 -> bytes
        self.requests = []  # (method, path, headers)
        self.status = None  # (status, code) of every answer
        self.file_status = None  # the same, of files only
        self.listed = None  # changes a listing before it is sent
        self.sent = None  # changes the bytes of a file
        self.cut_after = None  # bytes of a file after which to hang up
        self.has_ranges = True
        self.location = None  # where every file is said to be
        self.token = None  # who may see the files
        self.card_errors = []  # what is wrong with any README.md

    def start(self):
        handler = type("OwnHandler", (Handler,), {"hub": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(
            target=self.http.serve_forever, args=(0.01,)
        )
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        return self

    def stop(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def add(self, name, files, branch="main"):
        """Commit files; return the commit."""
        text = repr((name, branch, sorted(files.items())))
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.commits.setdefault(name, {})[commit] = dict(files)
        self.branches.setdefault(name, {})[branch] = commit
        for data in files.values():
            self.storage[hashlib.sha256(data).hexdigest()] = data
        return commit

    def downloads(self):
        """How many files were asked for."""
        return sum("/resolve/" in path for _, path, _ in self.requests)

    def find(self, handler, name, revision):
        """Return the commit and its files, or refuse."""
        token = handler.headers.get("Authorization")
        if self.status:
            return handler.refuse(*self.status)
        if self.token and token != f"Bearer {self.token}":
            return handler.refuse(401, "RepoNotFound")
        if name not in self.branches:
            return handler.refuse(404, "RepoNotFound")
        commit = self.branches[name].get(revision, revision)
        if commit not in self.commits[name]:
            return handler.refuse(404, "RevisionNotFound")
        return commit, self.commits[name][commit]

    def list_files(self, handler, name, revision="main"):
        if found := self.find(handler, name, revision):
            commit, files = found
            siblings = [describe(*item) for item in files.items()]
            listing = {"id": name, "sha": commit, "siblings": siblings}
            if self.listed:
                listing = self.listed(listing)
            if isinstance(listing, bytes):
                handler.send(listing)
            else:
                handler.send_json(listing)

    def resolve(self, handler, name, revision, file):
        found = self.find(handler, name, revision)
        if not found:
            return
        commit, files = found
        if self.file_status or file not in files:
            handler.refuse(*(self.file_status or (404, "EntryNotFound")))
            return
        data = files[file]
        sha256 = hashlib.sha256(data).hexdigest()
        is_lfs = file.endswith(LFS_SUFFIXES)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{git_blob_id(data)}"'}
        if is_lfs or self.location:
            headers["X-Linked-Etag"] = f'"{sha256}"'
            headers["X-Linked-Size"] = len(data)
            headers["Location"] = self.location or f"/storage/{sha256}"
            handler.send(b"", 302, **headers)
            return
        self.send_part(handler, data, headers)

    def load(self, handler, sha256):
        self.send_part(handler, self.storage[sha256], {})

    def send_part(self, handler, data, headers):
        """Send a file from where it is asked for, as well as can be."""
        data = self.sent(data) if self.sent else data
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked and self.has_ranges else 0
        if start:
            last = len(data) - 1
            bounds = f"bytes {start}-{last}/{len(data)}"
            headers = headers | {"Content-Range": bounds}
        part = data[start:]
        if self.cut_after is None or len(part) <= self.cut_after:
            handler.send(part, 206 if start else 200, **headers)
            return
        headers = headers | {"Content-Length": len(part)}
        cut = part[: self.cut_after]
        handler.send(cut, 206 if start else 200, **headers)
        handler.close_connection = True

    def store(self, handler, sha256):
        assert hashlib.sha256(handler.body).hexdigest() == sha256
        self.storage[sha256] = handler.body
        handler.send(b"")

    def create(self, handler):
        if self.status:
            handler.refuse(*self.status)
            return
        wanted = json.loads(handler.body)
        name = f"{wanted['organization']}/{wanted['name']}"
        self.visibility = wanted.get("visibility")
        if name in self.branches:
            url = f"{self.url}/{name}"
            handler.send_json({"error": "exists", "url": url}, 409)
            return
        self.add(name, {})
        handler.send_json({"url": f"{self.url}/{name}"})

    def branch(self, handler, name, branch):
        branches = self.branches[name]
        if branch in branches:
            handler.send_json({"error": "exists"}, 409)
            return
        branches[branch] = branches["main"]
        handler.send_json({})

    def validate(self, handler):
        errors = [{"message": each} for each in self.card_errors]
        answer = {"warnings": [], "errors": errors}
        handler.send_json(answer, 400 if errors else 200)

    def preupload(self, handler, name, revision):
        names = [each["path"] for each in json.loads(handler.body)["files"]]
        modes = [
            {
                "path": each,
                "uploadMode": "lfs"
                if each.endswith(LFS_SUFFIXES)
                else "regular",
                "shouldIgnore": False,
            }
            for each in names
        ]
        handler.send_json({"files": modes})

    def batch(self, handler, name):
        objects = json.loads(handler.body)["objects"]
        for each in objects:
            if each["oid"] not in self.storage:
                href = f"{self.url}/storage/{each['oid']}"
                each["actions"] = {"upload": {"href": href}}
        handler.send_json({"transfer": "basic", "objects": objects})

    def commit(self, handler, name, branch):
        files = dict(self.commits[name][self.branches[name][branch]])
        for line in handler.body.splitlines():
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.storage[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        commit = self.add(name, files, branch)
        url = f"{self.url}/{name}/commit/{commit}"
        handler.send_json({"commitUrl": url, "commitOid": commit})


@pytest.fixture
def hub(monkeypatch):
    """An empty hub; the client is without token, xet and offline mode."""
    from huggingface_hub import constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nonexistent/token")
    hub = Hub().start()
    yield hub
    hub.stop()
