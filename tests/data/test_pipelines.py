import collections

import pytest
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataloader import SaveableDataLoader
from speechbrain.dataio.encoder import CategoricalEncoder

from focalaudio.audio import load_wav, write_wav
from focalaudio.data import pipelines
from focalaudio.data.labels import load_labels
from focalaudio.data.pipelines import ClipReader, encode_labels, open_esc50
from focalaudio.data.synthetic import CLASSES, write_dataset
from focalaudio.errors import DataError

FOLDS = {"train_folds": [1, 2, 3], "valid_folds": [4], "test_folds": [5]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes, five folds, one clip of a second in each."""
    return write_dataset(
        tmp_path_factory.mktemp("dataset"),
        clips_per_class=5,
        seed=0,
        seconds=1.0,
        classes=CLASSES[:3],
    )


@pytest.fixture
def noise(tmp_path):
    """A file of noise, and what is in it."""
    wav = 0.5 * torch.rand(8000) - 0.2
    path = write_wav(tmp_path / "noise.wav", wav, 8000)
    return str(path), load_wav(path, 8000)


def test_splits_are_the_folds_and_every_clip_is_in_one(folder):
    data = open_esc50(folder, **FOLDS)
    ids = [set(split.data) for split in (data.train, data.valid, data.test)]
    assert [len(split) for split in ids] == [9, 3, 3]
    assert len(set.union(*ids)) == 15
    assert {clip_id[0] for clip_id in ids[0]} == {"1", "2", "3"}
    assert {clip_id[0] for clip_id in ids[2]} == {"5"}


def test_without_a_validation_fold_nothing_validates(folder):
    data = open_esc50(folder, [1, 2, 3, 4], [], [5])
    assert data.valid is None
    assert len(data.train) == 12
    assert {name: len(rows) for name, rows in data.rows.items()} == {
        "train": 12,
        "valid": 0,
        "test": 3,
    }


def test_sig_is_the_file_at_peak_one(folder):
    data = open_esc50(folder, **FOLDS, reader=ClipReader(16000, None))
    clip = data.test[0]
    wav = load_wav(folder / "audio" / f"{clip['id']}.wav", 16000)
    assert clip["sig"].abs().max() == 1
    torch.testing.assert_close(clip["sig"] * wav.abs().max(), wav)


def test_target_is_the_position_of_the_label(folder):
    data = open_esc50(folder, **FOLDS)
    for clip in data.train:
        assert data.labels[clip["target"]] == clip["label"]
    assert data.n_classes == len(data.labels) == 3


def test_labels_of_a_model_give_the_order(folder):
    own = open_esc50(folder, **FOLDS).labels
    data = open_esc50(folder, **FOLDS, labels=(*own[::-1], "thunder"))
    assert data.labels == [*own[::-1], "thunder"]
    assert all(own[2 - clip["target"]] == clip["label"] for clip in data.test)


def test_a_class_the_model_does_not_know_is_refused_at_once(folder):
    labels = open_esc50(folder, **FOLDS).labels
    with pytest.raises(DataError, match=rf"not know: {labels[2]};"):
        open_esc50(folder, **FOLDS, labels=labels[:2])


def test_folds_that_overlap_are_refused(folder):
    with pytest.raises(DataError, match="fold"):
        open_esc50(folder, [1, 2], [2], [5])


def test_each_clip_is_decoded_once_in_several_epochs(folder, monkeypatch):
    decoded = collections.Counter()

    def count(path, *args, **kwargs):
        decoded[path] += 1
        return load_wav(path, *args, **kwargs)

    monkeypatch.setattr(pipelines, "load_wav", count)
    data = open_esc50(folder, **FOLDS)
    epochs = [[clip["sig"] for clip in data.train] for _ in range(3)]
    assert len(decoded) == 9
    assert set(decoded.values()) == {1}
    assert all(map(torch.equal, epochs[0], epochs[2]))


@pytest.mark.parametrize("n_kept", [0, 4, 9])
def test_no_more_is_remembered_than_there_is_room_for(
    folder, monkeypatch, n_kept
):
    decoded = []

    def note(path, *args, **kwargs):
        decoded.append(path)
        return load_wav(path, *args, **kwargs)

    monkeypatch.setattr(pipelines, "load_wav", note)
    reader = ClipReader(16000, 1.0)
    reader.room = 4 * 16000 * n_kept + 1000
    data = open_esc50(folder, **FOLDS, reader=reader)
    one, two = ([clip["sig"] for clip in data.train] for _ in range(2))
    assert all(map(torch.equal, one, two))
    assert len(decoded) == 9 + 9 - n_kept


@pytest.mark.parametrize(("room", "left"), [(1_000_000_000, 0), (200_000, 2)])
def test_threads_read_all_that_there_is_room_for(
    folder, monkeypatch, room, left
):
    plain = open_esc50(folder, **FOLDS, reader=ClipReader(16000, 1.0))
    wanted = [
        clip["sig"] for part in (plain.train, plain.valid) for clip in part
    ]
    reader = ClipReader(16000, 1.0)
    reader.room = room
    data = open_esc50(folder, **FOLDS, reader=reader)
    assert data.read_ahead(0) == {"num_workers": 0}
    assert data.read_ahead(2) == {"num_workers": left}
    if not left:
        monkeypatch.setattr(pipelines, "load_wav", pytest.fail)
    found = [clip["sig"] for part in (data.train, data.valid) for clip in part]
    assert all(map(torch.equal, found, wanted))


def test_batches_do_not_touch_what_is_remembered(folder):
    data = open_esc50(folder, **FOLDS, reader=ClipReader(16000, None))
    before = [clip["sig"].clone() for clip in data.test]
    loader = SaveableDataLoader(data.test, batch_size=3, collate_fn=PaddedBatch)
    for batch in loader:
        batch.sig.data.zero_()
    assert all(map(torch.equal, before, [clip["sig"] for clip in data.test]))


@pytest.mark.parametrize("seconds", [0.25, 1.0, 1.5])
def test_clips_are_cropped_or_padded_at_their_end(noise, seconds):
    path, wav = noise
    sig = ClipReader(8000, seconds)(path)
    n_samples, own = round(8000 * seconds), min(round(8000 * seconds), 8000)
    assert sig.shape == (n_samples,)
    assert not sig[own:].any()
    torch.testing.assert_close(sig[:own], wav[:own] / wav[:own].abs().max())


def test_whole_clips_keep_their_length(noise):
    assert ClipReader(8000, None)(noise[0]).shape == (8000,)
    assert ClipReader(16000, None)(noise[0]).shape == (16000,)


def test_silence_stays_silent_and_finite(tmp_path):
    path = write_wav(tmp_path / "silence.wav", torch.zeros(100), 8000)
    assert not ClipReader(8000, None)(str(path)).any()


@pytest.mark.parametrize("seconds", [0, -1.0])
def test_a_length_that_is_none_is_refused(seconds):
    with pytest.raises(ValueError, match=f"clip_seconds={seconds} must"):
        ClipReader(clip_seconds=seconds)


def test_saved_labels_read_back(folder, tmp_path):
    data = open_esc50(folder, **FOLDS)
    path = data.save_labels(tmp_path / "save")
    assert path == tmp_path / "save" / "label_encoder.txt"
    saved = CategoricalEncoder.from_saved(str(path))
    assert saved.lab2ind == data.label_encoder.lab2ind
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_labels_of_another_run_are_never_overwritten(folder, tmp_path):
    data = open_esc50(folder, **FOLDS)
    path = data.save_labels(tmp_path)
    (tmp_path / "CKPT+1").mkdir()
    text = path.read_text()
    data.save_labels(tmp_path)
    other = open_esc50(folder, **FOLDS, labels=data.labels[::-1])
    with pytest.raises(DataError, match="another order"):
        other.save_labels(tmp_path)
    assert path.read_text() == text


def test_labels_that_no_checkpoint_has_are_written_again(folder, tmp_path):
    path = open_esc50(folder, **FOLDS).save_labels(tmp_path)
    first = load_labels(path)
    other = open_esc50(folder, **FOLDS, labels=first[::-1])
    assert load_labels(other.save_labels(tmp_path)) == first[::-1]


@pytest.mark.parametrize("content", [b"dog", b"\xff"])
def test_damaged_labels_of_a_run_are_named(folder, tmp_path, content):
    data = open_esc50(folder, **FOLDS)
    path = data.save_labels(tmp_path)
    (tmp_path / "CKPT+1").mkdir()
    path.write_bytes(content)
    with pytest.raises(DataError, match="label_encoder.txt must have lines"):
        data.save_labels(tmp_path)
    assert path.read_bytes() == content


def test_encoder_is_a_bijection_on_its_labels():
    labels = ["b", "a", "with => arrow", "ünïcode"]
    encoder = encode_labels(labels)
    codes = [encoder.encode_label(label) for label in labels]
    assert codes == [0, 1, 2, 3]
    assert [encoder.ind2lab[code] for code in codes] == labels


def test_download_is_asked_for_only_on_demand(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(pipelines, "download_esc50", asked.append)
    open_esc50(folder, **FOLDS)
    assert not asked
    open_esc50(folder, **FOLDS, download=True)
    assert asked == [folder]
