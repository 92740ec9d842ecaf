"""Training that is killed anywhere, and goes on: the result is the same.

A run is killed with SIGKILL at random moments: before one of the files that it
opens, renames or removes, while a checkpoint is written too, or after a batch.
What is left in the end equals, to the last bit, what a run leaves that was
never killed. FOCALAUDIO_KILLS=10 kills ten times as often.
"""

import os
import subprocess
import sys
import textwrap

import pytest

KILLS = 3
LENGTH = int(os.environ.get("FOCALAUDIO_KILLS", "1"))
DRIVER = """
    import os, random, runpy, signal, sys
    from pathlib import Path
    import torch
    import focalaudio.brains, focalaudio.experiment
    import focalaudio.models, focalaudio.report.training
    from focalaudio.brains.training import TrainingBrain

    torch.set_num_threads(1)
    kills, seed, whole, killed, script, *argv = sys.argv[1:]
    EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"}

    def run(folder, deadline, told=None):
        # count what can be interrupted; die before the deadline's
        seen, owner = 0, os.getpid()

        def count():
            nonlocal seen
            if os.getpid() == owner:  # not in the workers that load clips
                seen += 1
                if seen == deadline:
                    os.kill(owner, signal.SIGKILL)

        def watch(event, arguments):
            if event in EVENTS and str(arguments[0]).startswith(folder):
                count()

        fit_batch = TrainingBrain.fit_batch

        def fit_and_count(self, batch):
            loss = fit_batch(self, batch)
            count()
            return loss

        sys.addaudithook(watch)
        TrainingBrain.fit_batch = fit_and_count
        sys.argv = [script, *argv, "--output_folder", folder]
        runpy.run_path(script, run_name="__main__")
        if told:
            os.write(told, str(seen).encode())

    def attempt(folder, deadline=0, told=None):
        child = os.fork()
        if child == 0:
            try:
                run(folder, deadline, told)
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        return os.waitpid(child, 0)[1]

    ask, tell = os.pipe()
    if attempt(whole, told=tell) != 0:
        sys.exit("the run that nobody kills failed")
    n_events, rng, died = int(os.read(ask, 20)), random.Random(seed), 0
    for _ in range(int(kills)):
        # later runs have less to do
        status = attempt(killed, rng.randint(1, n_events))
        if status == 0:
            break
        if os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"failed instead of going on, status {status}")
        died += 1
    if attempt(killed) != 0:
        sys.exit("the last run did not go on")
    print("killed", died, "times in", n_events, "events")
"""
SMALL = {
    "train_classifier": {},
    "train_piq": {"n_codes": 12, "number_of_epochs": 3, "batch_size": 3},
    "train_lmac": {
        "width": 16,
        "n_doublings": 1,
        "number_of_epochs": 3,
        "batch_size": 3,
    },
}
WRITTEN = ("train_log.txt", "history.csv", "metrics.json", "clips.csv")


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("name", SMALL)
def test_killed_anywhere_and_resumed_is_never_killed(
    name,
    num_workers,
    command,
    dataset,
    trained,
    tmp_path,
    checkpoints,
    assert_same,
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = SMALL[name] | {"data_folder": dataset, "num_workers": num_workers}
    if name != "train_classifier":
        options["classifier"] = trained
    argv = command(name, whole, **options)
    at = argv.index("--output_folder")
    del argv[at : at + 2]
    seed = f"{name} {num_workers}"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DRIVER), str(KILLS * LENGTH),
         seed, str(whole), str(killed), *argv],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=600 + 600 * LENGTH,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said = done.stdout.splitlines()[-1]
    assert said.startswith("killed ")
    assert not said.startswith("killed 0 ")
    assert_same(checkpoints(killed), checkpoints(whole))
    for file in WRITTEN:
        assert (killed / file).read_text() == (whole / file).read_text(), file
    left = {path.relative_to(killed) for path in killed.rglob("*")}
    assert not [path for path in left if path.name.startswith(".CKPT")]
