"""Recipes that are stopped by Ctrl-C while they work, as at a terminal."""

import os
import signal
import subprocess
import sys
import time

import pytest

ENDLESS = {"number_of_epochs": 10_000}
SYSTEM = """{tiny: {training: {encoder_name: focalnet_test_pyramid,
    image_size: [32, 32], number_of_epochs: 10000, batch_size: 4}}}"""
OPTIONS = {
    "train_classifier": ENDLESS | {"num_workers": 2},
    "train_piq": ENDLESS | {"n_codes": 12, "batch_size": 3},
    "train_lmac": ENDLESS | {"width": 16, "n_doublings": 1, "batch_size": 3},
    # each cell of each clip, one after the other
    "interpret": {
        "batch_size": 1,
        "compare": "[{method: occlusion, options: {frames: 1, bins: 1}}]",
    },
    "reproduce": {
        "systems": " ".join(SYSTEM.split()),
        "wanted_systems": "[tiny]",
        "wanted_conditions": "[]",
        "figure_2": "null",
        "figure_3": "null",
    },
}
SAVED = {
    "interpret": "what is done is saved",
    "reproduce": "what is done is saved",
}


def has_begun(folder):
    """Whether an epoch is logged, or the sounds of a clip are being made."""
    logs = [*folder.rglob("train_log.txt"), *folder.rglob("settings.json")]
    return any(path.stat().st_size for path in logs)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_ctrl_c_ends_a_recipe_in_one_line(
    name, command, dataset, trained, tmp_path
):
    options = OPTIONS[name] | {"data_folder": dataset}
    if name in ("train_piq", "train_lmac", "interpret"):
        options["classifier"] = trained
    run = subprocess.Popen(
        [sys.executable, *command(name, tmp_path / "out", **options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,  # so that all its processes can be told
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while run.poll() is None and not has_begun(tmp_path):
            time.sleep(0.1)
        os.killpg(run.pid, signal.SIGINT)
        said = run.communicate(timeout=300)[0]
    finally:
        run.kill()
    assert run.returncode == -signal.SIGINT, said
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if "Interrupted; " in line]
    (own,) = [line for line in lines if f"{name}.py" in line]
    assert SAVED.get(name, "epoch") in own
    assert "and this " in own
