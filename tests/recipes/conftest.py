"""A synthetic data set, and the recipes run on it as fast as they can be."""

import importlib.util
import logging
import signal
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
    "mix_probability": 0.0,
    "number_of_epochs": 3,
    "warmup_epochs": 1,
}


def script(name):
    return ROOT / "recipes" / "ESC50" / f"{name}.py"


def build_command(name, out, flags=(), **options):
    """A script and its arguments."""
    values = TINY | options if name == "train_classifier" else options
    command = [script(name), ROOT / "hparams" / f"{name}.yaml"]
    command += ["--device", "cpu", "--noprogressbar", *flags]
    command += ["--output_folder", out]
    for key, value in values.items():
        command += [f"--{key}", value]
    return [str(part) for part in command]


def load_script(name):
    """The module that a script is."""
    spec = importlib.util.spec_from_file_location(name, script(name))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, out, flags=(), **options):
    """Run a recipe in this process; return its folder."""
    argv = build_command(name, out, flags, **options)[1:]
    load_script(name).main(argv)
    return Path(out)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """One thread, as the processes have that are started from here."""
    threads = torch.get_num_threads()
    hooks = sys.excepthook, sys.unraisablehook
    handlers, level = list(logging.root.handlers), logging.root.level
    obey = signal.getsignal(signal.SIGTERM)
    torch.set_num_threads(1)
    yield
    signal.signal(signal.SIGTERM, obey)
    torch.set_num_threads(threads)
    sys.excepthook, sys.unraisablehook = hooks
    logging.root.handlers = handlers
    logging.root.setLevel(level)


@pytest.fixture(scope="session")
def recipe():
    """`recipe(name, out, flags, **options)` runs one in this process."""
    return run


@pytest.fixture(scope="session")
def load():
    """`load(name)`: the module that a recipe's script is."""
    return load_script


@pytest.fixture(scope="session")
def command():
    """`command(name, out, flags, **options)`: a script and its arguments."""
    return build_command


def read_checkpoints(run):
    """Every file of every checkpoint of a run, oldest first, but the time."""
    folders = sorted(
        run.glob("save/CKPT+*"), key=lambda path: path.stat().st_mtime_ns
    )
    return [
        {path.name: read_part(path) for path in folder.glob("*.ckpt")}
        for folder in folders
    ]


def read_part(path):
    """What torch saved, which is a zip archive, or text."""
    if path.read_bytes().startswith(b"PK"):
        return torch.load(path, weights_only=True)
    return path.read_text()


def assert_equal(one, other, where=""):
    """Nested values are equal to the last bit."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}/{number}")
    else:
        assert one == other, where


@pytest.fixture(scope="session")
def checkpoints():
    """`checkpoints(run)`: see `read_checkpoints`."""
    return read_checkpoints


@pytest.fixture(scope="session")
def assert_same():
    """`assert_same(one, other)`: see `assert_equal`."""
    return assert_equal


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
