"""Laws of clips with several labels: tables, folds, targets."""

import json
from collections import Counter

import pytest
import torch

from focalaudio.audio import write_wav
from focalaudio.data.folders import open_data, read_clips
from focalaudio.data.folds import make_folds, read_folds
from focalaudio.data.labels import encode_labels
from focalaudio.data.pipelines import ClipReader
from focalaudio.data.synthetic import CLASSES, write_dataset
from focalaudio.decisions import SEVERAL
from focalaudio.errors import DataError

SETS = {"a": "dog+rain", "b": "rain", "c": "", "d": "dog", "e": "rain+dog"}
SEVERAL_LABELS = {"labels_per_clip": "several", "label_separator": "+"}


@pytest.fixture
def folder(tmp_path):
    for name in SETS:
        write_wav(tmp_path / f"{name}.wav", torch.rand(800) - 0.5, 8000)
    return tmp_path


def write(folder, rows, name="clips.csv"):
    (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return name


def labels_in(folder, manifest, **options):
    options = {"labels_per_clip": "several"} | options
    clips, _ = read_clips(folder, manifest, n_folds=2, **options)
    return dict(zip(clips["clip_id"], clips["label"], strict=True))


WANTED = {"a": "dog;rain", "b": "rain", "c": "", "d": "dog", "e": "rain;dog"}


def test_a_cell_with_a_separator_or_rows_with_a_label_each(folder):
    cells = [f"{name}.wav,{labels}" for name, labels in SETS.items()]
    one = write(folder, ["file,label", *cells])
    assert labels_in(folder, one, label_separator="+") == WANTED
    rows = [
        f"{name}.wav,{label}"
        for name, labels in SETS.items()
        for label in labels.split("+")
    ]
    two = write(folder, ["file,label", *rows], "rows.csv")
    assert labels_in(folder, two) == WANTED


def test_lists_in_speechbrains_json(folder):
    clips = {
        name: {
            "wav": f"{{data_root}}/{name}.wav",
            "label": [label for label in labels.split("+") if label],
        }
        for name, labels in SETS.items()
    }
    write(folder, [json.dumps(clips)], "clips.json")
    assert labels_in(folder, "clips.json") == WANTED


def test_folders_too(tmp_path):
    for label in ("dog", "dog+rain", "rain"):
        for place in range(2):
            path = tmp_path / label / f"{place}.wav"
            path.parent.mkdir(exist_ok=True)
            write_wav(path, torch.rand(800) - 0.5, 8000)
    found = labels_in(tmp_path, None, label_separator="+")
    assert Counter(found.values()) == {"dog": 2, "dog;rain": 2, "rain": 2}


def test_targets_are_the_labels(folder):
    cells = [f"{n}.wav,{labels},{f}" for (n, labels), f in zip(
        SETS.items(), ("1", "1", "1", "2", "3"), strict=True)]  # fmt: skip
    manifest = write(folder, ["file,label,fold", *cells])
    data = open_data(
        folder,
        [1],
        [2],
        [3],
        ClipReader(8000, None),
        manifest=manifest,
        **SEVERAL_LABELS,
    )
    assert data.labels == ["dog", "rain"]
    found = {row["id"]: row["target"] for row in data.train}
    assert found == {"a": [0, 1], "b": [1], "c": []}
    assert data.test[0]["target"] == [1, 0]
    assert data.rows["train"]["c.wav"] == ""


def test_one_label_each_gives_the_same_clips(tmp_path):
    folder = write_dataset(tmp_path, 5, seconds=1.0)
    one, several = (
        open_data(folder, [1, 2, 3], [4], [5], labels_per_clip=kind)
        for kind in ("one", "several")
    )
    assert one.labels == several.labels
    assert one.rows == several.rows
    for row, other in zip(one.test, several.test, strict=True):
        assert torch.equal(row["sig"], other["sig"])
        assert other["target"] == [row["target"]]


def test_folds_are_alike_and_groups_stay_whole(folder):
    labels = [["dog", "rain"], ["rain"], [], ["dog"]] * 25
    groups = [str(place // 2) for place in range(100)]
    folds = make_folds(labels, groups)
    by_group = {}
    for group, fold in zip(groups, folds, strict=True):
        assert by_group.setdefault(group, fold) == fold
    counts = {fold: Counter() for fold in folds}
    for own, fold in zip(labels, folds, strict=True):
        counts[fold].update(own or ["background"])
    assert len(counts) == 5
    for name, total in (("dog", 50), ("rain", 50), ("background", 25)):
        shares = [each[name] for each in counts.values()]
        assert sum(shares) == total
        assert max(shares) - min(shares) <= 2


def test_of_one_label_folds_are_what_they_were():
    labels, groups = list("abcab" * 8), [str(n) for n in range(40)]
    lists = [[label] for label in labels]
    assert make_folds(lists, groups) == make_folds(labels, groups)


def test_folds_are_written_and_read_again(folder, tmp_path):
    cells = [f"{name}.wav,{labels}" for name, labels in SETS.items()]
    manifest = write(folder, ["file,label", *cells])
    options = {"manifest": manifest, "n_folds": 3} | SEVERAL_LABELS
    clips, is_made = read_clips(folder, **options)
    assert is_made
    splits = ([1], [], [2])
    by = dict(zip(clips["name"], clips["fold"], strict=True))
    run = tmp_path / "run"
    (run / "progress").mkdir(parents=True)
    fold = {"a.wav": "1", "b.wav": "1", "c.wav": "2", "d.wav": "1"}
    fold["e.wav"] = "2"
    assert set(by) == set(fold)
    lines = [f"{name},,,{each}" for name, each in fold.items()]
    write(run, ["name,label,group,fold", *lines], "folds.csv")
    data = open_data(
        folder, *splits, ClipReader(8000, None), run_folder=run, **options
    )
    assert list(data.rows["test"]) == ["c.wav", "e.wav"]
    data.save_folds(tmp_path / "again")
    assert read_folds(tmp_path / "again" / "folds.csv") == fold


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (["a.wav,dog;rain"], {}, "label with ';' in it"),
        (["a.wav,dog", "a.wav,rain"], {"labels_per_clip": "one"}, "several"),
        (["a.wav,", "b.wav,"], {}, "set of clips without a label"),
        (["a.wav,dog", "b.wav,Dog"], {}, "differs from another only in case"),
        (
            ["a.wav,dog", "b.wav,rain"],
            {"labels_per_clip": "one", "label_separator": "+"},
            "label_separator='\\+' is for clips with several",
        ),
        (["a.wav,dog"], {"label_separator": ""}, "label_separator='' must be"),
        (["a.wav,dog"], {"label_separator": 5}, "label_separator=5 must be"),
    ],
)
def test_what_is_refused(folder, rows, options, said):
    manifest = write(folder, ["file,label", *rows])
    with pytest.raises(DataError, match=said):
        labels_in(folder, manifest, **options)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("several", {"label_separator": "+"}, "no use in ESC-50's layout"),
        ("several", {"label_separator": ""}, "label_separator='' must be text"),
        ("one", {"label_separator": "+"}, "is for clips with several labels"),
        ("several", {}, "1 x label with ';' in it.*'bark;dog'"),
    ],
)
def test_esc50s_layout_is_asked_the_same(tmp_path, kind, options, said):
    folder = write_dataset(tmp_path, 5, seconds=1.0, classes=CLASSES[:2])
    table = folder / "meta" / "esc50.csv"
    text = table.read_text().replace(CLASSES[0], "bark;dog")
    table.write_text(text)
    options = {"labels_per_clip": kind} | options
    with pytest.raises(DataError, match=said):
        open_data(folder, [1, 2, 3], [4], [5], **options)
    with pytest.raises(DataError, match=said):
        read_clips(folder, **options)
    table.write_text(text.replace(";", "+"))
    clips, _ = read_clips(folder, "meta/esc50.csv", **SEVERAL_LABELS)
    assert set(clips["label"]) == {"bark;dog", CLASSES[1]}


def test_rows_of_a_clip_that_contradict_each_other(folder):
    rows = ["file,label,fold", "a.wav,dog,1", "a.wav,rain,2", "b.wav,dog,2"]
    with pytest.raises(DataError, match="the same fold and group in all"):
        labels_in(folder, write(folder, rows))


def test_an_id_for_each_row_is_told_and_can_be_left_out(folder):
    rows = ["ID,file,label,fold", "1,a.wav,dog,1", "2,a.wav,rain,1"]
    manifest = write(folder, [*rows, "3,b.wav,dog,2"])
    with pytest.raises(DataError, match=r"--columns '{clip_id: null}'"):
        labels_in(folder, manifest)
    assert labels_in(folder, manifest, columns={"clip_id": None}) == {
        "a": "dog;rain",
        "b": "dog",
    }


def test_a_fold_of_background_alone_tests_nothing(folder):
    rows = ["file,label,fold", "a.wav,dog,1", "b.wav,rain,1", "c.wav,,2"]
    manifest = write(folder, rows)
    with pytest.raises(DataError, match="split without a single label: test"):
        open_data(folder, [1], [], [2], manifest=manifest, **SEVERAL_LABELS)


def test_the_file_of_labels_is_the_same(tmp_path):
    files = []
    for place, encoder in enumerate(
        (encode_labels(["a", "b"]), encode_labels(["a", "b"], SEVERAL))
    ):
        path = tmp_path / f"{place}.txt"
        encoder.save(str(path))
        files.append(path.read_text())
    assert files[0] == files[1]
