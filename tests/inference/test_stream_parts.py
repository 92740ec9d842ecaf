"""Laws of focalaudio.inference.stream_parts."""

import json

import pytest
import torch

from focalaudio.inference.stream_parts import (
    HEADER,
    StreamParts,
)

SETTINGS = {"n_window": 4}


@pytest.fixture
def parts(tmp_path):
    """Two batches."""
    parts = StreamParts(tmp_path / "a.part", SETTINGS)
    for sign in (1, -2):
        wav, tail = sign * torch.rand(5), sign * torch.rand(3)
        parts.append(parts.state, 2, wav, "0,1,dog,0.5\n" * 2, tail)
    return parts


def again(parts, settings=None):
    return StreamParts(parts.folder, settings or SETTINGS)


def samples(parts):
    return torch.cat([*parts.iter_wav()])


def test_what_was_added_is_found_again_to_the_last_bit(parts):
    found = again(parts)
    assert torch.equal(samples(found), samples(parts))
    assert vars(found.state).keys() == vars(parts.state).keys()
    assert (found.state.n_windows, found.state.n_samples) == (4, 10)
    assert found.state.peak == samples(parts)[:10].abs().max()
    assert torch.equal(found.state.tail, parts.state.tail)
    assert found.csv.read_text() == HEADER + "0,1,dog,0.5\n" * 4


def test_what_the_state_does_not_know_is_cut_off(parts):
    for path in (parts.wav, parts.csv):
        with path.open("ab") as file:
            file.write(b"half a batch")
    found = again(parts)
    assert torch.equal(samples(found), samples(parts))
    assert found.csv.stat().st_size == parts.state.n_bytes


@pytest.mark.parametrize("name", ["wav", "csv"])
def test_less_than_the_state_knows_is_a_new_start(parts, name, caplog):
    path = getattr(parts, name)
    path.write_bytes(path.read_bytes()[:-1])
    assert again(parts).state.n_windows == 0
    assert "starting again" in caplog.text


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "{}", '{"digest": 1, "tail": ""}',
     '{"digest": 1, "tail": "%%%"}', '{"digest": 1, "tail": "", "x": 1}'],
)  # fmt: skip
def test_a_damaged_state_is_a_new_start(parts, text, caplog):
    parts.note.write_text(text)
    found = again(parts)
    assert (found.state.n_windows, len(samples(found))) == (0, 0)
    assert found.csv.read_text() == HEADER
    assert "starting again" in caplog.text


def test_other_settings_are_a_new_start(parts):
    assert again(parts, {"n_window": 5}).state.n_windows == 0
    assert json.loads(parts.note.read_text())["n_samples"] == 0


def test_removing_leaves_what_others_put_there(parts):
    (parts.folder / "diary.txt").write_text("dear diary")
    (parts.folder / ".0123456789ab.json").write_text("of a kill")
    again(parts, {"other": True}).remove()
    assert [path.name for path in parts.folder.iterdir()] == ["diary.txt"]


def test_removing_leaves_no_folder(parts):
    parts.remove()
    assert not parts.folder.exists()
