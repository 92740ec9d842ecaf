"""Laws of what is taken for a checkpoint: a whole one, or none."""

import logging

import pytest
import torch

from focalaudio.brains.checkpoints import WholeCheckpointer
from focalaudio.errors import ModelError
from focalaudio.models.checkpoints import SEAL, CheckedCheckpointer

DAMAGE = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "another byte": lambda path: path.write_bytes(b"?" + path.read_bytes()[1:]),
    "gone": lambda path: path.unlink(),
}


@pytest.fixture
def saved(tmp_path):
    """Two checkpoints, of a weight of 1 and of 2; the folder of each."""
    layer = torch.nn.Linear(1, 1)
    saver = WholeCheckpointer(tmp_path, {"layer": layer})
    folders = []
    for value in (1.0, 2.0):
        torch.nn.init.constant_(layer.weight, value)
        folders.append(saver.save_checkpoint({"value": value}).path)
    return folders


def recovered(folder):
    """The weight that a new process finds."""
    layer = torch.nn.Linear(1, 1)
    WholeCheckpointer(folder, {"layer": layer}).recover_if_possible()
    return layer.weight.item()


def said(caplog):
    own = "focalaudio.models.checkpoints"
    return [each.message for each in caplog.records if each.name == own]


def test_the_newest_checkpoint_is_used(saved, caplog):
    assert recovered(saved[1].parent) == 2
    assert not said(caplog)


@pytest.mark.parametrize("name", ["layer.ckpt", "CKPT.yaml", SEAL])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_named_and_the_one_before_it_used(
    name, damage, saved, caplog
):
    if (name, damage) in {(SEAL, "gone"), ("CKPT.yaml", "gone")}:
        pytest.skip("as an older version leaves it; no checkpoint at all")
    DAMAGE[damage](saved[1] / name)
    with caplog.at_level(logging.WARNING):
        assert recovered(saved[1].parent) == 1
    assert [str(saved[1] / name) in each for each in said(caplog)] == [True]
    assert "the checkpoint before it" in caplog.text


def test_a_damaged_one_is_named_escaped(saved, tmp_path, caplog):
    (saved[1] / "CKPT.yaml").write_text("")
    odd = tmp_path.with_name("odd\x1b[2J\u202ename")
    odd.symlink_to(tmp_path)
    assert recovered(odd) == 1
    assert [line.isprintable() for line in said(caplog)] == [True]


def test_without_another_one_nothing_starts_from_nothing(saved):
    for folder in saved:
        DAMAGE["cut off"](folder / "layer.ckpt")
    with pytest.raises(
        ModelError, match="layer.ckpt is damaged, and .* remove"
    ):
        CheckedCheckpointer(saved[0].parent).list_checkpoints()


@pytest.mark.parametrize(
    "text", ["", "[", "a: 1", "unixtime: !!python/name:os.system"]
)
def test_one_of_an_older_version_must_say_when_it_was_saved(text, saved):
    for folder in saved:
        (folder / SEAL).unlink()
    assert len(CheckedCheckpointer(saved[0].parent).list_checkpoints()) == 2
    (saved[1] / "CKPT.yaml").write_text(text)
    found = CheckedCheckpointer(saved[0].parent).list_checkpoints()
    assert [each.path for each in found] == [saved[0]]


def test_a_checkpoint_is_read_through_once(saved, monkeypatch):
    checkpointer, read = CheckedCheckpointer(saved[0].parent), []
    monkeypatch.setattr(
        "focalaudio.models.checkpoints.find_damage",
        lambda folder: read.append(folder) or "",
    )
    for _ in range(3):
        checkpointer.list_checkpoints()
    assert sorted(read) == sorted(saved)
