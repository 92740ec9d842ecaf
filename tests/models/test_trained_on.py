"""Laws of what a bundle says of the clips that trained it."""

import hashlib
import json

import pytest

from focalaudio.errors import ModelError
from focalaudio.models.trained_on import (
    TrainedOn,
    fingerprint,
    read_trained_on,
    write_trained_on,
)

CLIPS = {"audio/a.wav": "dog", "audio/b.wav": "rain", "é\udcff.ogg": "dog+cat"}


def test_what_was_written_is_read_and_names_nothing(tmp_path):
    prints = {fingerprint(*clip) for clip in CLIPS.items()}
    write_trained_on(prints, tmp_path)
    found = read_trained_on(tmp_path)
    assert found == TrainedOn(before=prints)
    assert found.all_clips() == prints
    text = (tmp_path / "trained_on.txt").read_text("ascii")
    assert not any(part in text for part in ("audio", "wav", "rain", "dog"))


def test_the_order_of_the_clips_says_nothing(tmp_path):
    texts = set()
    prints = [fingerprint(*clip) for clip in CLIPS.items()]
    for ordered in (prints, prints[::-1]):
        write_trained_on(ordered, tmp_path)
        texts.add((tmp_path / "trained_on.txt").read_text())
    assert len(texts) == 1


def test_a_fingerprint_is_the_beginning_of_a_sum():
    digest = hashlib.sha256(b"audio/a.wav\0dog").hexdigest()
    assert digest.startswith(fingerprint("audio/a.wav", "dog"))


def test_name_and_label_are_told_apart():
    clips = [
        ("a", "dog"),
        ("adog", ""),
        ("a", "do"),
        ("", "adog"),
        ("b", "dog"),
    ]
    assert len({fingerprint(*clip) for clip in clips}) == len(clips)


def test_what_does_not_say_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "weights.pt").touch()
    for source in ("", "weights.pt", "absent"):
        assert read_trained_on(tmp_path / source) == TrainedOn()
    assert read_trained_on("owner/never-fetched") == TrainedOn()


def test_a_run_says_its_own_and_what_came_before(tmp_path):
    folder = tmp_path / "save/CKPT+2024-01-01"
    folder.mkdir(parents=True)
    before = [fingerprint("c.wav", "sea")]
    content = {"rows": {"train": CLIPS}, "trained_on_before": before}
    (folder / "settings.ckpt").write_text(json.dumps(content))
    found = read_trained_on(tmp_path)
    assert found.by_run == {fingerprint(*clip) for clip in CLIPS.items()}
    assert found.before == set(before)
    assert found.all_clips() == found.by_run | found.before


@pytest.mark.parametrize(
    "content",
    [b"dog\n", b"0" * 16, b"0" * 17 + b"\n", b"\xff\n", b"A" * 16 + b"\n"],
)
def test_what_is_no_such_list_is_refused(tmp_path, content):
    (tmp_path / "trained_on.txt").write_bytes(content)
    with pytest.raises(ModelError, match="trained_on.txt must have 16 hexa"):
        read_trained_on(tmp_path)
