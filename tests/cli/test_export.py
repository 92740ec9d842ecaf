import pytest

from focalaudio import models
from focalaudio.cli import main
from focalaudio.inference.interpreter import SoundInterpreter


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
