import json
import re

import pytest
import torch
from speechbrain.dataio.dataset import DynamicItemDataset

from focalaudio.audio import write_wav
from focalaudio.brains import InterpreterBrain
from focalaudio.brains.progress import Progress
from focalaudio.brains.reporting import Reporter, index_clips
from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.spectrogram import Spectrogram

READER = ClipReader(16000, None)
LABELS = ["low", "middle", "high"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Six short clips on disk, two of each class."""
    folder = tmp_path_factory.mktemp("sounds")
    rows = {}
    for number in range(6):
        samples = 3000 + 211 * number
        angle = (0.2, 0.6, 1.5)[number % 3]
        wav = 0.5 * torch.sin(angle * torch.arange(samples))
        path = write_wav(folder / f"clip{number}.wav", wav, 16000)
        target = number % 3
        rows[f"clip{number}"] = {
            "path": str(path),
            "target": target,
            "label": LABELS[target],
        }
    made = DynamicItemDataset(rows)
    made.add_dynamic_item(READER, "path", "sig")
    made.set_output_keys(["id", "sig", "label", "target"])
    return made


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_test", in_channels=1)
    classifier = SoundClassifier(encoder, 3, "linear", image_size=(32, 32))
    for parameter in classifier.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        torch.nn.init.normal_(parameter, 0, fan_in**-0.5)
    return classifier


@pytest.fixture
def interpreter(classifier):
    return ThresholdInterpreter(
        classifier, Spectrogram(), maps=["class_evidence"], quantile=0.9
    )


def evaluate(
    interpreter,
    dataset,
    path,
    compared=(),
    progress=None,
    max_clips=None,
    **kwargs,
):
    reporter = Reporter(path, interpreter, LABELS, **kwargs)
    hparams = {"interpreter": interpreter, "labels": LABELS}
    hparams |= {"compared": compared, "reporter": reporter}
    brain = InterpreterBrain(
        modules={"interpreter": interpreter},
        hparams=hparams | {"progress": progress, "max_clips": max_clips},
        run_opts={"device": "cpu", "noprogressbar": True},
    )
    brain.evaluate(dataset, test_loader_kwargs={"batch_size": 4})
    return reporter, brain.rows()


def clips_of(path):
    text = path.read_text(encoding="utf-8")
    return [
        json.loads(t) for t in re.findall(r'class="clip">(.*?)</script>', text)
    ]


def head_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="head">(.*?)</script>', text)[1])


def test_every_clip_has_its_methods_quantiles_and_classes(
    interpreter, dataset, tmp_path, classifier
):
    random = ThresholdInterpreter(
        classifier, interpreter.spectrogram, "random", quantile=0.9
    )
    path = tmp_path / "report.html"
    reporter, rows = evaluate(interpreter, dataset, path, [random])
    reporter.finish(rows, {})
    clips = clips_of(path)
    assert [clip["id"] for clip in clips] == [f"clip{n}" for n in range(6)]
    for clip in clips:
        first, second, *others = clip["views"]
        assert first["method"] == "class_evidence"
        assert second["method"] == "random"
        assert {view["quantile"] for view in others} == {0.5, 0.7, 0.9}
        assert others[-1]["explained"] != first["explained"]
        assert first["boxes"]
    methods = [each["name"] for each in head_of(path)["run"]["methods"]]
    assert methods == list(rows)


def test_scores_of_the_page_are_those_of_the_rows(
    interpreter, dataset, tmp_path
):
    path = tmp_path / "report.html"
    reporter, rows = evaluate(interpreter, dataset, path)
    reporter.finish(rows, {})
    for clip, row in zip(clips_of(path), rows[interpreter.name], strict=True):
        scores = clip["views"][0]["scores"]
        for name in ("faithfulness", "kept_probability"):
            assert scores[name] == pytest.approx(row[name], abs=1e-5)


def test_no_clip_is_classified_once_more(
    interpreter, dataset, tmp_path, monkeypatch
):
    seen = []
    encoder = interpreter.classifier.encoder
    forward = encoder.forward
    monkeypatch.setattr(
        encoder, "forward", lambda x: seen.append(len(x)) or forward(x)
    )
    evaluate(interpreter, dataset, tmp_path / "report.html")
    assert seen == [4, 8, 2, 4]  # whole, then kept and removed


def test_neighbors_are_of_the_classes_in_question(
    interpreter, dataset, tmp_path
):
    path = tmp_path / "report.html"
    options = {"train_data": dataset, "reader": READER, "n_neighbors": 1}
    reporter, rows = evaluate(interpreter, dataset, path, **options)
    reporter.finish(rows, {})
    for clip in clips_of(path):
        predicted = clip["top"][0][0]
        wanted = {"predicted": predicted}
        if clip["label"] != predicted:
            wanted["true"] = clip["label"]
        found = {each["relation"]: each for each in clip["neighbors"]}
        assert {name: each["label"] for name, each in found.items()} == wanted
        own = found.get("true", found["predicted"])
        assert own["distance"] < 0.1  # a clip of the set is in the set


def test_an_index_is_of_every_clip_in_its_order(interpreter, dataset):
    index = index_clips(dataset, interpreter, READER)
    assert [path.stem for path in index.paths] == list(dataset.data_ids)
    assert index.labels == 2 * LABELS
    alone = interpreter.look(dataset[2]["sig"][None])[1].embeddings[0]
    torch.testing.assert_close(index.embeddings[2], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("max_clips", "shown"), [(0, 0), (5, 5), (None, 6)])
def test_so_many_clips_are_shown_and_all_are_listed(
    interpreter, dataset, tmp_path, max_clips, shown
):
    path = tmp_path / "report.html"
    reporter, rows = evaluate(interpreter, dataset, path, max_clips=max_clips)
    reporter.finish(rows, {})
    assert len(clips_of(path)) == shown
    assert len(head_of(path)["clips"]) == 6


def test_a_page_that_is_not_wanted_is_not_made(interpreter, dataset, tmp_path):
    path = tmp_path / "new" / "report.html"
    reporter, rows = evaluate(interpreter, dataset, path, wanted=False)
    reporter.finish(rows, {})
    assert not path.parent.exists()


def test_a_run_with_nothing_left_to_do_keeps_its_page(
    interpreter, dataset, tmp_path
):
    path = tmp_path / "report.html"
    for _ in range(2):
        progress = Progress(tmp_path / "progress")
        reporter, rows = evaluate(interpreter, dataset, path, (), progress)
        reporter.finish(rows, {})
        assert len(clips_of(path)) == 6


def test_a_listening_test_has_the_methods_and_no_more(
    interpreter, dataset, tmp_path
):
    path = tmp_path / "report.html"
    reporter, rows = evaluate(interpreter, dataset, path, listening_test=True)
    reporter.finish(rows, {})
    assert head_of(path)["listening_test"]
    assert all(len(clip["views"]) == 1 for clip in clips_of(path))


def test_what_is_like_no_class_is_said(interpreter, dataset, tmp_path):
    def only_the_first(spectrum, output):
        return torch.arange(len(output.logits)) == 0

    path = tmp_path / "report.html"
    evaluate(interpreter, dataset, path, is_known=only_the_first)[0].finish(
        {}, {}
    )
    said = ["evidence" in " ".join(c["warnings"]) for c in clips_of(path)]
    assert said == [False, True, True, True, False, True]  # batches of 4


def test_what_was_padded_before_it_came_is_said(
    interpreter, dataset, tmp_path, monkeypatch
):
    fitted = ClipReader(16000, 0.3)  # of at most 0.26 s
    monkeypatch.setattr(READER, "_decoded", {})
    monkeypatch.setattr(READER, "prepare", fitted.prepare)
    path = tmp_path / "report.html"
    evaluate(interpreter, dataset, path)[0].finish({}, {})
    said = ["Nothing sounds" in " ".join(c["warnings"]) for c in clips_of(path)]
    assert said[0]  # 0.19 of 0.3 s
    monkeypatch.setattr(READER, "_decoded", {})
