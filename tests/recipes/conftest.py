"""A synthetic data set, and the recipes run on it as fast as they can be."""

import importlib.util
import logging
import sys
from pathlib import Path

import pytest
import torch

from focalaudio.data.synthetic import CLASSES, write_dataset

ROOT = Path(__file__).parents[2]
TINY = {
    "encoder_name": "focalnet_test",
    "image_size": "[32, 32]",
    "clip_seconds": 1.0,
    "batch_size": 4,
    "number_of_epochs": 3,
    "warmup_epochs": 1,
}


def script(name):
    return ROOT / "recipes" / "ESC50" / f"{name}.py"


def arguments(name, out, flags=(), **options):
    """A recipe's command line, after the script."""
    values = TINY | options if name == "train_classifier" else options
    argv = [str(ROOT / "hparams" / f"{name}.yaml"), "--noprogressbar"]
    argv += ["--device", "cpu", "--output_folder", str(out), *flags]
    for key, value in values.items():
        argv += [f"--{key}", str(value)]
    return argv


def run(name, out, flags=(), **options):
    """Run a recipe in this process; return its folder."""
    spec = importlib.util.spec_from_file_location(name, script(name))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(arguments(name, out, flags, **options))
    return Path(out)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    threads, hook = torch.get_num_threads(), sys.excepthook
    handlers = list(logging.root.handlers)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    sys.excepthook, logging.root.handlers = hook, handlers


@pytest.fixture(scope="session")
def recipe():
    """`recipe(name, out, flags, **options)` runs one in this process."""
    return run


@pytest.fixture(scope="session")
def command():
    """`command(name, out, flags, **options)` is a script and its arguments."""

    def build(name, out, flags=(), **options):
        return [str(script(name)), *arguments(name, out, flags, **options)]

    return build


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """Three classes, five folds, one clip of a second in each."""
    folder = tmp_path_factory.mktemp("dataset")
    return write_dataset(
        folder, clips_per_class=5, seed=0, seconds=1.0, classes=CLASSES[:3]
    )


@pytest.fixture(scope="session")
def trained(dataset, tmp_path_factory):
    """A run of three epochs that nothing interrupted."""
    out = tmp_path_factory.mktemp("runs") / "trained"
    return run("train_classifier", out, data_folder=dataset)


@pytest.fixture(scope="session")
def interpreted(dataset, trained, tmp_path_factory):
    """What interpreting that run's test fold leaves."""
    out = tmp_path_factory.mktemp("runs") / "interpreted"
    return run("interpret", out, data_folder=dataset, classifier=trained)
