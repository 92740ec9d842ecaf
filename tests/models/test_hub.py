"""Laws of focalaudio.models.hub, against a hub on this machine."""

import hashlib
import random

import pytest
from huggingface_hub import constants

from focalaudio.errors import HubError
from focalaudio.models.hub import TRIES, HubFile, Repository

NAME = "ann/dogs"
DATA = random.Random(1).randbytes(300_000)
FILES = {"model.safetensors": DATA, "README.md": b"hello\n"}


@pytest.fixture
def receive(hub, tmp_path):
    """Bring the weights from the hub; return their bytes."""

    def receive_it(report=int):
        repository = Repository(NAME, hub.url)
        listing = repository.list_files("main")
        path = tmp_path / "model"
        repository.receive(listing.files[0], listing.commit, path, report)
        return path.read_bytes()

    return receive_it


def test_digests_are_those_of_git_and_of_sha256sum():
    # `printf 'hello\\n' | git hash-object --stdin`
    blob_id = "ce013625030ba8dba906f756967f9e9ca394464a"
    assert HubFile("a", 6, None, blob_id).digest([b"hel", b"lo\n"]) == blob_id
    sha256 = hashlib.sha256(b"hello\n").hexdigest()
    file = HubFile("a", 6, sha256, blob_id)
    assert file.digest([b"hello\n"]) == file.promised == sha256


def test_a_listing_says_what_there_is(hub):
    commit = hub.add(NAME, FILES)
    listing = Repository(NAME, hub.url).list_files("main")
    assert listing.commit == commit
    assert [file.n_bytes for file in listing.files] == [300_000, 6]
    assert listing.files[0].promised == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize(
    "location",
    [
        "http://example.org/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "//x/y",
    ],
)
def test_a_redirection_leads_nowhere_without_https(hub, receive, location):
    hub.add(NAME, FILES)
    hub.location = location
    with pytest.raises(HubError, match="is not https"):
        receive()


def test_a_redirection_in_circles_ends(hub, receive):
    hub.add(NAME, FILES)
    hub.location = f"{hub.url}/{NAME}/resolve/main/README.md"
    with pytest.raises(HubError, match="from one address to the next"):
        receive()


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_cut_connection_is_taken_up_again(hub, receive, has_ranges):
    hub.add(NAME, FILES)
    hub.cut_after, hub.has_ranges = 100_000, has_ranges
    if has_ranges:
        assert receive() == DATA
    else:
        with pytest.raises(HubError, match="nothing was kept"):
            receive()


def test_what_is_reported_adds_up_over_cuts(hub, receive):
    hub.add(NAME, FILES)
    hub.cut_after = 70_000
    reported = []
    assert receive(reported.append) == DATA
    assert sum(reported) == len(DATA)
    asked = [headers.get("Range") for _, path, headers in hub.requests
             if "/storage/" in path]  # fmt: skip
    assert asked[0] is None
    assert len(asked) == 5 <= TRIES


def test_more_cuts_than_tries_are_too_many(hub, receive):
    hub.add(NAME, FILES)
    hub.cut_after = len(DATA) // (TRIES + 1)
    with pytest.raises(HubError, match="nothing was kept"):
        receive()


@pytest.fixture
def send(hub, tmp_path):
    """Send a README.md to the hub."""

    def send_it():
        (tmp_path / "README.md").write_text("# Dogs")
        repository = Repository(NAME, hub.url)
        return repository.send(tmp_path, ["README.md"], False, None, "add")

    return send_it


def test_what_the_hub_has_against_a_card_is_passed_on(hub, send):
    hub.card_errors = ["license is unknown"]
    with pytest.raises(HubError, match="did not take.*\n.*license is unknown"):
        send()


def test_offline_nothing_is_sent(hub, send, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="while HF_HUB_OFFLINE is set"):
        send()
    assert hub.requests == []


@pytest.mark.parametrize(
    "change",
    [
        {"sha": "../../x"},
        {"sha": None},
        {"siblings": [{"rfilename": "README.md"}]},
        {"siblings": [{"size": 1}]},
        {"siblings": 7},
    ],
)
def test_a_listing_that_makes_no_sense_is_refused(hub, change):
    hub.add(NAME, FILES)
    hub.listed = lambda listing: listing | change
    with pytest.raises(HubError, match="does HF_ENDPOINT name a hub"):
        Repository(NAME, hub.url).list_files("main")


def test_another_commit_than_the_pinned_is_refused(hub):
    commit = hub.add(NAME, FILES)
    hub.listed = lambda listing: listing | {"sha": "0" * 40}
    with pytest.raises(HubError, match="gives commit='0000"):
        Repository(NAME, hub.url).list_files(commit)
