"""Laws of focalaudio.data.transfer, against a server on this machine."""

import hashlib
import threading
import time

import pytest
from huggingface_hub import constants

from focalaudio.data import transfer
from focalaudio.data.transfer import _TRIES, TransferError, alone, receive


@pytest.fixture
def fetch(server, tmp_path):
    """Bring what the server has; return the digest and the bytes."""

    def fetch_it(max_bytes=10**6, **changes):
        path = tmp_path / "file"
        path.unlink(missing_ok=True)
        url = changes.pop("url", server.url)
        with path.open("xb") as file:
            digest = receive(url, file, max_bytes, **changes)
        return digest, path.read_bytes()

    return fetch_it


def refusal(call, **changes):
    with pytest.raises(TransferError) as caught:
        call(**changes)
    return caught.value


@pytest.mark.parametrize("says_length", [True, False])
def test_the_bytes_come_with_their_digest(fetch, server, says_length):
    server.says_length = says_length
    digest = hashlib.sha256(server.body).hexdigest()
    assert fetch(max_bytes=len(server.body)) == (digest, server.body)


@pytest.mark.parametrize("has_ranges", [True, False])
def test_what_is_cut_goes_on_where_the_server_can(fetch, server, has_ranges):
    server.cut_after, server.has_ranges = 30_000, has_ranges
    reported = []
    if not has_ranges:  # no attempt comes further than the one before
        error = refusal(fetch)
        assert error.passes
        assert "cut after 30000 bytes" in str(error)
        return
    digest, data = fetch(report=reported.append)
    assert data == server.body
    assert digest == hashlib.sha256(data).hexdigest()
    assert sum(reported) == len(data)
    assert server.ranges == [
        None, "bytes=30000-", "bytes=60000-", "bytes=90000-"
    ]  # fmt: skip


def test_a_server_without_ranges_may_start_again(fetch, server):
    server.cut_after, server.has_ranges = 30_000, False
    reported = []

    def mend(n_bytes):
        reported.append(n_bytes)
        server.cut_after = None

    digest, data = fetch(report=mend)
    assert data == server.body
    assert digest == hashlib.sha256(data).hexdigest()
    assert sum(reported) == len(data)


def test_more_cuts_than_tries_are_too_many(fetch, server):
    server.cut_after = len(server.body) // (_TRIES + 1)
    assert refusal(fetch).passes
    assert len(server.ranges) == _TRIES


def test_a_part_from_another_place_is_refused(fetch, server):
    send = server.send

    def lie(handler, body, headers):
        if "Content-Range" in headers:
            headers["Content-Range"] = "bytes 0-9/10"
        send(handler, body, headers)

    server.cut_after, server.send = 30_000, lie
    assert refusal(fetch).status == 206


@pytest.mark.parametrize("says_length", [True, False])
def test_never_more_than_allowed_is_written(
    fetch, server, tmp_path, says_length
):
    server.says_length = says_length
    error = refusal(fetch, max_bytes=len(server.body) - 1)
    assert "more than max_bytes=102399" in str(error)
    assert (tmp_path / "file").stat().st_size < len(server.body)


@pytest.mark.parametrize("drips", ["head", "body"])
def test_a_server_that_drips_is_left_in_the_end(
    fetch, server, monkeypatch, drips
):
    monkeypatch.setattr(transfer, "_GRACE", 0.2)
    server.drips, server.says_length = drips, False
    start = time.monotonic()
    assert "too slow" in str(refusal(fetch, max_bytes=1000))
    assert time.monotonic() - start < 5


def test_the_time_is_in_proportion_to_the_bytes(fetch, server, monkeypatch):
    monkeypatch.setattr(transfer, "_GRACE", 0.0)
    monkeypatch.setattr(transfer, "_SLOWEST", 1e9)
    server.drips, server.says_length = "body", False
    assert "after 1 s" in str(refusal(fetch, max_bytes=1_000_000_000))


def test_a_silent_server_is_not_waited_for(fetch, server, monkeypatch):
    monkeypatch.setattr(transfer, "_TIMEOUT", 0.1)
    release = threading.Event()
    server.answer = lambda handler: release.wait(10)
    error = refusal(fetch)
    release.set()
    assert error.passes
    assert "cannot be reached" in str(error)


def test_an_absent_server_is_an_error(fetch):
    assert refusal(fetch, url="http://127.0.0.1:9/x").passes


def test_offline_is_an_error(fetch, server, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in str(refusal(fetch))
    assert server.ranges == []


@pytest.mark.parametrize(
    ("status", "passes"), [(403, False), (404, False), (429, True), (503, True)]
)
def test_a_refusal_says_whether_it_passes(fetch, server, status, passes):
    server.status = status
    error = refusal(fetch)
    assert (error.status, error.passes) == (status, passes)


URLS = [
    "http://example.org/x.zip",
    "ftp://127.0.0.1/x.zip",
    "file:///etc/passwd",
    "//x/y",
    "http://127.0.0.1.example.org/x.zip",
    "http://127.0.0.1@example.org/x.zip",
    "https://[bad/x.zip",
    "https://a\tb",
    "https://a\u202eb",
]


@pytest.mark.parametrize("url", [*URLS, "data:,zip", "x.zip", ""])
def test_only_https_is_asked(fetch, url):
    assert f"url={url!r}" in str(refusal(fetch, url=url))


@pytest.mark.parametrize("location", URLS[:-2])
def test_redirections_cannot_leave_https(fetch, server, location):
    server.status, server.location = 302, location
    words = "is not https" if "[" not in location else "Invalid IPv6 URL"
    assert words in str(refusal(fetch))
    assert len(server.ranges) == 1


@pytest.mark.parametrize("url", ["http://[::1]/", "http://localhost/x"])
def test_https_is_not_led_to_this_machine(url):
    with pytest.raises(TransferError, match="is not https"):
        transfer.check_url(url, "https://example.org")
    transfer.check_url(url)


@pytest.mark.parametrize("host", ["https://a..b/", "https://xn--a/"])
def test_hosts_that_cannot_be_are_an_error(fetch, host):
    assert "cannot be reached" in str(refusal(fetch, url=host))


def test_redirections_in_circles_end(fetch, server):
    server.status, server.location = 302, server.url
    assert "from one address to the next" in str(refusal(fetch))


@pytest.mark.parametrize("token", [True, False])
def test_the_token_is_for_the_first_host_alone(
    fetch, server, monkeypatch, token
):
    monkeypatch.setenv("HF_TOKEN", "secret")
    away = server.url.replace("127.0.0.1", "localhost")
    answer = server.answer

    def lead_away(handler):
        is_home = handler.headers["Host"].startswith("127.")
        server.status = 302 if is_home else 200
        server.location = away if is_home else None
        answer(handler)

    server.answer = lead_away
    fetch(token=token)
    sent = [headers.get("authorization") for headers in server.headers]
    assert sent == ["Bearer secret" if token else None, None]


def test_a_full_disk_is_not_a_cut_connection(server):
    class Full:
        def tell(self):
            return 0

        def write(self, block):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        receive(server.url, Full(), 10**6)
    assert len(server.ranges) == 1


def test_one_at_a_time_makes_a_folder(tmp_path):
    folder, inside = tmp_path / "new", []

    def make():
        with alone(folder):
            inside.append("in")
            time.sleep(0.05)
            inside.append("out")

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == ["in", "out"] * 3
    assert list(tmp_path.iterdir()) == []
