"""Laws of `focalaudio doctor`, on installations that are not well."""

import shutil
import sys
from importlib import metadata

import pytest

from focalaudio.cli import doctor, main
from focalaudio.models import shipped


@pytest.fixture
def say(capsys, tmp_path, monkeypatch):
    """Run the command in an empty folder; return its status and lines."""
    monkeypatch.chdir(tmp_path)

    def say_it():
        status = main(["doctor"])
        return status, capsys.readouterr().out.splitlines()

    return say_it


@pytest.fixture
def installed(monkeypatch):
    """Pretend that packages have other versions; None: not installed."""
    true_version = metadata.version

    def pretend(**versions):
        def version(name):
            found = versions.get(name, true_version(name))
            if found is None:
                raise metadata.PackageNotFoundError(name)
            return found

        monkeypatch.setattr(doctor, "version", version)

    return pretend


def wrong_in(lines):
    return [line for line in lines if line.startswith("WRONG")]


def test_all_is_well_here(say):
    status, lines = say()
    assert (status, wrong_in(lines)) == (0, [])
    assert lines[-1] == "All is well."
    text = "\n".join(lines)
    for word in ("torch 2", "speechbrain", "libsndfile", "devices: cpu"):
        assert word in text
    assert "mypy" not in text  # of an extra


def test_what_is_required_is_what_the_package_says(say, monkeypatch):
    lines = ["torch>=1", "no-such", "old; python_version < '3'", "torch>99"]
    monkeypatch.setattr(doctor, "requires", lambda name: lines)
    status, lines = say()
    assert status == 1
    torch = metadata.version("torch")
    assert wrong_in(lines) == [
        "WRONG  no-such is not installed -> pip install 'no-such'",
        f"WRONG  torch {torch} is not >99 -> pip install 'torch>99'",
    ]
    assert lines[-1] == "2 wrong."


@pytest.mark.parametrize(
    ("torch", "audio", "words"),
    [
        ("2.11.0", "2.11.0+cpu", None),
        ("2.10.1", "2.10.0", None),
        ("2.11.0", "2.10.0", "not of one release"),
        ("2.12.0", "2.12.0", "torch 2.12.0 is not <2.12,>=2.10"),
        ("2.9.0+cu128", "2.9.0", "torch 2.9.0+cu128 is not <2.12,>=2.10"),
    ],
)
def test_torch_and_torchaudio_must_be_a_pair(
    say, installed, torch, audio, words
):
    installed(torch=torch, torchaudio=audio)
    status, lines = say()
    assert status == (words is not None)
    if words:
        assert words in wrong_in(lines)[0]
        assert "-> pip install 'torch" in wrong_in(lines)[0]


@pytest.mark.parametrize("name", ["torch", "torchaudio", "soundfile"])
def test_what_is_missing_is_named(say, installed, name):
    installed(**{name: None})
    status, lines = say()
    assert status == 1
    assert f"{name} is not installed" in wrong_in(lines)[0]


@pytest.mark.parametrize("name", ["packaging.requirements", "torchaudio"])
def test_what_cannot_be_loaded_is_a_finding(say, monkeypatch, name):
    for module in [m for m in sys.modules if m.startswith(name)]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, name, None)
    status, lines = say()
    assert status == 1
    assert len(wrong_in(lines)) == 1
    assert "WRONG  not so: " in wrong_in(lines)[0]


def test_a_package_without_its_record_is_a_finding(say, monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", requires)
    status, lines = say()
    assert status == 1
    assert "what is required is known" in wrong_in(lines)[0]


def test_a_default_model_that_is_gone_or_damaged_is_a_finding(
    say, made, monkeypatch, tmp_path
):
    folder = tmp_path / "default"
    monkeypatch.setattr(shipped, "DEFAULT", folder)
    assert "this installation has no model" in wrong_in(say()[1])[0]
    shutil.copytree(made, folder)
    assert "ok     default model is whole: 2 classes" in say()[1]
    with (folder / "README.md").open("a") as file:
        file.write("!")
    status, lines = say()
    assert status == 1
    (wrong,) = wrong_in(lines)
    assert "README.md does not have the digest" in wrong
    assert "reinstall focalaudio, or give --model" in wrong


def test_a_folder_that_cannot_be_written_is_a_finding(say, monkeypatch):
    monkeypatch.chdir("/proc")
    status, lines = say()
    assert status == 1
    (wrong,) = wrong_in(lines)
    assert "/proc cannot be written: " in wrong


def test_an_old_libsndfile_is_a_finding(say, monkeypatch):
    import soundfile

    monkeypatch.setattr(soundfile, "__libsndfile_version__", "1.0.31")
    _, lines = say()
    assert "WRONG  libsndfile 1.0.31 reads no MP3" in wrong_in(lines)[0]


def test_a_cache_is_made_when_needed_and_must_be_writable(
    say, monkeypatch, tmp_path
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "a" / "b"))
    assert say()[0] == 0
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", "/proc/a")
    _, lines = say()
    assert "set HF_HOME to a folder of your own" in wrong_in(lines)[0]
