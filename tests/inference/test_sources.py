import sys
import types
from pathlib import Path

import pytest

from focalaudio.errors import ModelError
from focalaudio.inference import load_model, sources
from focalaudio.inference.sources import locate, open_source


@pytest.fixture
def hub(monkeypatch, exported):
    """A hub that has one model, and remembers what it was asked for."""
    asked = []

    def fetch_bundle(
        source, savedir=None, revision=None, local_files_only=False
    ):
        asked.append((source, savedir, revision, local_files_only))
        if source != "me/sounds":
            raise ModelError(f"{source} is not there.")
        return exported

    fetching = types.ModuleType("focalaudio.inference.fetching")
    fetching.fetch_bundle = fetch_bundle
    monkeypatch.setitem(sys.modules, fetching.__name__, fetching)
    return asked


@pytest.mark.parametrize(
    "path",
    [
        "./me/sounds",
        "/me/sounds",
        "../me/sounds",
        "sounds",
        "results/classifier_focalnet_nano/1234",
        "me/sounds/",
        Path("me/sounds"),
    ],
)
def test_a_path_is_a_path(path, hub):
    assert locate(path) == Path(path)
    assert hub == []


@pytest.mark.parametrize("name", ["me/sounds", "me/sounds@v1.0"])
def test_a_name_is_never_a_folder(name, hub, exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    assert locate(name) == exported
    assert [source for source, *_ in hub] == ["me/sounds"]


def test_home_is_found():
    assert locate("~/x/y") == Path.home() / "x" / "y"


def test_revision_and_cache_are_passed_on(hub, exported):
    assert locate("me/sounds@abc", "cache", None, True) == exported
    assert locate("me/sounds", revision="abc") == exported
    assert hub == [
        ("me/sounds", "cache", "abc", True),
        ("me/sounds", None, "abc", False),
    ]


def test_a_revision_is_given_once_and_for_a_name(hub):
    with pytest.raises(ValueError, match="give it once"):
        locate("me/sounds@abc", revision="def")
    with pytest.raises(ValueError, match="give it once"):
        locate("./me/sounds", revision="def")
    assert hub == []


def test_a_folder_of_a_missing_name_is_hinted_at(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other" / "name").mkdir(parents=True)
    with pytest.raises(ModelError, match="For the folder, write ./other/name"):
        locate("other/name")
    with pytest.raises(ModelError, match="is not there.$"):
        locate("no/name")


def test_what_is_fetched_is_read(hub, exported):
    model = load_model("me/sounds")
    assert model.labels == load_model(exported).labels


def test_runs_and_bundles_are_told_apart(finished, exported, monkeypatch):
    monkeypatch.setattr(sources, "load_run", lambda folder: "run")
    monkeypatch.setattr(sources, "read_bundle", lambda folder, trust: "bundle")
    assert open_source(finished).model == "run"
    assert open_source(exported) == "bundle"


def test_opening_writes_nothing(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in exported.iterdir())
    open_source(exported, savedir=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []
    assert sorted(path.name for path in exported.iterdir()) == before
