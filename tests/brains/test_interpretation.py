import json
import math

import pytest
import torch
from speechbrain.dataio.dataset import DynamicItemDataset

from focalaudio.brains import InterpreterBrain
from focalaudio.brains.progress import Progress
from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.metrics.table import CLIP_COLUMNS, METRICS
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


def make_brain(classifier, quantile=0.8, quantiles=(), **hparams):
    interpreter = ThresholdInterpreter(
        classifier, Spectrogram(), quantile=quantile
    )
    if quantiles:
        hparams["compared"] = [interpreter.at_quantile(q) for q in quantiles]
    return InterpreterBrain(
        modules={"interpreter": interpreter},
        hparams={"interpreter": interpreter, "labels": LABELS, **hparams},
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
        assert row == pytest.approx(one, abs=1e-4)


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


@pytest.fixture
def seen(classifier, monkeypatch):
    """How many images the encoder was given, call by call."""
    seen, forward = [], classifier.encoder.forward

    def count(image):
        seen.append(len(image))
        return forward(image)

    monkeypatch.setattr(classifier.encoder, "forward", count)
    return seen


def test_a_sweep_of_q_quantiles_costs_one_pass_and_two_for_each(
    classifier, seen
):
    brain = make_brain(classifier, quantiles=(0.5, 0.6, 0.7))
    evaluate(brain, batch_size=3)
    assert sum(seen) == 6 * (1 + 2 * 4)
    assert seen == [3, 6, 6, 6, 6] * 2
    kept = [
        sum(row["kept_fraction"] for row in rows) / 6
        for rows in brain.rows().values()
    ]
    assert kept == pytest.approx([0.2, 0.5, 0.4, 0.3], abs=0.05)  # ties


def test_a_sweep_agrees_with_separate_evaluations(classifier):
    together = make_brain(classifier, quantiles=(0.5,))
    evaluate(together)
    alone = make_brain(classifier, 0.5)
    wanted = evaluate(alone)
    rows = together.rows()["stage_2, quantile 0.5"]
    for row, one in zip(rows, wanted, strict=True):
        assert row == pytest.approx(one, abs=1e-6)


def make_mixtures(numbers):
    dataset = make_dataset(numbers)
    for key, number in (("first", 0), ("second", 1)):
        dataset.add_dynamic_item(
            lambda n, shift=number: 0.5 * make_clip(n + 3 * shift)[:1500],
            "number",
            key,
        )
    dataset.add_dynamic_item(
        lambda first, second: first + second, ["first", "second"], "sum"
    )
    dataset.add_dynamic_item(lambda n: (n + 1) % 3, "number", "other_target")
    keys = {"id": "id", "sig": "sum", "label": "label", "target": "target"}
    keys |= {key: key for key in ("first", "second", "other_target")}
    dataset.set_output_keys(keys)
    return dataset


def test_every_metric_comes_from_three_passes_per_clip(classifier, seen):
    brain = make_brain(classifier)
    brain.evaluate(
        make_mixtures(range(6)), test_loader_kwargs={"batch_size": 6}
    )
    assert seen == [6, 12]
    rows = brain.tracker.rows()
    assert len(rows) == 6
    needing_more = {"loss", "hit"} | {
        metric.name
        for metric in METRICS.values()
        if metric.needs in ("curves", "checks", "judge", "random")
    }
    assert list(rows[0])[: len(CLIP_COLUMNS)] == list(CLIP_COLUMNS)
    assert set(rows[0]) >= set(METRICS) - needing_more
    others = [row["other_label"] for row in rows]
    assert others == [LABELS[(number + 1) % 3] for number in range(6)]
    oracle = brain.rows()["cleanest"]
    for row, best in zip(rows, oracle, strict=True):
        assert best["source_found"] == row["source_found"]
        if row["source_found"]:
            assert best["source_share"] >= row["source_share"]
            assert best["kept_fraction"] == pytest.approx(row["kept_fraction"])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_sources_count_the_same_in_every_batch(classifier, batch_size):
    rows = []
    for size in (6, batch_size):
        brain = make_brain(classifier)
        brain.evaluate(
            make_mixtures(range(6)), test_loader_kwargs={"batch_size": size}
        )
        rows.append(brain.tracker.rows())
    for row, one in zip(*rows, strict=True):
        assert row == pytest.approx(one, abs=1e-4, nan_ok=True)


def test_curves_are_columns_when_asked_for(classifier):
    plain, curved = (
        evaluate(make_brain(classifier)),
        evaluate(make_brain(classifier, curve_steps=2)),
    )
    assert "insertion" not in plain[0]
    assert all(0 <= row["insertion"] <= 1 for row in curved)
    assert all(0 <= row["deletion"] <= 1 for row in curved)


def test_two_interpreters_of_one_name_are_an_error(classifier):
    brain = make_brain(classifier, quantile=0.5, quantiles=(0.5,))
    with pytest.raises(ValueError, match="stage_2, quantile 0.5"):
        evaluate(brain)


def test_exporter_gets_every_batch_as_it_was_measured(classifier):
    calls = []
    brain = make_brain(classifier, exporter=lambda *call: calls.append(call))
    rows = evaluate(brain)
    ids = [clip_id for _, clip_ids, *_ in calls for clip_id in clip_ids]
    labels = [label for _, _, labels, *_ in calls for label in labels]
    kept = torch.cat([record.kept_fraction for record, *_ in calls])
    assert {sources for *_, sources, _ in calls} == {None}
    assert [rows for *_, rows in calls] == [[0, 1, 2, 3], [0, 1]]
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


class StoppedError(Exception):
    """Stands for the end of a process."""


@pytest.mark.parametrize("batch_size", [2, 4])
def test_stopped_and_started_again_is_never_stopped(
    classifier, seen, tmp_path, batch_size
):
    """Rows to the last bit, without passes for what was done before."""

    def evaluated(folder, exporter=None):
        brain = make_brain(
            classifier,
            quantiles=(0.5,),
            exporter=exporter,
            progress=Progress(folder),
        )
        loader = {"batch_size": batch_size}
        brain.evaluate(make_mixtures(range(6)), test_loader_kwargs=loader)
        return brain

    def stop(interpretation, clip_ids, *_):
        if "clip4" in clip_ids:
            raise StoppedError

    wanted = evaluated(tmp_path / "whole").rows()
    seen.clear()
    with pytest.raises(StoppedError):
        evaluated(tmp_path / "stopped", stop)
    done = sum(seen)
    written = []
    exporter = lambda _, clip_ids, *__: written.extend(clip_ids)  # noqa: E731
    brain = evaluated(tmp_path / "stopped", exporter)
    assert json.dumps(brain.rows()) == json.dumps(wanted)
    assert sum(seen) - done == 5 * (6 - 4)
    assert written == ["clip4", "clip5"]
    evaluated(tmp_path / "stopped")
    assert sum(seen) - done == 5 * (6 - 4)


def make_judge(seed):
    torch.manual_seed(seed)
    encoder = build_encoder("focalnet_test", in_channels=1)
    judge = SoundClassifier(encoder, 3, "linear", image_size=(32, 32))
    for parameter in judge.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        torch.nn.init.normal_(parameter, 0, fan_in**-0.5)
    return judge.freeze()


@torch.no_grad()
def test_another_judge_is_shown_whole_kept_and_removed(classifier):
    judge = make_judge(7)
    brain = make_brain(classifier, judge_classifier=judge)
    plain = evaluate(make_brain(classifier))
    rows = evaluate(brain)
    for number, (row, own) in enumerate(zip(rows, plain, strict=True)):
        assert {name: row[name] for name in own} == pytest.approx(own)
        record = brain.interpreter(make_clip(number)[None])
        said = int(record.class_ids)
        whole, kept, removed = (
            judge(part).logits.softmax(-1)[0]
            for part in (record.log_magnitude, record.kept, record.removed)
        )
        assert row["judge_fidelity"] == (kept.argmax() == said)
        wanted = (whole[said] - removed[said]).item()
        assert row["judge_faithfulness"] == pytest.approx(wanted, abs=1e-5)


def test_the_judge_sees_the_whole_once_whatever_is_compared(classifier):
    judge, seen = make_judge(7), []
    judge.encoder.register_forward_hook(
        lambda module, inputs, output: seen.append(len(inputs[0]))
    )
    brain = make_brain(classifier, quantiles=(0.5,), judge_classifier=judge)
    evaluate(brain, batch_size=6)
    assert seen == [6, 12, 12]


def test_without_a_judge_the_classifier_is_asked_of_random_parts(
    classifier, seen
):
    rows = evaluate(make_brain(classifier, f_fidelity_samples=2), batch_size=6)
    assert sum(seen) == 6 * (3 + 2 * 2)
    assert "judge_fidelity" not in rows[0]
    judged = evaluate(
        make_brain(
            classifier, f_fidelity_samples=2, judge_classifier=make_judge(7)
        )
    )
    for row, other in zip(rows, judged, strict=True):
        assert -1 <= row["f_fidelity_plus"] <= 1
        assert row["f_fidelity_plus"] != other["f_fidelity_plus"]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_judged_clips_count_the_same_in_every_batch_and_order(
    classifier, batch_size
):
    asked = {"f_fidelity_samples": 2, "judge_classifier": make_judge(7)}
    wanted = evaluate(make_brain(classifier, **asked), batch_size=6)
    brain = make_brain(classifier, **asked)
    rows = evaluate(brain, range(6)[::-1], batch_size)
    for row, one in zip(rows, wanted, strict=True):
        assert row == pytest.approx(one, abs=1e-4)


def test_keeping_everything_leaves_nothing_else_to_remove(classifier):
    brain = make_brain(classifier, quantile=0.0, f_fidelity_samples=2)
    for row in evaluate(brain):
        assert row["f_fidelity_minus"] == pytest.approx(0, abs=1e-5)
        assert row["kept_energy"] == 1


def test_annotations_are_scored_without_another_pass(classifier, seen):
    """Boxes of every class, from the middle of each clip on."""
    dataset = make_dataset(range(6))

    def mark(number):
        middle = len(make_clip(number)) / 2 / 16000
        rows = [[middle, 9.0, 0.0, math.inf, float(c)] for c in range(3)]
        return torch.tensor(rows[: 2 + number % 2])

    dataset.add_dynamic_item(mark, "number", "boxes")
    dataset.set_output_keys(["id", "sig", "label", "target", "boxes"])
    rows = []
    for size in (6, 1):
        brain = make_brain(classifier)
        brain.evaluate(dataset, test_loader_kwargs={"batch_size": size})
        rows.append(brain.tracker.rows())
    assert seen == [6, 12, *[1, 2] * 6]
    of_boxes = {"iou", "pointing", "auc", "time_pointing", "time_iou"}
    of_boxes |= {"frame_f1", "time_chance", "source_found"}
    for row, alone in zip(*rows, strict=True):
        assert alone == pytest.approx(row, abs=1e-4, nan_ok=True)
        known = row["predicted"] != "high" or int(row["clip_id"][-1]) % 2
        assert row["source_found"] == bool(known)
        assert of_boxes < set(row)
        assert not {"source_kept", "si_sdr"} & set(row)
        if known:
            assert row["time_chance"] == pytest.approx(0.5, abs=0.1)
    assert any(row["source_found"] for row in rows[0])
