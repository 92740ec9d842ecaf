"""docs/several-labels.md, word for word, and what such a run leaves."""

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import torch

from focalaudio import SoundInterpreter
from focalaudio.audio import write_wav
from focalaudio.data.folders import open_data
from focalaudio.data.folds import read_folds
from focalaudio.errors import DataError
from focalaudio.inference.folder import FolderExplainer
from focalaudio.inference.requests import Request
from focalaudio.models import load_model
from focalaudio.models.export import export_run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "several-labels.md").read_text(encoding="utf-8")
TINY = {"number_of_epochs": 2, "clip_seconds": 0.4, "crop_seconds": "null"}
TINY |= {"mix_probability": 0.9, "view_probability": 0.5}
TONES = {"robin": 3000.0, "wren": 600.0}


def commands():
    """The commands of the page, each as its script and its options."""
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL):
        _, script, _, *rest = shlex.split(block.replace("\\\n", " "))
        keys = [key.removeprefix("--") for key in rest[::2]]
        yield Path(script).stem, dict(zip(keys, rest[1::2], strict=True))


def put(path, labels):
    """A tone for each label, and some noise."""
    times = torch.arange(6400) / 16000
    wav = 0.01 * torch.randn(6400)
    for label in labels:
        wav += 0.3 * torch.sin(2 * torch.pi * TONES[label] * times)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, wav, 16000)


def write_calls(folder):
    """Thirty clips of six sites, as the page's table has them."""
    sets = (["robin", "wren"], ["wren"], [], ["robin"], ["robin", "wren"])
    rows = ["file,labels,site"]
    names = ("a", "b", "c", *(f"d{place}" for place in range(27)))
    for place, name in enumerate(names):
        labels = sets[place % 5]
        put(folder / f"{name}.wav", labels)
        rows.append(f"{name}.wav,{'+'.join(labels)},{place // 5}")
    (folder / "calls.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory, recipe):
    """A folder in which every command of the page was run."""
    folder = tmp_path_factory.mktemp("several")
    torch.manual_seed(0)
    write_calls(folder / "calls")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, options in commands():
            tiny = TINY if name == "train_classifier" else {}
            out = f"results/{options.get('experiment_name', name)}/1234"
            recipe(name, out, **tiny, **options)
    return folder


@pytest.fixture(scope="module")
def run(place):
    """The run that the page trains."""
    return place / "results" / "calls" / "1234"


def test_every_python_block_runs(place, monkeypatch):
    monkeypatch.chdir(place)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        names = {}
        exec(block, names)  # noqa: S102
        said = names["model"].classify_file("calls/a.wav")[0]
        assert bool(((said >= 0) & (said <= 1)).all())


def test_the_folds_keep_sites_whole_and_have_every_class(run, place):
    folds = read_folds(run / "folds.csv")
    table = pd.read_csv(place / "calls" / "calls.csv", keep_default_na=False)
    fold = table["file"].map(folds)
    assert (fold.groupby(table["site"]).nunique() == 1).all()
    assert len(set(fold)) == 5
    for label in TONES:
        has = table["labels"].str.contains(label)
        assert set(fold[has]) == set(fold)


def test_tables_tell_of_each_class(run):
    metrics = json.loads((run / "metrics.json").read_text())
    classes = pd.read_csv(run / "classes.csv")
    assert list(classes["class"]) == list(load_model(run).labels)
    mean = classes["average_precision"].mean()
    assert metrics["average_precision"] == pytest.approx(mean)
    clips = pd.read_csv(run / "clips.csv", keep_default_na=False)
    for label, count in zip(classes["class"], classes["n"], strict=True):
        listed = clips["label"].str.split(";")
        assert count == sum(label in each for each in listed)
    probs = pd.read_csv(run / "probabilities.csv")
    said = [
        ";".join(name for name in classes["class"] if row[name] >= 0.5)
        for _, row in probs.iterrows()
    ]
    assert said == list(clips["predicted"])
    assert (clips["label"] == "").any()  # background is tested too
    assert not (run / "confusion.png").exists()


def test_the_checkpoint_has_the_best_average_precision(run):
    history = pd.read_csv(run / "history.csv")
    best = history["valid_average_precision"].max()
    metas = [path.read_text() for path in run.glob("save/CKPT*/CKPT.yaml")]
    assert any(f"error: {1 - best}" in text for text in metas)


def test_the_bundle_says_what_the_logits_mean(run, tmp_path, place):
    bundle = export_run(run, tmp_path / "bundle")
    text = (bundle / "hyperparams.yaml").read_text()
    assert "labels_per_clip: several" in text
    ours, theirs = (SoundInterpreter.from_hparams(x) for x in (run, bundle))
    clip = place / "calls" / "a.wav"
    one, other = (each.explain_file(clip) for each in (ours, theirs))
    assert torch.equal(one.probs, other.probs)
    torch.testing.assert_close(
        one.probs, (one.logits / one.temperature).sigmoid()
    )


def test_scores_are_of_independent_probabilities(place):
    rows = pd.read_csv(
        place / "results" / "interpret" / "1234" / "clips.csv",
        keep_default_na=False,
    )
    model = SoundInterpreter.from_hparams(place / "results/calls/1234")
    for _, row in rows.iterrows():
        path = place / "calls" / f"{row['clip_id']}.wav"
        logits = model.explain_file(path).logits[0]
        assert row["probability"] == pytest.approx(
            logits.sigmoid().max().item(), abs=1e-4
        )
        labels = row["label"].split(";") if row["label"] else []
        assert row["hit"] == (row["predicted"] in labels)
        said = [x for x, y in zip(model.labels, logits, strict=True) if y >= 0]
        assert row["accuracy"] == (sorted(said) == sorted(labels))


def test_each_present_class_is_what_asking_for_it_gives(place):
    model = SoundInterpreter.from_hparams(place / "results/calls/1234")
    path = place / "calls" / "a.wav"
    whole = model.explain_file(path)
    shown = model.explain_present(whole.wavs + whole.removed_wavs, least=0.0)
    assert set(shown) == set(model.labels)
    for label, found in shown.items():
        asked = model.explain_file(path, target=label)
        assert found.class_ids.tolist() == asked.class_ids.tolist()
        torch.testing.assert_close(found.mask, asked.mask)
    assert model.explain_present(torch.zeros(6400), least=1.0) == {}


def test_a_bundle_brings_the_folds_of_its_data(run, place, tmp_path):
    bundle = export_run(run, tmp_path / "bundle")
    assert read_folds(bundle / "folds.csv") == read_folds(run / "folds.csv")
    sites = pd.read_csv(bundle / "folds.csv")["group"]
    assert sites.isna().all()  # who was recorded is nobody's business
    card = (bundle / "README.md").read_text()
    assert "the folds of its 30 clips are in `folds.csv`" in card
    assert "any of 2 labels, or none" in card
    assert "Mean average precision" in card
    options = {"manifest": "calls.csv", "columns": {"label": "labels"}}
    options |= {"labels_per_clip": "several", "label_separator": "+"}
    data = [
        open_data(
            place / "calls", [1, 2, 3], [4], [5], classifier=folder,
            fold_seed=9, **options,
        )
        for folder in (run, bundle)
    ]  # fmt: skip
    assert data[0].rows == data[1].rows


def test_the_report_is_of_several_labels(place):
    run = place / "results" / "interpret" / "1234"
    page = (run / "report.html").read_text(encoding="utf-8")
    head = re.search(r'"separator":\s*"(.)"', page)
    assert head[1] == ";"
    assert re.search(r'"confusion":\s*\[\]', page)


def test_the_command_tells_of_all_that_is_there(place, tmp_path):
    source = SoundInterpreter.from_hparams(place / "results/calls/1234").model
    bias = source.classifier.head.bias
    for shift, wanted in ((30.0, set(TONES)), (-60.0, set())):
        bias.data += shift
        out = tmp_path / f"{shift}"
        model = SoundInterpreter(source)
        request = Request(target=None)
        path = place / "calls" / "a.wav"
        with FolderExplainer(model, out, request) as explainer:
            (outcome,) = explainer.explain([path])
            explainer.finish()
        assert {name for name in TONES if f"{name} (" in outcome.answer} == (
            wanted
        )
        stream = model.explain_stream(path, tmp_path / "s", progress=False)
        heard = {segment.label for segment in stream.segments}
        assert heard <= (wanted or {"no evidence"})
    assert "none of the classes" in outcome.answer


def test_sources_of_several_labels_are_not_known(place, recipe, monkeypatch):
    monkeypatch.chdir(place)
    _, options = list(commands())[1]
    with pytest.raises(DataError, match="condition='overlap' needs clips with"):
        recipe("interpret", "results/overlap", condition="overlap", **options)
