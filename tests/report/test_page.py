from dataclasses import replace

import pytest
import torch

from focalaudio.classifier import SoundClassifier
from focalaudio.decisions import SEVERAL
from focalaudio.encoders import build_encoder
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.report.page import (
    choose_classes,
    make_clip,
    make_view,
    score_parts,
)
from focalaudio.spectrogram import Spectrogram

LABELS = ["dog", "rain", "cat"]


@pytest.fixture(scope="module")
def interpreter():
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_test", in_channels=1)
    classifier = SoundClassifier(encoder, 3, "linear", image_size=(32, 32))
    for parameter in classifier.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        torch.nn.init.normal_(parameter, 0, fan_in**-0.5)
    return ThresholdInterpreter(classifier, Spectrogram(), quantile=0.8)


@pytest.fixture(scope="module")
def batch(interpreter):
    """Two clips, the second half as long, and their interpretation."""
    torch.manual_seed(1)
    wavs = torch.rand(2, 8000) - 0.5
    wavs[1, 4000:] = 0
    return wavs, interpreter(wavs, torch.tensor([1.0, 0.5]))


@pytest.mark.parametrize(("row", "samples"), [(0, 8000), (1, 4000)])
def test_a_view_is_of_the_clips_own_frames_and_samples(batch, row, samples):
    wavs, found = batch
    view = make_view(found, row, LABELS, "stage_2", 0.8)
    frames = int(found.spectrum.n_frames[row])
    assert view.mask.shape == view.saliency.shape == (frames, 513)
    torch.testing.assert_close(
        view.kept + view.removed, wavs[row, :samples], atol=1e-5, rtol=0
    )
    assert view.explained == LABELS[found.logits[row].argmax()]
    assert view.kept_fraction == pytest.approx(
        found.kept_fraction[row].item(), abs=1e-6
    )


def test_a_clip_does_not_depend_on_its_neighbors(batch, interpreter):
    wavs, found = batch
    alone = interpreter(wavs[1:, :4000])
    one, other = (
        make_clip(each, row, LABELS, "a", ())
        for each, row in ((found, 1), (alone, 0))
    )
    assert one.warnings == other.warnings
    for (label, p), (wanted, q) in zip(
        one.probabilities, other.probabilities, strict=True
    ):
        assert (label, p) == (wanted, pytest.approx(q, abs=1e-4))
    torch.testing.assert_close(one.wav, other.wav, atol=1e-5, rtol=0)


def test_probabilities_fall_and_are_those_of_the_record(batch):
    clip = make_clip(batch[1], 0, LABELS, "a", ())
    values = [p for _, p in clip.probabilities]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1)
    assert clip.predicted == LABELS[batch[1].probs[0].argmax()]


def test_scores_are_of_the_explained_class(batch, interpreter):
    wavs, found = batch
    parts = interpreter.classify_parts(found)
    scores = score_parts(found, parts, 0)
    explained = found.class_ids[0]
    for name, logits in zip(
        ("probability", "kept_probability", "removed_probability"),
        (found.logits, *parts),
        strict=True,
    ):
        wanted = logits[0].softmax(0)[explained].item()
        assert scores[name] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("targets", [[], [None, None], [-1, -1]])
def test_without_a_true_class_the_runner_up_is_compared(batch, targets):
    predicted, other = choose_classes(batch[1], targets)
    ranked = batch[1].logits.argsort(1, descending=True)
    assert torch.equal(torch.stack((predicted, other), 1), ranked[:, :2])


def test_a_true_class_that_is_not_predicted_is_compared(batch):
    last = batch[1].logits.argmin(1)
    assert torch.equal(choose_classes(batch[1], last.tolist())[1], last)


def test_in_a_clip_without_an_answer_nothing_was_heard(batch):
    _, found = batch
    judged = replace(found, is_known=torch.tensor([True, False]))
    logits = torch.tensor([[-1.0], [1.0]]).expand(2, len(LABELS))
    several = replace(found, decision=SEVERAL, logits=logits)
    for record, heard in (
        (found, [True, True]),
        (judged, [True, False]),
        (several, [False, True]),
    ):
        clips = [make_clip(record, row, LABELS, "a", ()) for row in (0, 1)]
        assert [not clip.refused for clip in clips] == heard
