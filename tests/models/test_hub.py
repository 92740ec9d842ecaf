"""Laws of focalaudio.models.hub, against a hub on this machine."""

import hashlib
import os
import random
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from focalaudio.data import transfer
from focalaudio.errors import HubError, ModelError, UnsafeModelError
from focalaudio.models import bundle_files, upload
from focalaudio.models.hub import fetch_bundle, push_bundle

NAME = "ann/dogs"
FILES = {
    "hyperparams.yaml": b"sample_rate: 16000\n",
    "label_encoder.txt": b"'dog' => 0\n",
    "model.safetensors": random.Random(1).randbytes(300_000),
    "README.md": b"# Dogs\n",
    "example.wav": random.Random(2).randbytes(5_000),
}
OTHERS = {
    "setup.py": b"raise SystemExit",
    "model.ckpt": b"pickle",
    "sub/model.safetensors": b"deep",
    "example/../x.wav": b"away",
}


def read(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def fetch(hub, tmp_path):
    def fetch_it(source=NAME, *args, **kwargs):
        kwargs = {"endpoint": hub.url, "progress": False} | kwargs
        return fetch_bundle(source, tmp_path / "cache", *args, **kwargs)

    return fetch_it


@pytest.fixture
def no_network(monkeypatch):
    def block():
        def refuse(*args, **kwargs):
            raise OSError("no network")

        close_session()
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "create_connection", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)

    return block


def test_a_folder_is_used_where_it_is(tmp_path, no_network):
    no_network()
    assert fetch_bundle(tmp_path) == tmp_path
    assert fetch_bundle(str(tmp_path)) == tmp_path
    assert everything(tmp_path) == []


def test_a_name_never_means_a_local_folder(hub, fetch, tmp_path, monkeypatch):
    (tmp_path / NAME).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HubError, match="write ./ann/dogs"):
        fetch()
    assert fetch_bundle(f"./{NAME}") == Path(NAME)


def test_a_path_without_folder_says_which(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing is no folder"):
        fetch_bundle(tmp_path / "nothing")


def test_a_bundle_s_files_come_and_no_others(hub, fetch, tmp_path):
    commit = hub.add(NAME, FILES | {"setup.py": b"", "model.ckpt": b"pickle"})
    folder = fetch()
    assert read(folder) == FILES
    host = hub.url.removeprefix("http://").replace(":", "_")
    assert folder == tmp_path / "cache" / host / "ann--dogs" / commit
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert hub.downloads() == len(FILES)
    assert sorted(os.listdir(tmp_path)) == ["cache"]


def test_a_second_call_downloads_nothing(hub, fetch):
    hub.add(NAME, FILES)
    folder, n_requests = fetch(), len(hub.requests)
    assert fetch() == folder
    assert len(hub.requests) == n_requests + 1  # is `main` still the same?


def test_a_pinned_commit_is_not_even_asked_for_again(hub, fetch):
    commit = hub.add(NAME, FILES)
    folder, n_requests = fetch(f"{NAME}@{commit}"), len(hub.requests)
    assert fetch(revision=commit) == folder
    assert len(hub.requests) == n_requests


def test_a_revision_pins_and_the_branch_moves_on(hub, fetch):
    old = hub.add(NAME, FILES)
    folder = fetch()
    new = hub.add(NAME, FILES | {"README.md": b"# Cats\n"})
    assert (fetch() / "README.md").read_bytes() == b"# Cats\n"
    assert fetch().name == new
    assert fetch(revision=old) == folder
    hub.add(NAME, FILES | {"README.md": b"# v1\n"}, branch="v1")
    assert (fetch(f"{NAME}@v1") / "README.md").read_bytes() == b"# v1\n"


def test_two_hubs_do_not_share_a_cache(hub, fetch):
    hub.add(NAME, FILES)
    other = fetch(endpoint=hub.url.replace("127.0.0.1", "localhost"))
    assert other.parent != fetch().parent


@pytest.mark.parametrize("way", ["argument", "environment", "sockets"])
def test_offline_gives_what_is_cached_and_says_what_is_not(
    hub, fetch, way, no_network, monkeypatch, caplog
):
    commit = hub.add(NAME, FILES)
    folder = fetch()
    kwargs = {"local_files_only": True} if way == "argument" else {}
    if way == "environment":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    no_network()
    assert fetch(**kwargs) == fetch(revision=commit, **kwargs) == folder
    assert (way == "sockets") == ("Using what is cached" in caplog.text)
    with pytest.raises(HubError, match="ann/dogs"):
        fetch(revision="v1", **kwargs)
    with pytest.raises(HubError, match="ann/cats"):
        fetch("ann/cats", **kwargs)


def test_a_hub_in_trouble_is_as_good_as_none_where_there_is_a_cache(hub, fetch):
    hub.add(NAME, FILES)
    folder = fetch()
    hub.status = (503, "")
    assert fetch() == folder
    hub.status = (401, "GatedRepo")  # this is an answer
    with pytest.raises(HubError, match="gated"):
        fetch()


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "GatedRepo", "answered 401.*HF_TOKEN"),
        (403, "GatedRepo", "answered 403.*HF_TOKEN"),
        (401, "", "private, gated, or not there"),
        (404, "RepoNotFound", "answered 404; check the name"),
        (404, "RevisionNotFound", "no revision='main'"),
        (429, "", "try again later"),
        (500, "", "answered 500.*try again later"),
        (503, "", "answered 503.*try again later"),
        (418, "", "answered 418; see its page"),
    ],
)
@pytest.mark.parametrize("where", ["status", "file_status"])
def test_a_refusal_says_what_to_do(
    hub, fetch, tmp_path, status, code, words, where
):
    hub.add(NAME, FILES)
    setattr(hub, where, (status, code))
    if where == "file_status":
        words = words.replace("'main'", "")
    with pytest.raises(HubError, match=words):
        fetch()
    assert not any(p.is_file() for p in (tmp_path / "cache").rglob("*"))


def test_a_hub_that_is_not_there_is_said_to_be_so(fetch, hub):
    with pytest.raises(HubError, match="cannot be reached"):
        fetch(endpoint="http://127.0.0.1:9")


def test_a_hub_that_says_nothing_is_left(fetch, monkeypatch):
    monkeypatch.setattr(transfer, "_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(HubError, match="cannot be reached"):
            fetch(endpoint=f"http://127.0.0.1:{port}")


def test_private_files_come_to_who_has_the_token(hub, fetch, monkeypatch):
    hub.add(NAME, FILES)
    hub.token = "secret"
    with pytest.raises(HubError, match="HF_TOKEN"):
        fetch()
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert read(fetch()) == FILES


def test_the_token_goes_to_the_hub_alone(hub, fetch, monkeypatch):
    hub.add(NAME, {name: FILES[name] for name in FILES if name[0] in "hlm"})
    monkeypatch.setenv("HF_TOKEN", "secret")
    sha256 = hashlib.sha256(FILES["hyperparams.yaml"]).hexdigest()
    away = hub.url.replace("127.0.0.1", "localhost")
    hub.location = f"{away}/storage/{sha256}"
    with pytest.raises(HubError):  # all files there are the same one
        fetch()
    asked = [(p, h) for _, p, h in hub.requests if "/storage/" in p]
    assert asked
    assert not any("authorization" in map(str.lower, h) for _, h in asked)


@pytest.mark.parametrize("url", ["http://example.org", "ftp://x", "x", ""])
def test_a_hub_without_https_is_not_asked(hub, url, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "ENDPOINT", url)
    with pytest.raises(HubError, match="is not https"):
        fetch_bundle(NAME, tmp_path)
    assert hub.requests == []


def test_a_cut_connection_is_taken_up_again(hub, fetch):
    hub.add(NAME, FILES)
    hub.cut_after = 100_000
    assert read(fetch()) == FILES
    asked = [h.get("Range") for _, p, h in hub.requests if "/storage/" in p]
    assert asked == [None, "bytes=100000-", "bytes=200000-", None]


@pytest.mark.parametrize("cut_after", [0, 10])
def test_a_connection_cut_again_and_again_is_an_error(
    hub, fetch, tmp_path, cut_after
):
    hub.add(NAME, FILES)
    hub.cut_after, hub.has_ranges = cut_after, False
    with pytest.raises(HubError, match="nothing was kept.*try again"):
        fetch()
    assert not any(p.is_file() for p in (tmp_path / "cache").rglob("*"))
    hub.cut_after = None
    assert read(fetch()) == FILES


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "digest"),
        (lambda data: data + b"x", "hyperparams.yaml' sends more than"),
        (lambda data: data[:-1], "sent 18 of 19 bytes of hyperparams.yaml"),
    ],
)
def test_bytes_that_were_not_promised_are_not_kept(
    hub, fetch, tmp_path, change, words
):
    hub.add(NAME, FILES)
    hub.sent = change
    with pytest.raises(HubError, match=words):
        fetch()
    assert not any(p.is_file() for p in (tmp_path / "cache").rglob("*"))


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "..\\x", "a//b", "../example.wav"]
)
def test_a_name_that_leads_outside_is_unsafe(hub, fetch, tmp_path, name):
    hub.add(NAME, FILES | {name: b"x"})
    with pytest.raises(UnsafeModelError, match="outside"):
        fetch()
    assert hub.downloads() == 0
    assert everything(tmp_path) == []


@pytest.mark.parametrize(
    "change",
    [
        {"sha": "../../x"},
        {"sha": None},
        {"siblings": [{"rfilename": "README.md"}]},
        {"siblings": [{"rfilename": "README.md", "size": 1}]},
        {"siblings": [{"size": 1}]},
        {"siblings": [{"rfilename": "a", "size": -9, "blobId": "0" * 40}]},
        {"siblings": 7},
        {"siblings": [7]},
        {"siblings": None},
    ],
)
def test_a_listing_that_makes_no_sense_is_refused(hub, fetch, change):
    hub.add(NAME, FILES)
    hub.listed = lambda listing: listing | change
    with pytest.raises(HubError, match="does HF_ENDPOINT name a hub"):
        fetch()
    assert hub.downloads() == 0


def test_nothing_of_a_hub_reaches_a_terminal_raw(hub, fetch):
    odd = "a\x1b]0;owned\x07\u202e.md\n"
    hub.add(NAME, FILES)
    changes = (
        {"siblings": [{"rfilename": f"../{odd}", "size": 1, "blobId": "0"}]},
        {"siblings": [{"rfilename": odd, "size": None}]},
        {"sha": odd},
    )
    for change in changes:
        hub.listed = lambda listing, change=change: listing | change
        with pytest.raises(ModelError) as caught:
            fetch()
        assert "owned" in str(caught.value)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text", [b"", b"7", b"[]", b"null", b"<html>", b"\xff", b"[" * 10**6]
)
def test_a_listing_of_another_kind_is_refused(hub, fetch, text):
    hub.add(NAME, FILES)
    hub.listed = lambda listing: text
    with pytest.raises(HubError, match="does HF_ENDPOINT name a hub"):
        fetch()


def test_a_listing_that_names_a_file_twice_means_the_last(hub, fetch):
    hub.add(NAME, FILES)
    hub.listed = lambda listing: listing | {"siblings": listing["siblings"] * 2}
    assert read(fetch()) == FILES


def test_a_listing_without_end_is_refused(hub, fetch):
    hub.add(NAME, FILES)
    hub.listed = lambda listing: listing | {"x": "x" * 10_000_000}
    with pytest.raises(HubError, match="sends more than max_bytes=10000000"):
        fetch()


def test_another_commit_than_the_pinned_is_refused(hub, fetch):
    commit = hub.add(NAME, FILES)
    hub.listed = lambda listing: listing | {"sha": "0" * 40}
    with pytest.raises(HubError, match="commit='0000"):
        fetch(revision=commit)


@pytest.mark.parametrize(
    "location",
    ["http://example.org/x", "ftp://127.0.0.1/x", "file:///etc/passwd"],
)
def test_a_redirection_leads_nowhere_without_https(hub, fetch, location):
    hub.add(NAME, FILES)
    hub.location = location
    with pytest.raises(HubError, match="is not https"):
        fetch()


def test_a_redirection_in_circles_ends(hub, fetch):
    hub.add(NAME, FILES)
    hub.location = f"{hub.url}/{NAME}/resolve/main/README.md"
    with pytest.raises(HubError, match="from one address to the next"):
        fetch()


def test_a_thousand_examples_are_too_many(hub, fetch):
    examples = {f"example{index}.wav": b"" for index in range(1000)}
    hub.add(NAME, FILES | examples)
    with pytest.raises(ModelError, match="1005 files.* 64 files"):
        fetch()
    assert hub.downloads() == 0


def test_what_a_killed_process_left_is_removed(hub, fetch, tmp_path):
    hub.add(NAME, FILES)
    host = hub.url.removeprefix("http://").replace(":", "_")
    left = tmp_path / "cache" / host / ".ann--dogs-0123456789ab.part"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    folder = fetch()
    assert not left.exists()
    assert os.listdir(folder.parent.parent) == ["ann--dogs"]


def test_the_cap_holds_before_anything_is_fetched(hub, fetch, tmp_path):
    total = sum(map(len, FILES.values()))
    hub.add(NAME, FILES | {"huge.bin": bytes(10**6)})  # not a bundle's
    with pytest.raises(ModelError, match=f"{total} bytes in 5 files.*max_"):
        fetch(max_bytes=total - 1)
    assert hub.downloads() == 0
    assert everything(tmp_path) == []
    assert read(fetch(max_bytes=total)) == FILES


def test_a_repository_without_bundle_is_not_fetched(hub, fetch):
    hub.add(NAME, {"model.ckpt": b"", "hyperparams.yaml": b""})
    with pytest.raises(ModelError, match="lacks model.safetensors, label_enc"):
        fetch()
    assert hub.downloads() == 0


def sums(files):
    lines = (
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in files.items()
    )
    return "".join(lines).encode()


def test_the_list_of_digests_is_checked(hub, fetch, tmp_path):
    hub.add(NAME, FILES | {"SHA256SUMS": sums(FILES)})
    folder = fetch()
    assert len(read(folder)) == len(FILES) + 1
    wrong = FILES | {"model.safetensors": b"other"}
    hub.add(NAME, FILES | {"SHA256SUMS": sums(wrong)})
    with pytest.raises(ModelError, match="model.safetensors does not have"):
        fetch()
    assert [p for p in folder.parent.iterdir() if p.is_dir()] == [folder]
    (folder / "README.md").write_text("changed")
    with pytest.raises(ModelError, match="README.md does not have"):
        fetch_bundle(folder)


DAMAGE = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "another byte": lambda path: path.write_bytes(b"?" + path.read_bytes()[1:]),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("name", ["model.safetensors", "README.md"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_in_the_cache_is_fetched_again_once(
    hub, fetch, damage, name, pinned
):
    files = FILES | {"SHA256SUMS": sums(FILES)}
    commit = hub.add(NAME, files)
    revision = commit if pinned else None
    folder = fetch(revision=revision)
    DAMAGE[damage](folder / name)
    assert fetch(revision=revision) == folder
    assert read(folder) == files
    assert hub.downloads() == 2 * len(files)
    assert fetch(revision=revision) == folder
    assert hub.downloads() == 2 * len(files)


def test_a_file_that_is_gone_is_fetched_again_without_sums_too(hub, fetch):
    hub.add(NAME, FILES)
    folder = fetch()
    (folder / "model.safetensors").unlink()
    assert read(fetch()) == FILES


def test_offline_what_is_damaged_says_what_to_remove(hub, fetch, no_network):
    commit = hub.add(NAME, FILES | {"SHA256SUMS": sums(FILES)})
    folder = fetch()
    DAMAGE["cut off"](folder / "model.safetensors")
    before = read(folder)
    for revision in (None, commit):
        with pytest.raises(ModelError, match=f"safetensors .*remove {folder},"):
            fetch(revision=revision, local_files_only=True)
    no_network()
    for revision in (None, commit):
        with pytest.raises(HubError, match="cannot be reached"):
            fetch(revision=revision)
    assert read(folder) == before


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_what_was_sent_comes_back_byte_by_byte(hub, fetch, tmp_path):
    folder = write(tmp_path / "bundle", FILES | OTHERS)
    url = push_bundle(folder, NAME, endpoint=hub.url)
    commit = hub.branches[NAME]["main"]
    assert url == f"{hub.url}/{NAME}/commit/{commit}"
    assert hub.commits[NAME][commit] == FILES
    assert read(fetch()) == FILES


def test_a_bundle_can_go_to_a_branch_and_be_private(hub, fetch, tmp_path):
    folder = write(tmp_path / "bundle", FILES)
    url = push_bundle(folder, NAME, True, "v1", endpoint=hub.url)
    assert hub.visibility == "private"
    assert hub.commits[NAME][hub.branches[NAME]["main"]] == {}
    assert read(fetch(f"{NAME}@v1")) == FILES
    assert url.endswith(hub.branches[NAME]["v1"])


def test_sending_again_makes_a_new_version(hub, fetch, tmp_path):
    folder = write(tmp_path / "bundle", FILES)
    push_bundle(folder, NAME, endpoint=hub.url)
    (folder / "README.md").write_bytes(b"# Better\n")
    push_bundle(folder, NAME, endpoint=hub.url)
    assert (fetch() / "README.md").read_bytes() == b"# Better\n"


@pytest.mark.parametrize("branch", [None, "v1"])
def test_what_is_there_is_the_newest_bundle_and_what_is_no_bundle_s(
    hub, tmp_path, branch
):
    old = ["spectral_shape.safetensors", "folds.csv", "example_kept.wav"]
    others = {".gitattributes": b"* lfs", "notes.txt": b"x", "a/folds.csv": b""}
    hub.add(NAME, FILES | dict.fromkeys(old, b"old") | others, branch or "main")
    push_bundle(
        write(tmp_path / "bundle", FILES),
        NAME,
        revision=branch,
        endpoint=hub.url,
    )
    commit = hub.branches[NAME][branch or "main"]
    assert hub.commits[NAME][commit] == FILES | others
    assert sum("/commit/" in path for _, path, _ in hub.requests) == 1


@pytest.mark.parametrize("error", [ConnectionError, RuntimeError, OSError])
def test_a_network_that_fails_under_way_is_a_hub_s_error(
    hub, tmp_path, monkeypatch, error
):
    def fail(*args, **options):
        raise error("no way to the store")  # as hf_xet does

    monkeypatch.setattr(upload.HfApi, "preupload_lfs_files", fail)
    folder = write(tmp_path / "bundle", FILES)
    with pytest.raises(HubError, match="did not take .*no way to the store"):
        push_bundle(folder, NAME, endpoint=hub.url)


@pytest.mark.parametrize("name", ["dogs", "./ann/dogs", "ann/dogs@v1", "a/b/c"])
def test_only_a_hub_s_name_can_be_sent_to(tmp_path, name):
    with pytest.raises(ValueError, match="must be a hub's owner/name"):
        push_bundle(write(tmp_path, FILES), name)


def test_what_is_no_bundle_is_not_sent(hub, tmp_path):
    (tmp_path / "secret").write_text("secret")
    folder = write(tmp_path / "bundle", FILES)
    (folder / "example_2.wav").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match="is a link"):
        push_bundle(folder, NAME, endpoint=hub.url)
    (folder / "example_2.wav").unlink()
    (folder / "hyperparams.yaml").unlink()
    with pytest.raises(ModelError, match="lacks hyperparams.yaml"):
        push_bundle(folder, NAME, endpoint=hub.url)
    assert hub.requests == []


@pytest.mark.parametrize("status", [401, 500])
def test_a_hub_that_takes_nothing_says_so(hub, tmp_path, status):
    hub.status = (status, "")
    folder = write(tmp_path / "bundle", FILES)
    with pytest.raises(HubError, match=f"did not take .*{status} "):
        push_bundle(folder, NAME, endpoint=hub.url)


@pytest.fixture
def small_disk():
    """No file may have more than 100 kB."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_leaves_nothing(hub, fetch, tmp_path):
    hub.add(NAME, FILES)
    with pytest.raises(OSError, match="File too large"):
        fetch()
    assert not any(p.is_file() for p in (tmp_path / "cache").rglob("*"))


def test_several_at_once_fetch_one_folder_once(hub, fetch):
    hub.add(NAME, FILES)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: fetch(), range(8)))
    assert [read(folder) for folder in folders] == [FILES]
    assert hub.downloads() == len(FILES)


def test_what_comes_is_digested_as_it_comes(hub, fetch, monkeypatch):
    hub.add(NAME, FILES | {"SHA256SUMS": sums(FILES)})
    monkeypatch.setattr(bundle_files, "digest_file", None)
    assert len(read(fetch())) == len(FILES) + 1


def test_what_the_hub_has_against_a_card_is_passed_on(hub, tmp_path):
    hub.card_errors = ["license is unknown"]
    folder = write(tmp_path / "bundle", FILES)
    with pytest.raises(HubError, match="did not take.*license is unknown"):
        push_bundle(folder, NAME, endpoint=hub.url)


def test_offline_nothing_is_sent(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = write(tmp_path / "bundle", FILES)
    with pytest.raises(HubError, match="unset the `HF_HUB_OFFLINE`"):
        push_bundle(folder, NAME, endpoint=hub.url)
    assert hub.requests == []


def test_nothing_is_sent_without_https(tmp_path):
    folder = write(tmp_path / "bundle", FILES)
    with pytest.raises(HubError, match="is not https"):
        push_bundle(folder, NAME, endpoint="http://example.org")


CLIENT = """
import sys
from focalaudio.models.hub import fetch_bundle
print(fetch_bundle(sys.argv[1], progress=False))
"""


def test_the_client_s_own_environment_holds(hub, tmp_path):
    hub.add(NAME, FILES)
    hub.token = "secret"
    own = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": "secret",
    }
    output = subprocess.run(
        [sys.executable, "-c", CLIENT, NAME],
        capture_output=True, text=True, check=True, timeout=300,
        env={**os.environ, **own},
    )  # fmt: skip
    folder = Path(output.stdout.strip())
    assert read(folder) == FILES
    assert folder.is_relative_to(tmp_path / "home" / "assets" / "focalaudio")
