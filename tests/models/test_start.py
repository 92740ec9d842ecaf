"""Laws of focalaudio.models.start: what was learnt is where it was, or said."""

import logging

import pytest
import torch

from focalaudio.classifier import SoundClassifier
from focalaudio.data.labels import encode_labels
from focalaudio.encoders import build_encoder
from focalaudio.errors import ModelError
from focalaudio.models import load_model, start_classifier
from focalaudio.models.start import digest_source
from focalaudio.shares import build_share_decoder
from focalaudio.spectrogram import Spectrogram

CLASSES = ("siren", "bell", "cricket")


def make(
    n_classes=3, head="cosine", name="focalnet_test", channels=1, **options
):
    encoder = build_encoder(name, in_channels=channels)
    made = SoundClassifier(
        encoder, n_classes, head, image_size=(32, 48), **options
    )
    return made.eval()


@pytest.fixture(params=["run", "bundle", "checkpoint", "weights"])
def source(request, finished, exported):
    """One classifier, in every form that it is kept in."""
    checkpoint = next(finished.glob("save/CKPT+*/classifier.ckpt"))
    return {
        "run": finished,
        "bundle": exported,
        "checkpoint": checkpoint,
        "weights": exported / "model.safetensors",
    }[request.param]


@pytest.fixture
def image():
    return torch.rand(2, 40, 513)


def embed(classifier, image):
    with torch.no_grad():
        return classifier(image)


def test_the_same_classes_keep_their_head(source, finished, image):
    learnt = load_model(finished).classifier
    started = start_classifier(make(), CLASSES, pretrained=source)
    started.head.scale = learnt.head.scale
    ours, theirs = embed(started, image), embed(learnt, image)
    torch.testing.assert_close(ours.logits, theirs.logits)


def test_another_order_of_the_classes_moves_their_rows(source, finished, image):
    learnt = load_model(finished).classifier
    started = start_classifier(make(), CLASSES[::-1], pretrained=source)
    started.head.scale = learnt.head.scale
    ours, theirs = embed(started, image), embed(learnt, image)
    torch.testing.assert_close(ours.logits, theirs.logits.flip(1))


def test_other_classes_get_a_new_head_and_that_is_said(
    source, finished, image, caplog
):
    learnt = load_model(finished).classifier
    started, head = make(4), None
    head = {k: w.clone() for k, w in started.head.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        start_classifier(started, "abcd", pretrained=source)
    assert "the head is new; it was of other classes ('siren'" in caplog.text
    ours, theirs = embed(started, image), embed(learnt, image)
    torch.testing.assert_close(ours.embeddings, theirs.embeddings)
    for key, weight in started.head.state_dict().items():
        assert torch.equal(weight, head[key])


def test_a_head_of_one_label_is_none_of_several(source, caplog):
    new = make(labels_per_clip="several")
    before = new.head.cosine.weight.clone()
    start_classifier(new, CLASSES, pretrained=source)
    assert torch.equal(new.head.cosine.weight, before)
    assert "the head is new; it was of one of the labels" in caplog.text


def test_weights_alone_do_not_tell_their_classes(tmp_path, caplog):
    torch.save(make().state_dict(), tmp_path / "a.ckpt")
    start_classifier(make(), CLASSES, pretrained=tmp_path / "a.ckpt")
    assert "the head is new; it was of unknown classes" in caplog.text


def test_foreign_text_is_shown_escaped(tmp_path, caplog):
    path = tmp_path / "odd\x1b[2J\u202ename.ckpt"
    torch.save(make().state_dict(), path)
    start_classifier(make(), CLASSES, pretrained=path)
    (record,) = caplog.records
    assert record.message.isprintable()
    assert "odd\\x1b[2J\\u202ename.ckpt: the head is new" in record.message


def test_another_kind_of_head_is_new(finished, caplog):
    start_classifier(make(head="linear"), CLASSES, pretrained=finished)
    assert "the head is new; it was of another form" in caplog.text


def test_another_analysis_is_said(finished, caplog):
    spectrogram = Spectrogram(sample_rate=8000)
    start_classifier(make(), CLASSES, spectrogram, finished)
    assert "learnt with sample_rate 16000 instead of 8000" in caplog.text


def test_weights_of_an_encoder_are_its(tmp_path):
    theirs = build_encoder("focalnet_test", in_channels=1)
    torch.save(theirs.state_dict(), tmp_path / "a.pt")
    started = start_classifier(make(), CLASSES, pretrained=tmp_path / "a.pt")
    for key, weight in theirs.state_dict().items():
        assert torch.equal(started.encoder.state_dict()[key], weight)


def test_a_share_decoder_goes_along(tmp_path):
    def make_refined():
        encoder = build_encoder("focalnet_test_pyramid", in_channels=1)
        shares = build_share_decoder(encoder, 3, 8)
        return SoundClassifier(encoder, 3, "linear", share_decoder=shares)

    folder = tmp_path / "save" / "CKPT"
    folder.mkdir(parents=True)
    learnt = make_refined()
    torch.nn.init.normal_(learnt.share_decoder.to_classes.weight)
    torch.save(learnt.state_dict(), folder / "classifier.ckpt")
    encode_labels("abc").save(str(folder.parent / "label_encoder.txt"))
    path = folder / "classifier.ckpt"
    moved = start_classifier(make_refined(), "cab", pretrained=path)
    for key, weight in learnt.state_dict().items():
        is_class = key.startswith(("head", "share_decoder.to_classes"))
        rows = [2, 0, 1] if is_class else ...
        assert torch.equal(moved.state_dict()[key], weight[rows])


def test_another_encoder_is_an_error(finished):
    with pytest.raises(ModelError, match=r"pretrained=.*does not fit ViT"):
        start_classifier(make(name="vit_test"), CLASSES, pretrained=finished)


@pytest.mark.parametrize("name", ["none.ckpt", "./none", "/none/at/all"])
def test_what_is_not_there_is_named(name):
    with pytest.raises(FileNotFoundError, match="none"):
        start_classifier(make(), CLASSES, pretrained=name)


def test_a_frozen_encoder_stays_what_it_is(finished):
    started = start_classifier(
        make(), CLASSES, pretrained=finished, freeze_encoder=True
    ).train()
    assert started.training
    assert not any(part.training for part in started.encoder.modules())
    learning = {k for k, p in started.named_parameters() if p.requires_grad}
    assert learning == {
        f"head.{key}" for key, _ in started.head.named_parameters()
    }
    before = {k: w.clone() for k, w in started.encoder.state_dict().items()}
    optimizer = torch.optim.AdamW(started.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        started(torch.rand(4, 40, 513)).logits.square().sum().backward()
        optimizer.step()
    for key, weight in started.encoder.state_dict().items():
        assert torch.equal(weight, before[key])


def test_what_reads_classes_off_a_frozen_encoder_learns():
    encoder = build_encoder("focalnet_test_pyramid", in_channels=1)
    decoder = build_share_decoder(encoder, 2, narrow=4, width=6)
    classifier = SoundClassifier(
        encoder, 2, "linear", share_decoder=decoder
    ).freeze_encoder()
    parts = {
        name.split(".")[0]: weight.requires_grad
        for name, weight in classifier.named_parameters()
    }
    assert parts == {"encoder": False, "head": True, "share_decoder": True}


def test_chance_is_not_frozen():
    with pytest.raises(ValueError, match="freeze_encoder=True needs"):
        start_classifier(make(), CLASSES, freeze_encoder=True)


def test_a_digest_is_that_of_what_is_learnt(finished, exported, tmp_path):
    assert digest_source(finished) == digest_source(exported)
    torch.save(make().state_dict(), tmp_path / "a.ckpt")
    assert digest_source(tmp_path / "a.ckpt") != digest_source(finished)
