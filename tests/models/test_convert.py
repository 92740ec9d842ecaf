import json
import pickle
import shutil

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.processing.features import STFT, spectral_magnitude
from transformers import (
    FocalNetBackbone,
    FocalNetConfig,
    ViTConfig,
    ViTModel,
)

from focalaudio.errors import DataError, ModelError, UnsafeModelError
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models.convert import import_checkpoints, read_label_file

TINY = {
    "focalnet": FocalNetConfig(
        embed_dim=16,
        hidden_sizes=[16, 32],
        depths=[1, 1],
        focal_levels=[2, 2],
        focal_windows=[3, 3],
        image_size=64,
        out_features=["stage2"],
    ),
    "vit": ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=96,
        image_size=64,
    ),
}
BASE = {
    "focalnet_base_srf": FocalNetConfig(
        embed_dim=128,
        depths=[2, 2, 18, 2],
        hidden_sizes=[128, 256, 512, 1024],
        out_features=["stage4"],
    ),
    "vit_base_patch16": ViTConfig(),
}
LABELS = ["dog", "rain", "wind"]


def spread(module):
    """Random weights that tell inputs apart, statistics included."""
    torch.manual_seed(3)
    for name, value in module.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point() and value.dim() < 2:
            value.add_(0.1 * torch.randn(value.shape))
    return module.eval()


def build(config):
    """transformers' encoder, and how its embedding is pooled."""
    if config.model_type == "vit":
        return spread(ViTModel(config)), config.hidden_size
    channels = config.embed_dim * 2 ** (len(config.depths) - 1)
    return spread(FocalNetBackbone(config)), channels


def embed(encoder, image):
    said = encoder(image)
    if encoder.config.model_type == "vit":
        return said.last_hidden_state.mean(1)
    return said.feature_maps[-1].mean((2, 3))


def their_logits(encoder, head, wav):
    """The reference's pipeline, in the words of its own libraries."""
    stft = STFT(16000, n_fft=1024, win_length=23.2199, hop_length=11.6099)
    magnitude = spectral_magnitude(stft(wav / wav.abs().max()), power=0.5)
    size = encoder.config.image_size
    image = F.interpolate(
        magnitude.log1p()[:, None],
        (size, size),
        mode="bilinear",
        antialias=True,
    ).repeat(1, 3, 1, 1)
    with torch.no_grad():
        return head(embed(encoder, image)[:, None])[:, 0]


def save(folder, encoder, head, prefix=""):
    """SpeechBrain's two checkpoints."""
    folder.mkdir(exist_ok=True)
    paths = folder / "embedding_model.ckpt", folder / "classifier.ckpt"
    state = {prefix + k: v for k, v in encoder.state_dict().items()}
    torch.save(state, paths[0])
    torch.save(head.state_dict(), paths[1])
    return paths


def make(config, n_classes):
    encoder, n_features = build(config)
    head = Classifier(n_features, lin_blocks=1, out_neurons=n_classes)
    return encoder, spread(head)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Checkpoints of a tiny FocalNet, and its config.json; read-only."""
    folder = tmp_path_factory.mktemp("tiny")
    save(folder, *make(TINY["focalnet"], 3))
    TINY["focalnet"].to_json_file(folder / "config.json")
    return folder


@pytest.fixture
def checkpoints(tiny, tmp_path):
    """A copy of them, to be spoiled; what is made goes beside it."""
    shutil.copytree(tiny, tmp_path / "in")
    return tmp_path / "in"


def bring(folder, **kwargs):
    paths = folder / "embedding_model.ckpt", folder / "classifier.ckpt"
    kwargs = {"labels": LABELS, "config": folder / "config.json"} | kwargs
    return import_checkpoints(paths, folder.parent / "out", **kwargs)


def relative_error(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize("name", BASE)
def test_published_models_of_full_size_say_what_their_libraries_say(
    name, tmp_path
):
    encoder, head = make(BASE[name], 50)
    labels = [f"class {number}" for number in range(50)]
    paths = save(tmp_path / "in", encoder, head)
    out = import_checkpoints(paths, tmp_path / "out", labels, encoder=name)
    wav = 0.3 * torch.randn(1, 80000)
    ours = SoundInterpreter.from_hparams(out).explain_batch(wav).logits
    shutil.rmtree(tmp_path)  # each is several hundred megabytes
    theirs = their_logits(encoder, head, wav)
    assert theirs.std() > 1e-3
    assert relative_error(ours, theirs) < 1e-5


@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize("prefix", ["", "model.", "module."])
def test_models_of_any_size_with_any_wrapper(
    kind, prefix, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "focalaudio.models.export._check_answers", lambda *arguments: None
    )
    encoder, head = make(TINY[kind], 3)
    save(tmp_path / "in", encoder, head, prefix)
    TINY[kind].to_json_file(tmp_path / "in" / "config.json")
    model = SoundInterpreter.from_hparams(bring(tmp_path / "in"))
    wav = 0.3 * torch.randn(1, 80000)
    found = model.explain_batch(wav)
    assert relative_error(found.logits, their_logits(encoder, head, wav)) < 1e-5
    assert found.logits.abs().max() <= 1  # cosines, without a scale
    assert model.labels == LABELS


def spoil_pickle(path):
    path.write_bytes(pickle.dumps(print))


def spoil_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil_text(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def spoil_key(path):
    state = torch.load(path)
    state["other"] = state.pop(next(iter(state)))
    torch.save(state, path)


def spoil_value(path):
    state = torch.load(path)
    next(iter(state.values())).view(-1)[0] = float("nan")
    torch.save(state, path)


def spoil_kind(path):
    torch.save([1, 2], path)


@pytest.mark.parametrize("name", ["embedding_model.ckpt", "classifier.ckpt"])
@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (spoil_pickle, UnsafeModelError, "asks for code to be run"),
        (spoil_half, ModelError, "damaged"),
        (spoil_text, ModelError, "damaged"),
        (spoil_key, ModelError, "missing|left over|no known layout"),
        (spoil_value, ModelError, "not finite"),
        (spoil_kind, ModelError, "must hold a state dict"),
    ],
)
def test_files_that_will_not_do_say_so_and_nothing_is_written(
    checkpoints, name, spoil, error, said
):
    spoil(checkpoints / name)
    with pytest.raises(error, match=said):
        bring(checkpoints)
    assert [path.name for path in checkpoints.parent.iterdir()] == ["in"]


def test_files_in_the_wrong_order_are_an_error(checkpoints):
    (checkpoints / "embedding_model.ckpt").rename(checkpoints / "x")
    (checkpoints / "classifier.ckpt").rename(
        checkpoints / "embedding_model.ckpt"
    )
    (checkpoints / "x").rename(checkpoints / "classifier.ckpt")
    with pytest.raises(ModelError, match="embedding_model.ckpt, then"):
        bring(checkpoints)


def test_a_file_that_is_not_there_is_named(checkpoints):
    (checkpoints / "classifier.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match="classifier.ckpt"):
        bring(checkpoints)


def test_another_size_is_an_error(checkpoints):
    with pytest.raises(ModelError, match="of another shape|missing"):
        bring(checkpoints, config=None, encoder="focalnet_tiny_srf")


@pytest.mark.parametrize("labels", [LABELS[:2], [*LABELS, "more"]])
def test_labels_that_do_not_fit_the_head_are_an_error(checkpoints, labels):
    with pytest.raises(ModelError, match="one for each class"):
        bring(checkpoints, labels=labels)


def test_safetensors_will_do_too(checkpoints, monkeypatch):
    monkeypatch.setattr(
        "focalaudio.models.export._check_answers", lambda *arguments: None
    )
    paths = []
    for name in ("embedding_model", "classifier"):
        paths.append(checkpoints / f"{name}.safetensors")
        state = torch.load(checkpoints / f"{name}.ckpt")
        save_file(state, paths[-1])
    out = import_checkpoints(
        paths, checkpoints / "out", LABELS, config=checkpoints / "config.json"
    )
    assert SoundInterpreter.from_hparams(out).labels == LABELS


def test_one_of_encoder_and_config_is_needed(checkpoints):
    with pytest.raises(ValueError, match="one of encoder and config"):
        bring(checkpoints, encoder="focalnet_test")


def test_labels_are_read_line_by_line(tmp_path):
    (tmp_path / "labels.txt").write_text("dog\n\n rain, heavy \n")
    assert read_label_file(tmp_path / "labels.txt") == ["dog", "rain, heavy"]


@pytest.mark.parametrize("text", ["", "\n\n", "dog\nrain\ndog\n"])
def test_label_files_without_an_order_are_an_error(tmp_path, text):
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(ModelError, match="one label a line, each once"):
        read_label_file(tmp_path / "labels.txt")


def test_a_csv_gives_the_order_of_its_training_folds(tmp_path):
    rows = ["filename,fold,target,category,src_file"]
    for fold, target, category in (
        *((5, 0, "z"), (2, 1, "b"), (1, 2, "a"), (3, 1, "b"), (3, 3, "c")),
    ):
        name = f"{fold}-{len(rows)}-A-{target}.wav"
        rows.append(f"{name},{fold},{target},{category},{len(rows)}")
    (tmp_path / "esc50.csv").write_text("\n".join(rows))
    assert read_label_file(tmp_path / "esc50.csv") == ["b", "a", "c"]


def test_a_csv_of_another_kind_is_an_error(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="lacks the columns"):
        read_label_file(tmp_path / "x.csv")
    with pytest.raises(FileNotFoundError, match="labels=.*none.csv"):
        read_label_file(tmp_path / "none.csv")


def test_the_card_names_the_files_and_no_metrics(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "focalaudio.models.export._check_answers", lambda *arguments: None
    )
    folder = shutil.copytree(tiny, tmp_path / "in")
    card = (bring(folder) / "README.md").read_text()
    assert "Imported from `embedding_model.ckpt` and `classifier.ckpt`" in card
    assert "Nothing was measured" in card
    assert json.loads((folder / "config.json").read_text())["embed_dim"] == 16
