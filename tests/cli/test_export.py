import hashlib
import shutil

import pytest

from focalaudio import models
from focalaudio.cli import main
from focalaudio.errors import HubError
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models.export import is_export


def test_a_run_becomes_a_bundle_that_loads(made):
    model = SoundInterpreter.from_hparams(made)
    assert model.labels == ["dog", "rain"]


@pytest.mark.usefixtures("fast")
def test_what_was_written_is_printed(run, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", str(run), "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "is complete" in lines[0]
    assert {line.strip() for line in lines[1:]} == {
        str(path) for path in out.iterdir()
    }


@pytest.mark.usefixtures("fast")
def test_pushing_comes_after_and_goes_to_the_name(
    run, tmp_path, capsys, monkeypatch
):
    pushed = []

    def push_bundle(folder, name):
        assert (folder / "SHA256SUMS").exists()
        pushed.append(name)
        return "https://hub/me/sounds"

    monkeypatch.setattr(models, "push_bundle", push_bundle)
    command = ["export", str(run), "--out", str(tmp_path / "out")]
    assert main([*command, "--push", "me/sounds"]) == 0
    assert pushed == ["me/sounds"]
    assert "Published: https://hub/me/sounds" in capsys.readouterr().out


@pytest.fixture
def pushing(monkeypatch):
    """`pushing[:]` are the errors of the next uploads; then each goes well."""
    errors = []

    def push_bundle(folder, name):
        if errors:
            raise errors.pop(0)
        return f"https://hub/{name}"

    monkeypatch.setattr(models, "push_bundle", push_bundle)
    return errors


@pytest.mark.parametrize("error", [HubError("no way"), KeyboardInterrupt()])
def test_an_upload_that_failed_is_done_by_the_same_command(
    run, tmp_path, capsys, pushing, error
):
    out = tmp_path / "out"
    command = ["export", str(run), "--out", str(out), "--push", "me/sounds"]
    pushing.append(error)
    assert main(command) != 0
    said = capsys.readouterr()
    assert "is complete" in said.out
    assert "nothing is written" not in said.err
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main(command) == 0
    assert "Published: https://hub/me/sounds" in capsys.readouterr().out
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_another_command_made_is_not_uploaded(
    run, tmp_path, capsys, pushing, made
):
    out = shutil.copytree(made, tmp_path / "out")
    command = ["export", str(run), "--out", str(out), "--push", "me/sounds"]
    assert main([*command, "--license", "mit"]) == 1
    assert "is there and not empty" in capsys.readouterr().err
    (out / "model.safetensors").write_bytes(b"cut")
    assert main(command) == 1
    assert "does not have the digest" in capsys.readouterr().err


def test_a_picture_that_another_library_drew_is_no_other_bundle(
    run, tmp_path, made
):
    out = shutil.copytree(made, tmp_path / "out")
    picture, sums = out / "example.png", out / "SHA256SUMS"
    old = hashlib.sha256(picture.read_bytes()).hexdigest()
    picture.write_bytes(b"another")
    assert old in sums.read_text()
    new = hashlib.sha256(b"another").hexdigest()
    sums.write_text(sums.read_text().replace(old, new))
    assert is_export(out, run)
    sums.write_text(sums.read_text().replace("README.md", "README.txt"))
    assert not is_export(out, run)


def test_a_bundle_in_a_file_is_refused_in_a_sentence(run, tmp_path, capsys):
    file = tmp_path / "file.txt"
    file.touch()
    for out in (file / "b", file / "b" / "c"):
        assert main(["export", str(run), "--out", str(out)]) == 1
        said = f"out={out} cannot be made, since {file} is no folder"
        assert said in capsys.readouterr().err
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("name", ["no name", "name", "a/b/c", "./me/sounds"])
def test_a_name_that_no_hub_takes_is_refused_before_anything_is_written(
    run, tmp_path, capsys, name
):
    command = ["export", str(run), "--out", str(tmp_path / "out")]
    assert main([*command, "--push", name]) == 2
    error = capsys.readouterr().err
    assert error == f"focalaudio: name={name!r} must be a hub's owner/name.\n"
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_run_is_one_line_and_nothing_written(tmp_path, capsys):
    command = ["export", str(tmp_path / "none"), "--out", str(tmp_path / "o")]
    assert main(command) == 1
    assert "is missing" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
