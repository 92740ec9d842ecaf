import json
import os
import random
import signal
import sys

import numpy as np
import pytest
import torch
from speechbrain.utils.checkpoints import mark_as_loader, mark_as_saver
from speechbrain.utils.checkpoints import register_checkpoint_hooks as hooks

from focalaudio.brains.checkpoints import (
    History,
    RandomState,
    WholeCheckpointer,
)
from focalaudio.errors import FocalAudioError


@hooks
class Fatal:
    """Writes half of its file, then the process dies."""

    @mark_as_saver
    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write("half")
        os.kill(os.getpid(), signal.SIGKILL)

    @mark_as_loader
    def load(self, path, end_of_epoch):
        raise NotImplementedError


def draw():
    return [random.random(), np.random.rand(), torch.rand(2).tolist()]


def test_random_state_goes_on_where_it_was_saved(tmp_path):
    state = RandomState()
    state.save(tmp_path / "random.ckpt")
    wanted = [draw() for _ in range(3)]
    state.load(tmp_path / "random.ckpt")
    assert [draw() for _ in range(3)] == wanted


def test_saving_random_state_draws_nothing(tmp_path):
    torch.manual_seed(0)
    wanted = torch.rand(1)
    torch.manual_seed(0)
    RandomState().save(tmp_path / "random.ckpt")
    assert torch.rand(1) == wanted


def test_random_state_is_plain_data(tmp_path):
    RandomState().save(tmp_path / "random.ckpt")
    state = torch.load(tmp_path / "random.ckpt", weights_only=True)
    assert set(state) == {"python", "numpy", "torch", "cuda"}


def test_history_reads_back_what_it_wrote(tmp_path):
    history, other = History(), History()
    for epoch in (1, 2):
        history.add({"epoch": epoch, "valid_loss": 1 / 3 / epoch})
    history.save(tmp_path / "history.ckpt")
    other.load(tmp_path / "history.ckpt")
    assert other.rows == history.rows


def test_history_forgets_no_epoch(tmp_path):
    history = History()
    history.add({"epoch": 1})
    history.save(tmp_path / "best.ckpt")
    history.add({"epoch": 2})
    history.load(tmp_path / "best.ckpt")
    assert history.rows == [{"epoch": 1}, {"epoch": 2}]


def test_checkpoint_gives_back_what_was_saved(tmp_path):
    layer, history = torch.nn.Linear(2, 2), History()
    history.add({"epoch": 1})
    checkpointer = WholeCheckpointer(
        tmp_path, {"layer": layer, "history": history}
    )
    saved = checkpointer.save_checkpoint({"error": 0.5})
    weight = layer.weight.detach().clone()
    torch.nn.init.zeros_(layer.weight)
    found = checkpointer.recover_if_possible(min_key="error")
    assert torch.equal(layer.weight, weight)
    assert found == saved
    assert all(path.exists() for path in saved.paramfiles.values())
    assert json.loads((saved.path / "history.ckpt").read_text()) == history.rows


def test_the_best_and_the_last_two_checkpoints_are_kept(tmp_path):
    checkpointer = WholeCheckpointer(tmp_path, {"history": History()})
    for epoch, error in enumerate([0.5, 0.2, 0.4, 0.3], start=1):
        checkpointer.save_and_keep_only(
            meta={"error": error, "epoch": epoch}, min_keys=["error"]
        )
    kept = {c.meta["epoch"] for c in checkpointer.list_checkpoints()}
    assert kept == {2, 3, 4}
    assert checkpointer.find_checkpoint(min_key="error").meta["epoch"] == 2


def test_the_last_checkpoint_but_one_is_kept_where_the_last_is_best(tmp_path):
    checkpointer = WholeCheckpointer(tmp_path, {"history": History()})
    for epoch in range(1, 6):
        checkpointer.save_and_keep_only({"epoch": epoch}, max_keys=["epoch"])
        kept = {c.meta["epoch"] for c in checkpointer.list_checkpoints()}
        assert kept == {epoch, epoch - 1} - {0}


def test_what_a_killed_process_had_not_deleted_is_deleted(tmp_path):
    checkpointer = WholeCheckpointer(tmp_path, {"history": History()})
    for epoch, error in enumerate([0.2, 0.5, 0.4, 0.3], start=1):
        checkpointer.save_checkpoint({"error": error, "epoch": epoch})
    (tmp_path / ".CKPT+half").mkdir()
    fresh = WholeCheckpointer(tmp_path, {"history": History()})
    fresh.keep_only(min_keys=["error"])
    assert {c.meta["epoch"] for c in fresh.list_checkpoints()} == {1, 3, 4}
    assert len(list(tmp_path.iterdir())) == 3


def test_killed_while_it_deletes_leaves_nothing_damaged(tmp_path, caplog):
    checkpointer = WholeCheckpointer(tmp_path, {"history": History()})
    for epoch in range(1, 4):
        checkpointer.save_checkpoint({"epoch": epoch})
    child = os.fork()
    if child == 0:

        def die(event, arguments):
            if event == "os.remove":
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(die)
        checkpointer.keep_only(max_keys=["epoch"])
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    fresh = WholeCheckpointer(tmp_path, {"history": History()})
    assert {c.meta["epoch"] for c in fresh.list_checkpoints()} == {2, 3}
    assert not [each for each in caplog.messages if "damaged" in each]
    fresh.keep_only(max_keys=["epoch"])
    assert len(list(tmp_path.iterdir())) == 2


def test_a_checkpoint_cut_off_by_a_kill_is_absent(tmp_path):
    history = History()
    checkpointer = WholeCheckpointer(tmp_path, {"history": history})
    whole = checkpointer.save_checkpoint({"error": 0.5})
    child = os.fork()
    if child == 0:
        checkpointer.add_recoverable("fatal", Fatal())
        checkpointer.save_checkpoint({"error": 0.1})
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2  # the remains are there
    assert checkpointer.list_checkpoints() == [whole]
    assert checkpointer.recover_if_possible(min_key="error") == whole
    checkpointer.save_checkpoint({"error": 0.3})
    assert all(path.name.startswith("CKPT+") for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    resource = pytest.importorskip("resource")
    layer = torch.nn.Linear(300, 300)
    checkpointer = WholeCheckpointer(tmp_path, {"layer": layer})
    whole = checkpointer.save_checkpoint({"epoch": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(FocalAudioError, match="takes no checkpoint") as one:
            checkpointer.save_checkpoint({"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(one.value)
    assert "make room" in str(one.value)
    fresh = WholeCheckpointer(tmp_path, {"layer": layer})
    assert fresh.list_checkpoints() == [whole]
    assert fresh.recover_if_possible() == whole
    assert fresh.save_checkpoint({"epoch": 2}) is not None
    assert len(list(tmp_path.iterdir())) == 2
