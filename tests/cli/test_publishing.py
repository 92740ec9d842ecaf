import sys
import types

import pytest
import torch
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from transformers import ViTConfig, ViTModel

from focalaudio.cli import main
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models import export


@pytest.fixture
def fast(monkeypatch):
    """Skip the picture and the fresh process, which have tests of their own."""
    monkeypatch.setattr(export, "_write_example", lambda *arguments: None)
    monkeypatch.setattr(export, "_check_answers", lambda *arguments: None)


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

    fetching = types.ModuleType("focalaudio.models.fetching")
    fetching.push_bundle = push_bundle
    monkeypatch.setitem(sys.modules, fetching.__name__, fetching)
    command = ["export", str(run), "--out", str(tmp_path / "out")]
    assert main([*command, "--push", "me/sounds"]) == 0
    assert pushed == ["me/sounds"]
    assert "Published: https://hub/me/sounds" in capsys.readouterr().out


def test_what_is_no_run_is_one_line_and_nothing_written(tmp_path, capsys):
    command = ["export", str(tmp_path / "none"), "--out", str(tmp_path / "o")]
    assert main(command) == 1
    assert "is missing" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def published(tmp_path):
    """SpeechBrain's checkpoints of a tiny ViT."""
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
    )
    folder = tmp_path / "in"
    config.save_pretrained(folder)
    torch.save(ViTModel(config).state_dict(), folder / "embedding_model.ckpt")
    head = Classifier(32, lin_blocks=1, out_neurons=2)
    torch.save(head.state_dict(), folder / "classifier.ckpt")
    (folder / "labels.txt").write_text("dog\nrain\n")
    return folder


def import_(published, *arguments):
    paths = (published / "embedding_model.ckpt", published / "classifier.ckpt")
    out = published.parent / "out"
    labels = published / "labels.txt"
    command = ["import", *paths, "--labels", labels, "--out", out, *arguments]
    return main([str(part) for part in command])


@pytest.mark.usefixtures("fast")
def test_checkpoints_become_a_bundle(published):
    assert import_(published, "--config", published / "config.json") == 0
    model = SoundInterpreter.from_hparams(published.parent / "out")
    assert model.labels == ["dog", "rain"]


@pytest.mark.usefixtures("fast")
def test_checkpoints_that_do_not_fit_are_one_line(published, capsys):
    assert import_(published, "--encoder", "vit_test") == 1
    error = capsys.readouterr().err
    assert error.startswith("focalaudio: ")
    assert "does not fit ViT" in error
    assert not (published.parent / "out").exists()


def test_an_encoder_or_a_config_is_needed(published, capsys):
    with pytest.raises(SystemExit):
        import_(published)
    assert "--encoder" in capsys.readouterr().err
