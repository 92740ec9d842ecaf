"""Runs that are killed, and runs of two processes: the result is the same."""

import collections
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest
import torch

from focalaudio.brains.checkpoints import WholeCheckpointer
from focalaudio.brains.progress import Progress
from focalaudio.errors import FocalAudioError
from focalaudio.metrics.table import METRICS

KILL = """
    import os, pickle, runpy, signal, sys
    import torch
    from focalaudio.brains import ClassifierBrain

    torch.set_num_threads(1)
    script, *argv = sys.argv[1:]
    save = torch.save

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def die_in_the_checkpoint_of_epoch_2():
        saved = []

        def half(content, path, *args, **kwargs):
            save(content, path, *args, **kwargs)
            saved.append(path.name)
            if saved.count("random_state.ckpt") == 2:
                path.write_bytes(path.read_bytes()[:1000])
                die()

        torch.save = half

    def die_in_the_last_batch_of_epoch_3():
        average = ClassifierBrain.on_fit_batch_end

        def end(self, *args):
            average(self, *args)
            if (self.hparams.epoch_counter.current, self.step) == (3, 2):
                die()

        ClassifierBrain.on_fit_batch_end = end

    for attach in (
        die_in_the_checkpoint_of_epoch_2, die_in_the_last_batch_of_epoch_3
    ):
        child = os.fork()
        if child == 0:
            attach()
            sys.argv = [script, *argv]
            runpy.run_path(script, run_name="__main__")
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.exit(f"{attach.__name__}: was not killed, status {status}")
"""
KILL_INTERPRETATION = """
    import os, pathlib, runpy, signal, sys
    import torch
    from focalaudio.brains.progress import Progress

    torch.set_num_threads(1)
    add = Progress.add

    def die_in_the_second_batch(self, *args):
        path = self.folder / "rows_0.jsonl"
        begun = path.exists()
        add(self, *args)
        if begun:
            path.write_bytes(path.read_bytes()[:-100])
            os.kill(os.getpid(), signal.SIGKILL)

    Progress.add = die_in_the_second_batch
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
TORCHRUN = ["-m", "torch.distributed.run", "--nproc_per_node=2"]
WATCH = """
    import os, sys

    rank, folder = os.environ.get("RANK"), os.environ["WATCHED_FOLDER"]
    if rank is not None:
        name = f"{os.environ['WATCHED_LOG']}-{rank}"
        log = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

        def watch(event, arguments):
            if event == "open" and isinstance(arguments[1], str):
                path = arguments[0] if set(arguments[1]) & set("wax+") else ""
            elif event == "os.rename":
                path = arguments[1]
            else:
                return
            if str(path).startswith(folder):
                os.write(log, f"{path}\\n".encode())

        sys.addaudithook(watch)
"""


def run_process(command, returncode=0, **environment):
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=580,
    )
    assert done.returncode == returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run_two(command, watched, tmp_path):
    """Run under torchrun; return what each rank wrote, and how often."""
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(WATCH))
    run_process(
        [*TORCHRUN, f"--master_port={free_port()}", *command],
        PYTHONPATH=os.pathsep.join(
            [str(tmp_path), os.environ.get("PYTHONPATH", "")]
        ),
        WATCHED_FOLDER=str(watched),
        WATCHED_LOG=str(tmp_path / "rank"),
    )
    return [
        collections.Counter(
            Path(line).relative_to(watched)
            for line in (tmp_path / f"rank-{rank}").read_text().splitlines()
        )
        for rank in (0, 1)
    ]


def final(writes):
    """Without the temporary names that become others."""
    return {
        path: count
        for path, count in writes.items()
        if not path.name.startswith(".")
    }


def test_killed_and_resumed_is_never_killed(
    command, recipe, dataset, trained, tmp_path, checkpoints, assert_same
):
    """Once in the middle of a checkpoint, once in the middle of an epoch.

    Checkpoints are asked for within the epoch, too.
    """
    run = tmp_path / "killed"
    (tmp_path / "kill.py").write_text(textwrap.dedent(KILL))
    flags = ["--ckpt_interval_steps", "1"]
    argv = command("train_classifier", run, flags, data_folder=dataset)
    run_process([tmp_path / "kill.py", *argv])
    log = (run / "train_log.txt").read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["epoch: 1", "epoch: 2"]
    recipe("train_classifier", run, data_folder=dataset)
    saved = checkpoints(run)[-1]
    assert {"classifier.ckpt", "optimizer.ckpt", "random_state.ckpt"} <= set(
        saved
    )
    assert_same(saved, checkpoints(trained)[-1])
    for name in ("train_log.txt", "history.csv", "metrics.json", "clips.csv"):
        assert (run / name).read_text() == (trained / name).read_text(), name


def run_ranks(recipe, tmp_path, *args, **kwargs):
    """Run a recipe in two children of this process; return their errors."""
    together = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    together |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    children = []
    for rank in ("0", "1"):
        child = os.fork()
        if child == 0:
            os.environ |= together | {"RANK": rank, "LOCAL_RANK": rank}
            signal.alarm(60)  # a rank that hangs is killed
            try:
                recipe(*args, **kwargs)
            except FocalAudioError as error:
                (tmp_path / f"error-{rank}").write_text(str(error))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    return [(tmp_path / f"error-{rank}").read_text() for rank in ("0", "1")]


def test_two_ranks_refuse_the_folder_of_another_run(
    recipe, dataset, trained, tmp_path
):
    run = shutil.copytree(trained, tmp_path / "run")
    before = (run / "hyperparams.yaml").read_text()
    flags = ["--distributed_backend", "gloo"]
    step = ("train_classifier", run, flags)
    said = run_ranks(recipe, tmp_path, *step, data_folder=dataset, lr=2)
    assert said[0] == said[1]
    assert "lr was 0.001, is 2" in said[0]
    assert (run / "hyperparams.yaml").read_text() == before


def test_an_interpretation_that_is_killed_goes_on_where_it_was(
    command, recipe, dataset, trained, tmp_path, monkeypatch
):
    options = {
        "data_folder": dataset,
        "classifier": trained,
        "condition": "overlap",
        "compare": "[{method: random}]",
        "batch_size": 2,
        "max_clips": 5,
    }
    wanted = recipe("interpret", tmp_path / "whole", **options)
    out = tmp_path / "killed"
    (tmp_path / "kill.py").write_text(textwrap.dedent(KILL_INTERPRETATION))
    argv = command("interpret", out, **options)
    run_process([tmp_path / "kill.py", *argv], returncode=-signal.SIGKILL)
    assert not (out / "metrics.json").exists()
    done = []
    add = Progress.add

    def count(self, clip_ids, found):
        done.extend(clip_ids)
        add(self, clip_ids, found)

    monkeypatch.setattr(Progress, "add", count)
    recipe("interpret", out, **options)
    assert len(done) == 4  # of 6; the second batch was cut short
    names = ["metrics.json", "clips.csv", "comparison.md"]
    for name in (*names, "comparison.csv", "comparison_clips.csv"):
        assert (out / name).read_bytes() == (wanted / name).read_bytes(), name
    files = [sorted((f / "interpretations").iterdir()) for f in (out, wanted)]
    for one, other in zip(*files, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes(), one.name


@pytest.mark.slow
def test_two_ranks_explain_a_folder_as_one(dataset, tmp_path):
    """Five sounds, one of which is none; then one more."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    *first, last = sorted((dataset / "audio").glob("*.wav"))[:5]
    for path in first:
        shutil.copy(path, sounds)
    (sounds / "bad.wav").write_bytes(b"no sound")
    one, two = tmp_path / "one", tmp_path / "two"
    options = ["--match-loudness", "--compare", "random", "--out"]
    command = ["-m", "focalaudio", "explain", sounds, *options]
    for step in ("all", "one more"):
        run_process([*command, one], returncode=1)
        launch = [*TORCHRUN, f"--master_port={free_port()}"]
        said = run_process([*launch, *command, two], returncode=1)
        assert said.count("Failed: 1") == 1, step
        rows = [pd.read_csv(folder / "clips.csv") for folder in (one, two)]
        pd.testing.assert_frame_equal(*rows, atol=1e-6, rtol=1e-6)
        for name in ("boxes.csv", "comparison.csv", "failed.csv"):
            tables = [pd.read_csv(folder / name) for folder in (one, two)]
            pd.testing.assert_frame_equal(*tables, atol=1e-6, rtol=1e-6)
        gains = [
            dict(pd.read_csv(folder / "listening.csv").values)
            for folder in (one, two)
        ]
        assert gains[0] == pytest.approx(gains[1])
        pages = [
            (folder / "report.html").read_text(encoding="utf-8")
            for folder in (one, two)
        ]
        shown = [page.count('class="clip"') for page in pages]
        assert shown[0] == shown[1] == len(rows[0])
        if step == "all":
            shutil.copy(last, sounds)
    files = [
        sorted(p.name for p in folder.rglob("*") if p.is_file())
        for folder in (one, two)
    ]
    assert files[0] == [n for n in files[1] if not re.search(r"_1\.jsonl", n)]
    lines = (two / "progress_1.jsonl").read_text().splitlines()
    assert len([line for line in lines if '"row"' in line]) == 2  # its share
    said = run_process([*command, two], returncode=1)  # by one process
    assert "kept as they are: 5" in said


def test_two_ranks_interpret_as_one(
    command, dataset, trained, interpreted, tmp_path
):
    out = tmp_path / "out"
    argv = command(
        "interpret",
        out,
        ["--distributed_backend", "gloo"],
        data_folder=dataset,
        classifier=trained,
    )
    first, second = run_two(argv, out, tmp_path)
    assert_alike(out, interpreted)
    sounds = [
        {path.name for path in (f / "interpretations").iterdir()}
        for f in (out, interpreted)
    ]
    assert sounds[0] == sounds[1]
    writes = collections.Counter(final(first)) + collections.Counter(
        final(second)
    )
    assert set(writes.values()) == {1}
    assert {"clips.csv", "metrics.json", "env.log"} <= {p.name for p in writes}
    shares = [
        {clip for line in path.read_text().splitlines() if line
         for clip in json.loads(line)["clip_ids"]}
        for path in sorted((out / "progress").glob("rows_*.jsonl"))
    ]  # fmt: skip
    assert sorted(map(len, shares)) == [1, 2]
    assert not shares[0] & shares[1]


def assert_close(metrics, wanted):
    assert metrics.index.tolist() == wanted.index.tolist()
    for name, value in wanted.items():
        found = metrics[name]
        if name != "statistics":
            assert found == near(value, name), name
            continue
        assert found.keys() == value.keys()
        for column, numbers in value.items():
            assert found[column] == near(numbers, column), column


def near(value, column):
    """What equals a column's value, or each of several, to 1e-6.

    Of what is in percent, that is 1e-4.
    """
    if isinstance(value, dict):
        return {key: near(each, column) for key, each in value.items()}
    if value is None or isinstance(value, str | list):
        return value
    atol = 1e-4 if column in PERCENTS else 1e-6
    return pytest.approx(value, rel=1e-6, abs=atol, nan_ok=True)


def test_two_ranks_train_one_classifier(
    command, dataset, tmp_path, checkpoints
):
    out = tmp_path / "out"
    argv = command(
        "train_classifier",
        out,
        ["--distributed_backend", "gloo"],
        data_folder=dataset,
        number_of_epochs=1,
    )
    writes = [final(rank) for rank in run_two(argv, out, tmp_path)]
    names = [{str(path) for path in rank} for rank in writes]
    reports = {"metrics.json", "clips.csv", "history.csv", "train_log.txt"}
    assert reports <= names[0]
    assert not {name for name in names[1] if "save" not in name}
    assert len(pd.read_csv(out / "clips.csv")) == 3
    assert len((out / "train_log.txt").read_text().splitlines()) == 2
    checkpoint = checkpoints(out)[-1]
    assert {"random_state.ckpt", "history.ckpt"} <= set(checkpoint)


STILL = {  # nothing is drawn but the order of clips
    "drop_path": 0.0,
    "max_speed": 1.0,
    "crop_seconds": "null",
    "polarity": 0.0,
    "max_gain": 0.0,
    "max_stripes": 0,
    "view_probability": 0.0,
}


def test_two_ranks_take_the_steps_of_one(
    command, recipe, dataset, tmp_path, checkpoints
):
    """Each has half of a batch, which is all that there is to train on."""
    own = {"data_folder": dataset, "train_folds": "[1, 2]"}
    own |= STILL | {"encoder_name": "focalnet_test_pyramid"}
    one = recipe("train_classifier", tmp_path / "one", batch_size=6, **own)
    two = tmp_path / "two"
    argv = command("train_classifier", two, GLOO, batch_size=3, **own)
    run_process([*TORCHRUN, f"--master_port={free_port()}", *argv])
    found, wanted = (pd.read_csv(out / "history.csv") for out in (two, one))
    assert wanted["valid_loss"].nunique() == 3
    assert (found - wanted).abs().max().max() < 1e-4
    weights, alike = (
        checkpoints(out)[-1]["classifier.ckpt"] for out in (two, one)
    )
    for name, value in weights.items():
        assert torch.allclose(value, alike[name], atol=1e-4), name


PERCENTS = {name for name, each in METRICS.items() if each.unit == "%"}
GLOO = ["--distributed_backend", "gloo"]
SMALL = {
    "classifier": {},
    "piq": {"n_codes": 12},
    "lmac": {"width": 16, "n_doublings": 1},
}


@pytest.fixture
def options_of(dataset, trained):
    """`options_of(method, **more)`: what a recipe that trains is given."""

    def join(method, **more):
        own = {} if method == "classifier" else {"classifier": trained}
        values = {"data_folder": dataset, "batch_size": 2, "warmup_epochs": 1}
        return values | own | SMALL[method] | more

    return join


@pytest.mark.slow
@pytest.mark.parametrize("method", SMALL)
def test_what_two_ranks_trained_and_tested_one_tests_alike(
    method, command, recipe, options_of, tmp_path
):
    """Of three test clips one rank has two, the other one."""
    out = tmp_path / "out"
    options = options_of(method, number_of_epochs=1)
    argv = command(f"train_{method}", out, GLOO, **options)
    writes = [final(rank) for rank in run_two(argv, out, tmp_path)]
    names = [{str(path) for path in rank} for rank in writes]
    assert {"metrics.json", "clips.csv", "history.csv"} <= names[0]
    assert not {name for name in names[1] if "save" not in name}
    shutil.copytree(out, tmp_path / "two")
    recipe(f"train_{method}", out, ["--test_only"], **options)
    assert len(pd.read_csv(out / "clips.csv")) == 3
    assert_alike(out, tmp_path / "two")


def assert_frames(found, wanted):
    """Columns are equal to 1e-6; those in percent to 1e-6 of a hundred."""
    scales = {name: 1e-2 for name in PERCENTS if name in wanted}
    pd.testing.assert_frame_equal(
        found.assign(**{name: found[name] * s for name, s in scales.items()}),
        wanted.assign(**{name: wanted[name] * s for name, s in scales.items()}),
        atol=1e-6,
        rtol=1e-6,
    )


def assert_alike(out, wanted):
    """Rows and averages are equal, to 1e-6; each clip is there once."""
    rows = pd.read_csv(out / "clips.csv")
    assert rows["clip_id"].is_unique
    assert_frames(rows, pd.read_csv(wanted / "clips.csv"))
    assert_close(
        *(
            pd.read_json(folder / "metrics.json", typ="series")
            for folder in (out, wanted)
        )
    )


DIE = """
    import os, runpy, signal, sys
    import torch
    from focalaudio.brains.progress import Progress
    from focalaudio.brains.training import TrainingBrain

    torch.set_num_threads(1)
    rank, how = sys.argv[1:3]
    fit_batch, add, added = TrainingBrain.fit_batch, Progress.add, []

    def die():
        if os.environ["RANK"] == rank:
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(5, "Input/output error", "a disk")

    def die_in_epoch_2(self, batch):
        if self.hparams.epoch_counter.current == 2:
            die()
        return fit_batch(self, batch)

    def die_in_the_second_batch(self, *args):
        if added:
            die()
        added.append(add(self, *args))

    TrainingBrain.fit_batch = die_in_epoch_2
    Progress.add = die_in_the_second_batch
    sys.argv = sys.argv[3:]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def let_die(tmp_path, argv, rank, how):
    """Run with a rank that is killed, or fails; return what was said."""
    (tmp_path / "die.py").write_text(textwrap.dedent(DIE))
    said = run_process(
        [*TORCHRUN, f"--master_port={free_port()}",
         tmp_path / "die.py", rank, how, *argv],
        returncode=1,
    )  # fmt: skip
    assert ("Input/output error: 'a disk'" in said) == (how == "fails")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "rank", "how"),
    [("classifier", 1, "killed"), ("piq", 0, "killed"), ("lmac", 1, "fails")],
)
def test_a_rank_that_dies_ends_the_run_and_spoils_nothing(
    method, rank, how, command, options_of, tmp_path
):
    out = tmp_path / "out"
    options = options_of(method, number_of_epochs=3)
    argv = command(f"train_{method}", out, GLOO, **options)
    let_die(tmp_path, argv, rank, how)
    (whole,) = WholeCheckpointer(out / "save").list_checkpoints()
    assert whole.meta["epoch"] == 1
    assert not (out / "metrics.json").exists()
    assert len((out / "train_log.txt").read_text().splitlines()) == 1
    run_process([*TORCHRUN, f"--master_port={free_port()}", *argv])
    assert len(pd.read_csv(out / "clips.csv")) == 3
    assert len((out / "train_log.txt").read_text().splitlines()) == 4


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "fails"])
def test_a_rank_that_dies_leaves_an_interpretation_that_goes_on(
    how, command, dataset, trained, interpreted, tmp_path
):
    out = tmp_path / "out"
    options = {"data_folder": dataset, "classifier": trained, "batch_size": 1}
    argv = command("interpret", out, GLOO, **options)
    let_die(tmp_path, argv, 0, how)
    assert not (out / "metrics.json").exists()
    assert not (out / "clips.csv").exists()
    # whatever the number of those that go on
    launch = [*TORCHRUN, f"--master_port={free_port()}"]
    run_process([*(launch if how == "killed" else ()), *argv])
    assert_alike(out, interpreted)
    names = [
        sorted(path.name for path in (folder / "interpretations").iterdir())
        for folder in (out, interpreted)
    ]
    assert names[0] == names[1]


@pytest.mark.slow
def test_two_ranks_reproduce_the_tables_once(
    command, recipe, dataset, tmp_path
):
    """By models that two ranks trained one process makes the same tables."""
    out = tmp_path / "out"
    system = {
        "training": {"encoder_name": "focalnet_test_pyramid"},
        "interpret": {"maps": ["class_evidence"]},
        "piq": {},
    }
    overlap = {"condition": "overlap", "quantiles": [0.5, 0.9], "max_clips": 2}
    options = {
        "data_folder": dataset,
        "systems": json.dumps({"tiny": system}),
        "wanted_systems": "[tiny]",
        "wanted_conditions": "[overlap]",
        "conditions": json.dumps({"overlap": overlap}),
        "compare": json.dumps([{"method": "random"}]),
        "figure_2": "null",
        "figure_3": "overlap",
    }
    argv = command("reproduce", out, ["--debug", *GLOO], **options)
    first, second = (final(rank) for rank in run_two(argv, out, tmp_path))
    tables = {"overlap.csv", "classifiers.csv", "figure_3.png"}
    assert tables <= {path.name for path in out.iterdir()}
    results = ("clips.csv", "metrics.json", *tables)
    for path in out.rglob("*"):
        if path.name in results:
            assert first[path.relative_to(out)] == 1, path
            assert path.relative_to(out) not in second, path
    one = shutil.copytree(out, tmp_path / "one")
    for path in one.rglob("overlap"):
        shutil.rmtree(path)
    for path in one.glob("*.csv"):
        path.unlink()
    recipe("reproduce", one, ["--debug"], **options)
    found = {path.relative_to(one) for path in one.rglob("*.csv")}
    assert found == {path.relative_to(out) for path in out.rglob("*.csv")}
    assert len(found) > 5
    for path in found:
        assert_frames(pd.read_csv(one / path), pd.read_csv(out / path))
    for path in out.rglob("clips.csv"):
        assert pd.read_csv(path)["clip_id"].is_unique
