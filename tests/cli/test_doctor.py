import pytest

from focalaudio.cli import doctor
from focalaudio.cli.doctor import Finding, examine, judge_import, judge_pair


def test_this_installation_is_well(tmp_path):
    wrong = [one.to_line() for one in examine(tmp_path) if not one.is_well]
    assert wrong == []


def test_a_missing_package_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "torchaudio", "no-such"))
    (wrong,) = [one for one in examine(tmp_path) if not one.is_well]
    assert wrong.to_line() == (
        "WRONG  no-such is not installed -> pip install no-such"
    )


@pytest.mark.parametrize(
    ("torch", "audio", "well"),
    [
        ("2.11.0", "2.11.0+cpu", True),
        ("2.10.1", "2.10.0", True),
        ("2.11.0", "2.10.0", False),
        ("2.12.0", "2.12.0", False),
        ("2.9.0", "2.9.0", False),
        (None, "2.11.0", False),
        ("2.11.0", None, False),
    ],
)
def test_torch_and_torchaudio_must_be_a_pair(torch, audio, well):
    finding = judge_pair({"torch": torch, "torchaudio": audio})
    assert finding.is_well is well
    assert well or "pip install" in finding.remedy


@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError])
def test_what_cannot_be_loaded_is_a_finding(error):
    def fail():
        raise error("undefined symbol\nmore")

    finding = judge_import("sound", fail)
    assert finding.text == "not so: sound (undefined symbol)"
    assert not finding.is_well


def test_a_folder_that_cannot_be_written_is_a_finding(tmp_path):
    finding = doctor.judge_folder(tmp_path / "none")
    assert "cannot be written: No such file" in finding.text
    assert doctor.judge_folder(tmp_path) == Finding(
        f"{tmp_path} can be written"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_old_libsndfile_is_a_finding(monkeypatch):
    class Old:
        __libsndfile_version__ = "1.0.31"

    monkeypatch.setattr(doctor, "import_module", lambda name: Old)
    assert doctor.load_sndfile().text == "libsndfile 1.0.31 reads no MP3"


def test_a_cache_that_cannot_be_written_is_a_finding(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "a" / "b"))
    assert doctor.judge_cache().is_well
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(
        doctor, "judge_folder", lambda folder: Finding("no", "other")
    )
    assert "HF_HOME" in doctor.judge_cache().remedy
