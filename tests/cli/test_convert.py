import pytest
import torch
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from transformers import ViTConfig, ViTModel

from focalaudio.cli import main
from focalaudio.inference.interpreter import SoundInterpreter


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
