"""Laws of the conditions: known sources that add up, the same every time."""

import math
from pathlib import Path

import pytest
import torch
from speechbrain.dataio.batch import PaddedBatch

from focalaudio.audio import load_wav, write_wav
from focalaudio.data.conditions import CONDITIONS, USES, build_condition
from focalaudio.data.folders import open_data
from focalaudio.data.pipelines import ClipReader, open_esc50
from focalaudio.data.synthetic import CLASSES, write_dataset
from focalaudio.errors import DataError

READER = ClipReader(clip_seconds=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    return write_dataset(
        folder, clips_per_class=5, seed=0, seconds=1.0, classes=CLASSES[:3]
    )


@pytest.fixture(scope="module")
def data(folder):
    return open_esc50(folder, [1, 2, 3], [4], [5], READER)


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    for number in range(2):
        noise = torch.randn(8000, generator=torch.manual_seed(number)) / 8
        write_wav(folder / "deep" / f"{number}.wav", noise, 16000)
    return folder


def put(data, condition, **options):
    """A fold under a condition, with those of the options that it uses."""
    names = {"added_folder": "folder"}
    used = [names.get(name, name) for name in USES.get(condition, ())]
    own = {key: value for key, value in options.items() if key in used}
    return build(data, condition, **own)


def build(data, condition, **options):
    return build_condition(
        data.test, READER, data.label_encoder, condition, **options
    )


@pytest.mark.parametrize("condition", CONDITIONS)
def test_sources_add_up_to_a_mixture_of_peak_one(data, speech, condition):
    mixed = put(data, condition, snr=3.0, folder=speech)
    for clip in mixed:
        torch.testing.assert_close(
            clip["first"] + clip["second"], clip["sig"], atol=1e-6, rtol=0
        )
        assert clip["sig"].abs().max() == pytest.approx(1, abs=1e-5)
        assert clip["sig"].shape == (16000,)


@pytest.mark.parametrize("condition", sorted(set(CONDITIONS) - {"stems"}))
def test_the_stated_ratio_is_measured(data, speech, condition):
    for clip in put(data, condition, snr=6.0, folder=speech):
        ratio = clip["first"].norm() / clip["second"].norm()
        assert 20 * math.log10(ratio) == pytest.approx(6, abs=1e-2)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_same_every_time(data, speech, condition):
    one, two = (put(data, condition, folder=speech) for _ in range(2))
    assert one.data_ids == two.data_ids
    assert torch.equal(one[0]["sig"], two[0]["sig"])


@pytest.mark.parametrize("condition", ["overlap", "concat"])
def test_partners_are_clips_of_another_class(data, condition):
    mixed = put(data, condition, n_partners=2)
    assert len(mixed) == 2 * len(data.test)
    for clip in mixed:
        first, second = clip["id"].split("+")
        assert clip["target"] != clip["other_target"]
        assert clip["label"] == data.test.data[first]["label"]
        named = data.label_encoder.ind2lab[clip["other_target"]]
        assert named == data.test.data[second]["label"]


def test_no_mixture_is_lost_whatever_the_clips_are_called(tmp_path):
    names = {"a": "x", "a+b": "y", "b+c": "y", "c": "x", "c-2": "x"}
    rows = ["file,label,fold", "x.wav,x,1", "y.wav,y,1"]
    rows += [f"{name}.wav,{label},2" for name, label in names.items()]
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    for row in rows[1:]:
        write_wav(tmp_path / row.split(",")[0], torch.rand(8000) - 0.5, 8000)
    data = open_data(tmp_path, [1], [], [2], READER, manifest="clips.csv")
    mixed = put(data, "overlap", n_partners=2)
    ids = mixed.data_ids
    assert len(ids) == len(set(ids)) == 2 * len(names)
    assert {"a+b+c", "a+b+c-2", "c+a+b"} < set(ids)
    assert ids == put(data, "overlap", n_partners=2).data_ids


def test_what_is_added_has_no_class(data, speech):
    for condition in ("noise", "folder", "stems"):
        for clip in put(data, condition, folder=speech):
            assert clip["other_target"] == -1


def test_every_clip_has_noise_of_its_own(data):
    mixed = put(data, "noise")
    one, two = (mixed[i]["second"] / mixed[i]["second"].norm() for i in (0, 1))
    assert (one * two).sum().abs() < 0.05


def test_a_stem_is_the_event_at_the_clips_own_level(data, folder):
    clip = put(data, "stems")[0]
    name = f"{clip['id']}.wav"
    whole = load_wav(folder / "audio" / name, 16000)
    stem = load_wav(folder / "stems" / name, 16000)
    torch.testing.assert_close(
        clip["first"], stem / whole.abs().max(), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        clip["sig"], data.test[0]["sig"], atol=1e-6, rtol=0
    )


def mark(data, text):
    """Write a label track beside every clip of the test fold."""
    for row in data.test.data.values():
        Path(row["path"]).with_suffix(".txt").write_text(text)


@pytest.fixture
def markable(tmp_path):
    folder = write_dataset(
        tmp_path, clips_per_class=5, seed=0, seconds=1.0, classes=CLASSES[:3]
    )
    return open_esc50(folder, [1, 2, 3], [4], [5], READER)


def test_annotated_clips_are_the_clips_with_boxes(markable):
    known = markable.label_encoder.ind2lab[1]
    mark(markable, f"0.25\t0.5\n0.5\t0.75\t{known}\n0\t1\tnoise\n")
    marked = put(markable, "annotations")
    assert marked.data_ids == markable.test.data_ids
    for clip, plain in zip(marked, markable.test, strict=True):
        assert torch.equal(clip["sig"], plain["sig"])
        own = float(clip["target"])
        assert clip["boxes"].tolist() == [
            [0.25, 0.5, 0, math.inf, own],
            [0.5, 0.75, 0, math.inf, 1],
            [0, 1, 0, math.inf, -1],
        ]


def test_boxes_are_those_of_the_table_to_the_last_digit(markable):
    mark(markable, "0.1\t0.7\n\\\t100.1\t4000.7\n")
    for clip in put(markable, "annotations"):
        own = float(clip["target"])
        assert clip["boxes"].tolist() == [[0.1, 0.7, 100.1, 4000.7, own]]


def test_boxes_of_clips_are_padded_by_boxes_of_no_duration(markable):
    mark(markable, "0.25\t0.5\n")
    path = Path(next(iter(markable.test.data.values()))["path"])
    path.with_suffix(".txt").write_text("0\t1\n0.5\t1\n")
    batch = PaddedBatch(list(put(markable, "annotations")))
    assert batch.boxes.data.shape == (3, 2, 5)
    assert not batch.boxes.data[1:, 1].any()


def test_clips_without_a_table_or_a_known_label_are_errors(markable):
    name = Path(next(iter(markable.test.data.values()))["path"]).stem
    with pytest.raises(DataError, match=rf"{name}\.txt is missing"):
        put(markable, "annotations")
    for text, said in (("", "nothing"), ("0\t1\tb\n0\t1\ta\n", "a, b")):
        mark(markable, text)
        with pytest.raises(DataError, match=f"marks {said}, none of the"):
            put(markable, "annotations")


@pytest.fixture
def several(tmp_path):
    """Two labels, one, and none, in the fold that is tested."""
    rows = ["file,label,fold", "a.wav,dog+rain,1", "b.wav,,1"]
    rows += ["both.wav,dog+rain,2", "one.wav,rain,2", "none.wav,,2"]
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    for row in rows[1:]:
        write_wav(tmp_path / row.split(",")[0], torch.rand(8000) - 0.5, 8000)
    return open_data(
        tmp_path,
        [1],
        [],
        [2],
        READER,
        manifest="clips.csv",
        labels_per_clip="several",
        label_separator="+",
    )


def mark_each(data, **texts):
    for name, row in data.test.data.items():
        Path(row["path"]).with_suffix(".txt").write_text(texts[name])


def test_boxes_of_clips_with_several_labels_or_none(several):
    box = "0\t1\tdog\n"
    mark_each(several, both=box, one="0\t1\n", none="")
    clips = {clip["id"]: clip for clip in put(several, "annotations")}
    owners = {
        name: clip["boxes"][:, 4].tolist() for name, clip in clips.items()
    }
    assert owners == {"both": [0], "one": [1], "none": [-1]}
    assert not clips["none"]["boxes"][:, :4].any()  # as padding
    batch = PaddedBatch([clips["none"]])
    assert batch.boxes.data.shape == (1, 1, 5)
    mark_each(several, both=box, one="0\t1\n", none="0\t1\n0\t1\tdog\n")
    none = next(c for c in put(several, "annotations") if c["id"] == "none")
    assert none["boxes"][:, 4].tolist() == [-1, 0]


def test_a_box_of_several_labels_says_which(several):
    mark_each(several, both="0\t1\tdog\n0\t1\n", one="0\t1\n", none="")
    with pytest.raises(DataError, match="both.txt .* has several, dog, rain;"):
        put(several, "annotations")
    mark_each(several, both="0\t1\tdog\n", one="", none="")
    with pytest.raises(DataError, match="one.txt marks nothing, none of the"):
        put(several, "annotations")


def test_clean_is_the_fold_itself(data):
    assert put(data, "clean") is data.test


GIVEN = {"snr": 5.0, "added_folder": "sounds", "n_partners": 1}
USELESS = [(c, k) for c, used in USES.items() for k in GIVEN if k not in used]


@pytest.mark.parametrize(("condition", "key"), USELESS)
def test_what_a_condition_has_no_use_for_is_named(data, condition, key):
    argument = key.removeprefix("added_")
    with pytest.raises(
        ValueError, match=f"{key}=.* has no use.*{condition}"
    ) as e:
        build(data, condition, **{argument: GIVEN[key]})
    named = str(e.value).partition("--condition ")[2].rstrip(".").split(" or ")
    assert named == [each for each, used in USES.items() if key in used]


def test_what_is_not_said_is_0_db_and_two_partners(data):
    said = put(data, "overlap", snr=0.0, n_partners=2)
    usual = put(data, "overlap")
    assert usual.data_ids == said.data_ids
    assert torch.equal(usual[0]["sig"], said[0]["sig"])


def test_a_folder_is_asked_for_by_its_key(data, tmp_path):
    with pytest.raises(DataError, match="give --added_folder FOLDER"):
        build(data, "folder")
    with pytest.raises(DataError, match=f"added_folder={tmp_path} holds no"):
        build(data, "folder", folder=tmp_path)


def test_unknown_conditions_and_missing_sounds_are_errors(data, tmp_path):
    with pytest.raises(ValueError, match="condition='louder'"):
        put(data, "louder")
    with pytest.raises(DataError, match="holds no sound"):
        put(data, "folder", folder=tmp_path)


def test_stems_are_asked_for_where_there_are_none(tmp_path):
    folder = write_dataset(
        tmp_path, clips_per_class=5, seed=0, seconds=1.0, classes=CLASSES[:3]
    )
    for stem in (folder / "stems").iterdir():
        stem.unlink()
    data = open_esc50(folder, [1, 2, 3], [4], [5], READER)
    with pytest.raises(DataError, match="stems"):
        put(data, "stems")
