"""Laws of focalaudio.data.download, against a server on this machine."""

import hashlib
import io
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile

from focalaudio.data.download import Contents, download_esc50
from focalaudio.data.esc50 import read_metadata
from focalaudio.errors import DataError

SAMPLE_RATE, N_FRAMES, N_CLIPS = 8000, 4000, 6
CSV = "filename,fold,target,category,esc10,src_file,take\n" + "".join(
    f"{fold}-{fold}{target}-A-{target}.wav,{fold},{target},"
    f"{('dog', 'rain')[target]},True,{fold}{target},A\n"
    for fold in (1, 2, 3)
    for target in (0, 1)
)
CONTENTS = Contents(
    csv_sha256=hashlib.sha256(CSV.encode()).hexdigest(),
    n_clips=N_CLIPS,
    sample_rate=SAMPLE_RATE,
    n_frames=N_FRAMES,
)


def make_wav(seed, sample_rate=SAMPLE_RATE, n_frames=N_FRAMES):
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, n_frames)
    file = io.BytesIO()
    soundfile.write(file, noise, sample_rate, format="WAV")
    return file.getvalue()


def make_files(top="ESC-50-abc/"):
    """Name -> bytes of a tiny release."""
    names = [line.split(",")[0] for line in CSV.splitlines()[1:]]
    files = {f"{top}audio/{name}": make_wav(i) for i, name in enumerate(names)}
    return {f"{top}meta/esc50.csv": CSV.encode(), **files}


def make_zip(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


ARCHIVE = make_zip(make_files())


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Server:
    """Serves `body` at any path; its attributes are its weaknesses."""

    def __init__(self):
        self.body = ARCHIVE
        self.status = 200
        self.has_ranges = True
        self.etag = '"1"'
        self.modified = None
        self.cut_after = None  # bytes of body after which to hang up
        self.says_length = True
        self.location = None
        self.ranges = []  # what was asked for, one entry per request

    def start(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802
                server.answer(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(
            target=self.http.serve_forever, args=(0.01,)
        )
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/esc50.zip"
        return self

    def stop(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        self.ranges.append(wanted)
        start = self.first_byte(handler, wanted)
        if start and start >= len(self.body):
            return handler.send_error(416)
        status = self.status
        if status != 200 and not self.location:
            return handler.send_error(status)
        handler.send_response(206 if start else status)
        if start:
            last = len(self.body) - 1
            bounds = f"bytes {start}-{last}/{len(self.body)}"
            handler.send_header("Content-Range", bounds)
        self.send_headers(handler, self.body[start:])
        handler.wfile.write(self.body[start:][: self.cut_after])
        return None

    def first_byte(self, handler, wanted):
        version = self.etag or self.modified
        is_same = handler.headers.get("If-Range") == version
        if not (wanted and self.has_ranges and is_same):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def send_headers(self, handler, body):
        headers = {
            "ETag": self.etag,
            "Last-Modified": self.modified,
            "Location": self.location,
            "Content-Length": str(len(body)) if self.says_length else None,
        }
        for name, value in headers.items():
            if value is not None:
                handler.send_header(name, value)
        handler.end_headers()


@pytest.fixture
def server():
    running = Server().start()
    yield running
    running.stop()


@pytest.fixture
def fetch(server, tmp_path):
    """Calls download_esc50 on the server with what fits its archive."""

    def call(folder=tmp_path / "ESC-50", **changes):
        options = {
            "url": server.url,
            "sha256": digest(ARCHIVE),
            "progress": False,
            "timeout": 5.0,
            "contents": CONTENTS,
            "allow_loopback": True,
            **changes,
        }
        return download_esc50(folder, **options)

    return call


def refusal(call, **changes):
    with pytest.raises(DataError) as caught:
        call(**changes)
    return str(caught.value)


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


PART = "ESC-50.zip.part"
PART_AND_NOTE = [PART, f"{PART}.json"]


# Fetching


@pytest.mark.parametrize("sha256", [digest(ARCHIVE), None])
@pytest.mark.parametrize("says_length", [True, False])
def test_folder_holds_what_the_archive_held(
    fetch, server, tmp_path, sha256, says_length
):
    server.says_length = says_length
    folder = fetch(sha256=sha256)
    assert folder == tmp_path / "ESC-50"
    for name, data in make_files(top="").items():
        assert (folder / name).read_bytes() == data
    assert len(read_metadata(folder)) == N_CLIPS
    assert left_in(tmp_path) == ["ESC-50"]


def test_archives_need_no_folder_around_them(fetch, server):
    server.body = make_zip(make_files(top=""))
    assert (fetch(sha256=None) / "meta" / "esc50.csv").is_file()


def test_missing_parents_are_made_and_empty_folders_filled(fetch, tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert fetch(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert left_in(fetch(tmp_path / "c" / "d")) == ["audio", "meta"]


def test_complete_folder_is_reused_without_network(fetch, server):
    folder = fetch()
    assert len(server.ranges) == 1
    fetch()
    assert fetch(url="https://127.0.0.1:9/none.zip") == folder
    assert len(server.ranges) == 1


@pytest.mark.parametrize("name", ["audio/1-10-A-0.wav", "meta/esc50.csv"])
def test_incomplete_folder_is_neither_used_nor_touched(fetch, server, name):
    folder = fetch()
    (folder / name).unlink()
    message = refusal(fetch)
    assert str(folder) in message
    assert "remove it" in message
    assert not (folder / name).exists()
    assert len(server.ranges) == 1


def test_a_file_in_the_place_of_the_folder_is_refused(fetch, tmp_path):
    (tmp_path / "ESC-50").write_text("mine")
    assert "not a folder" in refusal(fetch)
    assert (tmp_path / "ESC-50").read_text() == "mine"


@pytest.mark.parametrize("etag", ['"1"', None])
def test_cut_download_goes_on_where_it_stopped(fetch, server, tmp_path, etag):
    server.etag, server.cut_after = etag, 1000
    server.modified = "Wed, 01 Jan 2025 00:00:00 GMT"
    message = refusal(fetch)
    assert f"1000 of {len(ARCHIVE)} bytes" in message
    assert left_in(tmp_path) == PART_AND_NOTE
    server.cut_after = 500
    assert f"1500 of {len(ARCHIVE)} bytes" in refusal(fetch)
    server.cut_after = None
    fetch()
    assert server.ranges == [None, "bytes=1000-", "bytes=1500-"]
    assert left_in(tmp_path) == ["ESC-50"]


@pytest.mark.parametrize(
    ("change", "asks"),
    [
        ({"has_ranges": False}, True),
        ({"etag": '"2"'}, True),
        ({"etag": 'W/"1"'}, True),
    ],
)
def test_download_restarts_when_the_rest_would_not_fit(
    fetch, server, tmp_path, change, asks
):
    server.cut_after = 1000
    refusal(fetch)
    server.cut_after = None
    vars(server).update(change)
    fetch()
    assert server.ranges == [None, "bytes=1000-" if asks else None]
    assert left_in(tmp_path) == ["ESC-50"]


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_download_restarts_without_a_usable_validator(fetch, server, etag):
    server.etag, server.cut_after = etag, 1000
    refusal(fetch)
    server.cut_after = None
    fetch()
    assert server.ranges == [None, None]


def test_part_of_another_url_is_not_gone_on_with(fetch, server):
    server.cut_after = 1000
    refusal(fetch)
    server.cut_after = None
    fetch(url=server.url + "?other")
    assert server.ranges == [None, None]


def test_part_beyond_the_end_is_thrown_away(fetch, server, tmp_path):
    server.cut_after = 1000
    refusal(fetch)
    with (tmp_path / PART).open("ab") as file:
        file.write(bytes(len(ARCHIVE)))
    server.cut_after = None
    fetch()
    assert server.ranges == [None, f"bytes={1000 + len(ARCHIVE)}-", None]


def test_damaged_note_restarts(fetch, server, tmp_path):
    server.cut_after = 1000
    refusal(fetch)
    (tmp_path / f"{PART}.json").write_text("[]")
    server.cut_after = None
    fetch()
    assert server.ranges == [None, None]


def test_whole_part_needs_no_network(fetch, server, tmp_path):
    (tmp_path / PART).write_bytes(ARCHIVE)
    fetch()
    assert server.ranges == []
    assert left_in(tmp_path) == ["ESC-50"]


def test_unpacking_that_is_interrupted_keeps_the_archive(
    fetch, server, tmp_path, monkeypatch
):
    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extractall", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    assert left_in(tmp_path) == PART_AND_NOTE
    fetch()
    assert len(server.ranges) == 1


def test_wrong_digest_leaves_nothing(fetch, tmp_path):
    message = refusal(fetch, sha256="0" * 64)
    assert digest(ARCHIVE) in message
    assert "sha256=None" in message
    assert left_in(tmp_path) == []


def test_malformed_digest_is_refused_before_the_download(fetch, server):
    assert "64" in refusal(fetch, sha256="abc")
    assert server.ranges == []


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(403, "by hand"), (404, "check the url"), (500, "later"), (503, "later")],
)
def test_http_errors_say_what_to_do(fetch, server, tmp_path, status, remedy):
    server.status = status
    message = refusal(fetch)
    assert f"answered {status}" in message
    assert remedy in message
    assert left_in(tmp_path) == []


def test_server_trouble_keeps_the_part(fetch, server, tmp_path):
    server.cut_after = 1000
    refusal(fetch)
    server.cut_after, server.status, server.has_ranges = None, 503, False
    refusal(fetch)
    assert left_in(tmp_path) == PART_AND_NOTE
    assert (tmp_path / PART).stat().st_size == 1000


@pytest.mark.parametrize("says_length", [True, False])
def test_oversize_is_refused(fetch, server, tmp_path, says_length):
    server.says_length = says_length
    n_bytes = len(ARCHIVE)
    assert "max_bytes=" in refusal(fetch, max_bytes=n_bytes - 1)
    assert left_in(tmp_path) == []
    fetch(max_bytes=n_bytes)


def test_silent_server_is_not_waited_for(fetch, server, tmp_path):
    release = threading.Event()
    server.answer = lambda handler: release.wait(10)
    try:
        assert "cannot be reached" in refusal(fetch, timeout=0.1)
    finally:
        release.set()
    assert left_in(tmp_path) == []


def test_absent_server_is_an_error(fetch, server):
    port = server.http.server_port
    server.stop()
    try:
        assert str(port) in refusal(fetch)
    finally:
        server.start()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/esc50.zip",
        "ftp://127.0.0.1/esc50.zip",
        "file:///etc/passwd",
        "data:,zip",
        "esc50.zip",
        "http://127.0.0.1.example.org/esc50.zip",
        "http://127.0.0.1@example.org/esc50.zip",
        "https://[bad/esc50.zip",
    ],
)
def test_only_https_is_fetched(fetch, url, tmp_path):
    assert f"url={url}" in refusal(fetch, url=url)
    assert left_in(tmp_path) == []


def test_loopback_must_be_asked_for(fetch, server):
    assert "not https" in refusal(fetch, allow_loopback=False)
    assert server.ranges == []


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://example.org/x.zip", "is not https"),
        ("ftp://127.0.0.1/x.zip", "is not https"),
        ("file:///etc/passwd", "is not allowed"),
    ],
)
def test_redirections_cannot_leave_https(fetch, server, location, reason):
    server.status, server.location = 302, location
    message = refusal(fetch)
    assert location in message
    assert reason in message
    assert len(server.ranges) == 1


def test_redirections_are_followed(fetch, server):
    elsewhere = Server().start()
    server.status, server.location = 302, elsewhere.url
    try:
        fetch()
    finally:
        elsewhere.stop()
    assert server.ranges == elsewhere.ranges == [None]


# The contents


def with_file(name, data):
    return make_zip({**make_files(), f"ESC-50-abc/{name}": data})


BAD_CONTENTS = {
    "other csv": with_file("meta/esc50.csv", CSV.replace("dog", "cat")),
    "no csv": make_zip({"x/audio/1.wav": make_wav(0)}),
    "extra audio": with_file("audio/extra.wav", make_wav(0)),
    "rate": with_file("audio/1-10-A-0.wav", make_wav(0, sample_rate=16000)),
    "length": with_file("audio/1-10-A-0.wav", make_wav(0, n_frames=3999)),
    "no audio": with_file("audio/1-10-A-0.wav", b"not audio"),
    "html": b"<!DOCTYPE html><title>Sign in</title>",
    "empty": b"",
    "cut": ARCHIVE[:-100],
    "flipped": ARCHIVE[:3000] + bytes([ARCHIVE[3000] ^ 1]) + ARCHIVE[3001:],
}


@pytest.mark.parametrize("case", BAD_CONTENTS)
def test_wrong_contents_leave_nothing(fetch, server, tmp_path, case):
    server.body = BAD_CONTENTS[case]
    message = refusal(fetch, sha256=None)
    if case == "html":
        assert "<!DOCTYPE html>" in message
    assert left_in(tmp_path) == []


def test_number_of_clips_is_checked(fetch):
    contents = replace(CONTENTS, n_clips=N_CLIPS + 1)
    assert "7" in refusal(fetch, contents=contents)


def test_the_release_is_the_default(fetch):
    assert Contents().csv_sha256 in refusal(fetch, contents=None)
