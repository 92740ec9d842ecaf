import math

import pytest
import torch
from speechbrain.dataio.dataset import DynamicItemDataset

from focalaudio.brains import InterpreterBrain
from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder
from focalaudio.interpreters import ByDesignInterpreter
from focalaudio.spectrogram import Spectrogram

LABELS = ["low", "middle", "high"]


def make_clip(number):
    """Noise of a length of its own, louder at one of three pitches."""
    samples = 1500 + 211 * number
    generator = torch.Generator().manual_seed(number)
    angle = 2 * math.pi * (500, 1500, 4000)[number % 3] / 16000
    tone = torch.sin(angle * torch.arange(samples))
    return tone + 0.1 * torch.randn(samples, generator=generator)


def make_dataset(numbers):
    rows = {f"clip{number}": {"number": number} for number in numbers}
    dataset = DynamicItemDataset(rows)
    dataset.add_dynamic_item(make_clip, "number", "sig")
    dataset.add_dynamic_item(lambda number: number % 3, "number", "target")
    dataset.add_dynamic_item(lambda n: LABELS[n % 3], "number", "label")
    dataset.set_output_keys(["id", "sig", "label", "target"])
    return dataset


@pytest.fixture
def classifier():
    """Spread weights: those that training starts from see no difference."""
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_test", in_channels=1)
    classifier = SoundClassifier(encoder, 3, "linear", image_size=(32, 32))
    for parameter in classifier.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        torch.nn.init.normal_(parameter, 0, fan_in**-0.5)
    return classifier


def make_brain(classifier, quantile=0.8, exporter=None):
    interpreter = ByDesignInterpreter(classifier, Spectrogram(), quantile)
    return InterpreterBrain(
        modules={"interpreter": interpreter},
        hparams={
            "interpreter": interpreter,
            "compared": [],
            "labels": LABELS,
            "exporter": exporter,
        },
        run_opts={"device": "cpu", "noprogressbar": True},
    )


def evaluate(brain, numbers=range(6), batch_size=4):
    brain.evaluate(
        make_dataset(numbers), test_loader_kwargs={"batch_size": batch_size}
    )
    return brain.tracker.rows()


@torch.no_grad()
def slowly(brain, number):
    """The row of one clip, from the definitions, one thing after the other."""
    interpreter = brain.modules.interpreter
    spectrum = interpreter.spectrogram(make_clip(number)[None])
    whole = spectrum.log_magnitude
    mask = interpreter(make_clip(number)[None]).mask.float()
    probabilities = [
        interpreter.classifier(part).logits.softmax(-1)[0]
        for part in (whole, mask * whole, (1 - mask) * whole)
    ]
    said = int(probabilities[0].argmax())
    p, kept, removed = (part[said].item() for part in probabilities)
    return {
        "clip_id": f"clip{number}",
        "label": LABELS[number % 3],
        "predicted": LABELS[said],
        "kept_fraction": mask.mean().item(),
        "accuracy": float(said == number % 3),
        "fidelity": float(probabilities[1].argmax() == said),
        "faithfulness": p - removed,
        "faithfulness_of_kept": p - kept,
    }


def test_rows_follow_the_definitions(classifier):
    brain = make_brain(classifier)
    rows = evaluate(brain)
    assert len({row["faithfulness"] for row in rows}) == 6
    for number, row in enumerate(rows):
        wanted = slowly(brain, number)
        assert {key: row[key] for key in wanted} == pytest.approx(
            wanted, abs=1e-5
        )


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_clip_counts_the_same_in_every_batch_and_order(
    classifier, batch_size
):
    brain = make_brain(classifier)
    wanted = evaluate(brain, batch_size=6)
    rows = evaluate(brain, range(6)[::-1], batch_size)
    for row, one in zip(rows, wanted, strict=True):
        assert row == pytest.approx(one, abs=1e-5)


def test_keeping_everything_changes_nothing(classifier):
    for row in evaluate(make_brain(classifier, quantile=0.0)):
        assert row["kept_fraction"] == 1
        assert row["fidelity"] == 1
        assert row["faithfulness_of_kept"] == pytest.approx(0, abs=1e-6)


def test_the_encoder_sees_whole_kept_and_removed_once(classifier, monkeypatch):
    seen, forward = [], classifier.encoder.forward

    def count(image):
        seen.append(len(image))
        return forward(image)

    monkeypatch.setattr(classifier.encoder, "forward", count)
    evaluate(make_brain(classifier), batch_size=3)
    assert seen == [3, 6, 3, 6]


def test_exporter_gets_every_batch_as_it_was_judged(classifier):
    calls = []
    brain = make_brain(classifier, exporter=lambda *call: calls.append(call))
    rows = evaluate(brain)
    ids = [clip_id for _, clip_ids, _ in calls for clip_id in clip_ids]
    labels = [label for _, _, labels in calls for label in labels]
    kept = torch.cat([record.kept_fraction for record, _, _ in calls])
    assert ids == [row["clip_id"] for row in rows]
    assert labels == [row["label"] for row in rows]
    assert kept.tolist() == [row["kept_fraction"] for row in rows]


def test_the_classifier_stays_as_it_was(classifier):
    before = {k: v.clone() for k, v in classifier.state_dict().items()}
    brain = make_brain(classifier)
    brain.modules.train()
    evaluate(brain)
    assert not classifier.training
    assert not any(p.requires_grad for p in classifier.parameters())
    assert all(
        torch.equal(value, before[key])
        for key, value in classifier.state_dict().items()
    )


def test_no_file_is_written(classifier, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluate(make_brain(classifier))
    assert list(tmp_path.iterdir()) == []
