"""docs/own-data.md, word for word, and what such runs leave."""

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from focalaudio.audio import write_wav
from focalaudio.data.folds import read_folds
from focalaudio.errors import DataError, FocalAudioError
from focalaudio.models import load_model
from focalaudio.models.export import export_run

ROOT = Path(__file__).parents[2]
TINY = {"number_of_epochs": 1, "warmup_epochs": 0, "clip_seconds": 0.2}
SPEAKERS = ("jackson", "nicolas", "george", "theo", "lucas")
TRAIN = "recipes/ESC50/train_classifier.py"


def commands_in(name):
    """The commands of a page, each as its script and its options."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            python, script, hparams, *rest = shlex.split(line)
            assert python == ".venv/bin/python"
            assert Path(hparams).stem == Path(script).stem
            keys = [key.removeprefix("--") for key in rest[::2]]
            yield Path(script).stem, dict(zip(keys, rest[1::2], strict=True))


COMMANDS = list(commands_in("docs/own-data.md"))


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, torch.rand(1600) - 0.5, 8000)


def write_table(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_birds(folder):
    for label in ("robin", "wren"):
        for place in range(5):
            put(folder / "birds" / label / f"2024/{label[0]}{place}.wav")
        for split in ("train", "train", "val", "test"):
            for place in range(2):
                put(folder / "birds_split" / split / label / f"{place}.wav")


def write_recordings(folder):
    rows = ["file_name;species;recordist;split"]
    for place in range(12):
        label = ("robin", "wren")[place % 2]
        split = (*["train"] * 4, "valid", "test")[place // 2]
        rows.append(f"r{place};{label};{split}er;{split}")
        put(folder / "recordings" / f"r{place}.WAV")
    write_table(folder / "recordings" / "birds.csv", rows)


def write_speech(folder):
    for part, count in (("train", 4), ("valid", 2), ("test", 2)):
        clips = {}
        for place in range(count):
            put(folder / "speech" / f"{part}{place}.wav")
            wav = f"{{data_root}}/{part}{place}.wav"
            label = ("yes", "no")[place % 2]
            clips[f"{part}{place}"] = {"wav": wav, "label": label}
        write_table(folder / "speech" / f"{part}.json", [json.dumps(clips)])


def write_digits(folder):
    for digit in range(2):
        for speaker in SPEAKERS:
            for index in range(2):
                put(folder / "digits" / f"{digit}_{speaker}_{index}.wav")


def write_urban(folder):
    rows = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for fold in range(1, 11):
        for place, label in enumerate(("siren", "drilling")):
            name = f"{fold}-{place}-0-0.wav"
            rows.append(f"{name},{fold},0,4,1,{fold},{place},{label}")
            put(folder / "UrbanSound8K" / "audio" / f"fold{fold}" / name)
    write_table(folder / "UrbanSound8K/metadata/UrbanSound8K.csv", rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory, recipe):
    """A folder in which every command of the page was run."""
    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(0)
    for write in (write_birds, write_recordings, write_speech, write_digits):
        write(folder)
    write_urban(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for number, (name, options) in enumerate(COMMANDS):
            tiny = TINY if name == "train_classifier" else {}
            recipe(name, out_of(name, options, number), **tiny, **options)
    return folder


def out_of(name, options, number):
    """Where the run goes: what the page says, or somewhere."""
    return f"results/{options.get('experiment_name', f'{name}_{number}')}/1234"


def test_every_command_of_the_page_runs(place):
    for number, (name, options) in enumerate(COMMANDS):
        run = place / out_of(name, options, number)
        assert (run / "metrics.json").exists(), options
        assert len(pd.read_csv(run / "clips.csv")) > 0
    assert len(COMMANDS) == 10


def test_made_folds_are_handed_on(place):
    runs = place / "results"
    made = read_folds(runs / "birds/1234/folds.csv")
    assert made == read_folds(runs / "interpret_1/1234/folds.csv")
    assert set(made.values()) == set("12345")
    tested = set(pd.read_csv(runs / "interpret_1/1234/clips.csv")["clip_id"])
    assert tested == {Path(name).stem for name, f in made.items() if f == "5"}
    assert not (runs / "urban/1234/folds.csv").exists()


def test_a_speaker_is_heard_on_one_side_only(place):
    runs = place / "results"
    rows = pd.read_csv(runs / "by_speaker/1234/clips.csv", dtype=str)
    assert {name.split("_")[1] for name in rows["clip_id"]} == {"theo"}
    made = read_folds(runs / "digits/1234/folds.csv")
    sides = {(name.split("_")[1], fold) for name, fold in made.items()}
    assert len(sides) == len(SPEAKERS)


def test_the_head_of_the_same_classes_is_where_training_starts(place):
    models = [
        load_model(place / "results" / name / "1234").classifier.state_dict()
        for name in ("birds", "more_birds")
    ]
    kept = [key for key in models[0] if key.startswith("encoder.")]
    assert all(torch.equal(models[0][key], models[1][key]) for key in kept)
    change = (models[0]["head.weight"] - models[1]["head.weight"]).abs().max()
    assert 0 < change < 0.01  # a step or two away


def again(place, recipe, patch, **other):
    """The page's first command once more, in the same folder."""
    patch.chdir(place)
    name, options = COMMANDS[0]
    recipe(name, out_of(name, options, 0), **TINY, **options, **other)


def test_a_finished_run_is_known_again(place, recipe, monkeypatch):
    run = place / "results/birds/1234"
    before = (run / "clips.csv").read_bytes()
    again(place, recipe, monkeypatch)
    assert (run / "clips.csv").read_bytes() == before
    with pytest.raises(FocalAudioError, match="n_folds was 5, is 2"):
        again(place, recipe, monkeypatch, n_folds=2)
    added = place / "birds/robin/2024/added.wav"
    put(added)
    with pytest.raises(DataError, match="without a fold in it: robin"):
        again(place, recipe, monkeypatch)
    added.unlink()


def test_a_run_on_own_sounds_is_exported(place, tmp_path, monkeypatch):
    monkeypatch.chdir(place)
    bundle = export_run(place / "results/digits/1234", tmp_path / "bundle")
    card = (bundle / "README.md").read_text()
    assert "of the test fold" in card
    split = export_run(place / "results/birds_split/1234", tmp_path / "split")
    card = (split / "README.md").read_text()
    assert "train folds train; valid folds val; test folds test" in card
    assert load_model(bundle).labels == ("0", "1")


def test_the_recipe_of_fsdd_is_one_of_ours():
    (command,) = re.findall(
        r"recipes/ESC50/(\w+).py hparams/(\w+).yaml",
        (ROOT / "recipes/FSDD/README.md").read_text(),
    )
    assert command == ("reproduce", "reproduce_fsdd")
    own = yaml.compose((ROOT / "hparams/reproduce_fsdd.yaml").read_text())
    parts = {key.value: value for key, value in own.value}
    trained = {key.value for key, _ in parts["training"].value}
    text = (ROOT / "hparams/train_classifier.yaml").read_text()
    keys = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    assert trained <= keys | {"precision"}  # SpeechBrain's own
