import pytest
import torch

from focalaudio.cli import demo
from focalaudio.data.synthetic import CLASSES, write_dataset
from focalaudio.interpreters import Interpretation
from focalaudio.models import SoundModel


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    return write_dataset(
        folder, clips_per_class=10, seed=0, seconds=1.0, classes=CLASSES[:3]
    )


class Loud:
    """Keeps every cell that is loud, whatever sounds there."""

    def __init__(self, classifier, spectrogram):
        self.spectrogram = spectrogram

    def __call__(self, wavs):
        loud = self.spectrogram(wavs).log_magnitude > 0.5
        return Interpretation(*[None] * 3, loud, *[None] * 2)


@pytest.fixture
def model(monkeypatch):
    from focalaudio.classifier import SoundClassifier
    from focalaudio.data.pipelines import ClipReader
    from focalaudio.encoders import build_encoder
    from focalaudio.spectrogram import Spectrogram

    torch.manual_seed(0)
    classifier = SoundClassifier(build_encoder("focalnet_test"), 3).eval()
    model = SoundModel(
        classifier, Spectrogram(), ClipReader(16000, 1.0), CLASSES[:3]
    )
    monkeypatch.setattr(demo, "load_model", lambda run: model)
    return model


def test_a_random_mask_keeps_its_own_size(model, dataset):
    _, at_random = demo.compare_with_stems("run", dataset)
    assert at_random == pytest.approx(0.1, abs=0.03)


def test_a_mask_of_the_loud_cells_keeps_more_than_chance(
    model, dataset, monkeypatch
):
    monkeypatch.setattr(demo, "ByDesignInterpreter", Loud)
    kept, at_random = demo.compare_with_stems("run", dataset)
    assert kept > 0.9 > at_random


def test_the_result_is_told_with_its_numbers_and_files(tmp_path):
    sounds = tmp_path / "interpretation" / "interpretations"
    sounds.mkdir(parents=True)
    (sounds / "5-1-A-0.png").touch()
    told = demo.DemoResult(0.967, 0.55, 0.4, 0.1, tmp_path).describe()
    for expected in (
        "96.7 %",
        "55.0 %",
        "40.0 %",
        "10.0 %",
        "5-1-A-0_kept.wav",
    ):
        assert expected in told
