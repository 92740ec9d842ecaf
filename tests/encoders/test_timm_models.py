"""Encoders of timm: what they return, how weights load, what is refused."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.encoders.timm_models import TimmEncoder
from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.models import SoundModel
from focalaudio.models.bundle import write_sums
from focalaudio.models.description import describe
from focalaudio.models.load import load_model
from focalaudio.spectrogram import Spectrogram

NAMES = ["test_convnext", "test_resnet", "test_vit", "test_efficientnet"]
SWIN = "swin_tiny_patch4_window7_224"


@pytest.mark.parametrize("name", [*NAMES, SWIN])
def test_cells_are_those_of_timm_and_add_up_to_the_embedding(name):
    encoder = build_encoder(f"timm:{name}", in_channels=1).eval()
    image = torch.rand(2, 1, *encoder.image_size)
    with torch.no_grad():
        output = encoder(image)
        theirs = encoder.network.forward_features(image)
    rows, cols = output.features.shape[2:]
    assert output.features.shape == (2, encoder.n_features, rows, cols)
    assert output.maps[0].shape == (2, rows, cols)
    torch.testing.assert_close(output.embeddings, output.features.mean((2, 3)))
    assert sorted(theirs.flatten().tolist())[-3:] == pytest.approx(
        sorted(output.features.flatten().tolist())[-3:]
    )


def test_a_bright_corner_is_found_where_it_is():
    """Rows stay rows and columns columns, for grids and for tokens."""
    for name in ("test_convnext", "test_vit"):
        encoder = build_encoder(f"timm:{name}", in_channels=1).eval()
        height, width = encoder.image_size
        image = torch.zeros(2, 1, height, width)
        image[1, :, : height // 4, -width // 4 :] = 5.0
        with torch.no_grad():
            blank, bright = encoder(image).features
        change = (bright - blank).norm(dim=0)
        row, col = divmod(int(change.argmax()), change.shape[1])
        assert row < change.shape[0] / 2 <= col


@pytest.mark.parametrize("name", NAMES)
def test_all_that_ours_can_do_works(name, spectrogram):
    encoder = build_encoder(f"timm:{name}", in_channels=1)
    classifier = SoundClassifier(
        encoder, 3, "linear", image_size=(96, 64), pooling="loudness"
    )
    wavs = torch.randn(2, 4000)
    for choice in (
        {"maps": ["class_evidence"]},
        {"maps": ["last"]},
        {"method": "gradcam"},
    ):
        interpreter = ThresholdInterpreter(classifier, spectrogram, **choice)
        found = interpreter(wavs)
        assert found.saliency.max() > 0
        assert found.mask.shape == found.saliency.shape


def test_published_weights_load_and_their_head_is_dropped(tmp_path):
    torch.manual_seed(3)
    published = timm.create_model("test_convnext", pretrained=False).eval()
    path = tmp_path / "model.safetensors"
    save_file(published.state_dict(), path)
    encoder = build_encoder("timm:test_convnext", str(path), in_channels=3)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        features = encoder.eval()(image).features
        expected = published.forward_features(image)
    torch.testing.assert_close(features, expected)
    with pytest.raises(ModelError, match="of another shape"):
        build_encoder("timm:test_convnext", str(path), in_channels=1)
    with pytest.raises(ModelError, match="does not fit TimmEncoder"):
        build_encoder("timm:test_resnet", str(path), in_channels=3)


def test_nothing_is_ever_fetched(monkeypatch):
    asked = []
    make = timm.create_model

    def watch(*args, **kwargs):
        asked.append(kwargs["pretrained"])
        return make(*args, **kwargs)

    monkeypatch.setattr(timm, "create_model", watch)
    build_encoder("timm:test_convnext")
    assert asked == [False]


@pytest.mark.parametrize(
    "name",
    ["convnext_tiney", "hf-hub:timm/test_vit.r160_in1k", "local-dir:/tmp", ""],
)
def test_names_that_are_none_of_timms_are_refused(name):
    with pytest.raises(ValueError, match="timm has no model"):
        build_encoder(f"timm:{name}")


def test_arguments_that_a_model_does_not_take_are_named():
    with pytest.raises(ValueError, match="drop_path=0.1, image_size=None"):
        TimmEncoder("vgg11", drop_path=0.1)


@pytest.fixture
def timm_bundle(bundle):
    """A bundle whose encoder is timm's."""
    encoder = build_encoder("timm:test_convnext", in_channels=1)
    classifier = SoundClassifier(encoder, 3, image_size=(32, 48)).eval()
    model = SoundModel(classifier, Spectrogram(), ClipReader(), ["a", "b", "c"])
    for path in bundle.glob("*.safetensors"):
        path.unlink()
    save_file(classifier.state_dict(), bundle / "model.safetensors")
    (bundle / "hyperparams.yaml").write_text(describe(model))
    write_sums(bundle)
    return bundle, classifier


def test_a_bundle_of_it_loads(timm_bundle):
    bundle, classifier = timm_bundle
    loaded = load_model(bundle).classifier
    clip = torch.rand(1, 40, 513)
    with torch.no_grad():
        expected = classifier(clip).logits
        torch.testing.assert_close(loaded(clip).logits, expected)


def test_a_bundle_cannot_send_timm_to_an_address(timm_bundle):
    bundle, _ = timm_bundle
    path = bundle / "hyperparams.yaml"
    text = path.read_text()
    assert '"test_convnext"' in text or "test_convnext" in text
    for name in ('"hf-hub:evil/model"', '"local-dir:/tmp/evil"', '"../x"'):
        changed = text.replace("name: test_convnext", f"name: {name}")
        assert changed != text
        path.write_text(changed)
        write_sums(bundle)
        with pytest.raises(UnsafeModelError, match="name of a model of timm"):
            load_model(bundle)
