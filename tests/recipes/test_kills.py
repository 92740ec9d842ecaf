"""Training that is killed anywhere, and goes on: the result is the same.

A run is killed with SIGKILL at random moments: before one of the files or
folders that it opens, renames or removes, or after a batch; before one of
those that make up a checkpoint; or by the clock, in the middle of whatever it
does. What is left in the end equals, to the last bit, what a run leaves that
was never killed; one that got through is followed by another, until there have
been kills enough. FOCALAUDIO_KILLS=10 kills ten times as often; how often and
where is a property of each test (`--junitxml=kills.xml` writes it).
"""

import json
import os
import subprocess
import sys
import textwrap

import pytest

KILLS = 3
LENGTH = int(os.environ.get("FOCALAUDIO_KILLS", "1"))
DRIVER = """
    import json, os, random, runpy, signal, sys, time
    from pathlib import Path
    import torch
    import focalaudio.brains, focalaudio.experiment
    import focalaudio.models, focalaudio.report.training
    from focalaudio.brains.training import TrainingBrain
    from focalaudio.data.pipelines import ClipReader

    torch.set_num_threads(1)
    ClipReader.room = 0  # so that processes read, if any are asked for
    kills, seed, whole, killed, script, *argv = sys.argv[1:]
    EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"}

    def find(path, *rest):
        # of what is removed in a folder that is open, only the name is told
        path = str(path)
        at = rest[-1] if rest and isinstance(rest[-1], int) else -1
        if not os.path.isabs(path) and at >= 0:
            path = os.path.join(os.readlink(f"/proc/self/fd/{at}"), path)
        return path

    def run(folder, kind, deadline, told=None):
        # count what can be interrupted; die before the deadline's
        seen, owner = {"event": 0, "checkpoint": 0}, os.getpid()

        def count(*kinds):
            if os.getpid() == owner:  # not in the workers that load clips
                for each in kinds:
                    seen[each] += 1
                    if (each, seen[each]) == (kind, deadline):
                        os.kill(owner, signal.SIGKILL)

        def watch(event, arguments):
            if event in EVENTS and find(*arguments).startswith(folder):
                path = find(*arguments)
                # one that is written has a dot, until it is renamed
                changes = "/.CKPT+" in path
                changes |= event != "open" and "/CKPT+" in path
                count("event", *["checkpoint"] * changes)

        fit_batch = TrainingBrain.fit_batch

        def fit_and_count(self, batch):
            loss = fit_batch(self, batch)
            count("event")
            return loss

        sys.addaudithook(watch)
        TrainingBrain.fit_batch = fit_and_count
        sys.argv = [script, *argv, "--output_folder", folder]
        runpy.run_path(script, run_name="__main__")
        if told:
            os.write(told, json.dumps(seen).encode())

    def attempt(folder, kind="", deadline=0, seconds=None, told=None):
        child = os.fork()
        if child == 0:
            try:
                run(folder, kind, deadline, told)
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if seconds:
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        return os.waitpid(child, 0)[1]

    def find_halves(folder):
        # checkpoints that are being written
        found = Path(folder).glob("save/.CKPT+*")
        return {(path.name, path.stat().st_ino) for path in found}

    ask, tell = os.pipe()
    start = time.monotonic()
    if attempt(whole, told=tell) != 0:
        sys.exit("the run that nobody kills failed")
    seconds = time.monotonic() - start
    n_seen, rng = json.loads(os.read(ask, 99)), random.Random(seed)
    died = {"event": 0, "checkpoint": 0, "clock": 0}
    n_halves = n_runs = 0
    while sum(died.values()) < int(kills):
        n_runs += 1
        folder, status = f"{killed}/{n_runs}", None
        while status != 0 and sum(died.values()) < int(kills):
            halves = find_halves(folder)
            kind = rng.choice(list(died))  # later runs have less to do
            if kind == "clock":
                status = attempt(folder, seconds=seconds * rng.random())
            else:
                deadline = rng.randint(1, n_seen[kind])
                status = attempt(folder, kind, deadline)
            if status == 0:
                continue
            if os.WTERMSIG(status) != signal.SIGKILL:
                sys.exit(f"failed instead of going on, status {status}")
            died[kind] += 1
            n_halves += bool(find_halves(folder) - halves)
        if status != 0 and attempt(folder) != 0:
            sys.exit("the last run did not go on")
    print(json.dumps({
        "died": died, "seen": n_seen, "halves": n_halves, "runs": n_runs
    }))
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
    record_property,
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
    told = done.stdout.splitlines()[-1]
    record_property("kills", told)
    assert sum(json.loads(told)["died"].values()) == KILLS * LENGTH
    wanted = checkpoints(whole)
    runs = sorted(killed.iterdir())
    assert len(runs) == json.loads(told)["runs"]
    for run in runs:
        assert_same(checkpoints(run), wanted)
        for file in WRITTEN:
            assert (run / file).read_text() == (whole / file).read_text(), file
        hidden = {path.name for path in run.rglob(".*")}
        assert hidden == {path.name for path in whole.rglob(".*")}
