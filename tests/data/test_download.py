"""Laws of focalaudio.data.download, against a server on this machine."""

import hashlib
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

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


@pytest.fixture
def fetch(server, tmp_path):
    """Calls download_esc50 on the server with what fits its archive."""
    server.body = ARCHIVE

    def call(folder=tmp_path / "ESC-50", **changes):
        options = {
            "url": server.url,
            "sha256": digest(ARCHIVE),
            "progress": False,
            "contents": CONTENTS,
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


# Fetching


@pytest.mark.parametrize("sha256", [digest(ARCHIVE), None], ids=["sum", "none"])
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


@pytest.mark.parametrize("says_length", [True, False])
def test_oversize_is_refused(fetch, server, tmp_path, says_length):
    server.says_length = says_length
    n_bytes = len(ARCHIVE)
    assert "max_bytes=" in refusal(fetch, max_bytes=n_bytes - 1)
    assert left_in(tmp_path) == []
    fetch(max_bytes=n_bytes)


@pytest.mark.parametrize(
    "url",
    ["http://example.org/esc50.zip", "file:///etc/passwd", "esc50.zip"],
)
def test_only_https_is_fetched(fetch, url, tmp_path):
    assert f"url={url!r} is not https" in refusal(fetch, url=url)
    assert left_in(tmp_path) == []


def test_redirections_cannot_leave_https(fetch, server, tmp_path):
    server.status, server.location = 302, "http://example.org/esc50.zip"
    assert "is not https" in refusal(fetch)
    assert left_in(tmp_path) == []


def test_a_cut_connection_is_taken_up_again(fetch, server, tmp_path):
    server.cut_after = len(ARCHIVE) // 2 + 1
    fetch()
    assert server.ranges == [None, f"bytes={server.cut_after}-"]
    server.cut_after, server.has_ranges = 1000, False
    message = refusal(fetch, folder=tmp_path / "other")
    assert "cut after 1000 bytes" in message
    assert left_in(tmp_path) == ["ESC-50"]


def test_what_a_killed_process_left_is_removed(fetch, server, tmp_path):
    left = tmp_path / ".ESC-50-0123456789ab.part"
    (left / "unpacked").mkdir(parents=True)
    (left / "archive.zip").write_bytes(b"half")
    (tmp_path / ".ESC-50-mine").mkdir()
    fetch()
    assert left_in(tmp_path) == [".ESC-50-mine", "ESC-50"]


def test_several_at_once_fetch_once(fetch, server):
    with ThreadPoolExecutor(3) as pool:
        folders = set(pool.map(lambda _: fetch(), range(3)))
    assert len(folders) == len(server.ranges) == 1


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
