"""Every command of the pages runs, shortened and on small data.

A page's commands are run one after the other, in a folder that is what the
page assumes: a clone, data beside it, sounds in it. A finished run that no
command has left yet is put where the page names it. Only sizes are changed.
"""

import importlib.util
import json
import os
import re
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
import torch
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from transformers import FocalNetBackbone, FocalNetConfig

from focalaudio.audio import write_wav
from focalaudio.cli import main
from focalaudio.data.synthetic import CLASSES, synthesize_clip, write_dataset
from focalaudio.report.ratings import FORMAT
from focalaudio.reproduction import launch

TESTS = Path(__file__).parents[1]
pages = SimpleNamespace(**runpy.run_path(TESTS / "docs" / "pages.py"))
ROOT = pages.ROOT

ELSEWHERE = {  # page -> the test that runs its commands, word for word
    "docs/own-data.md": "recipes/test_own_data.py",
    "docs/several-labels.md": "recipes/test_several_labels.py",
    "docs/tutorial.md": "docs/test_tutorial.py",
}
NOT_RUN = {  # how a command begins -> why it is not run
    r"pip install": "changes what is installed",
    r"make": "the targets are what runs these tests",
    r"git clone": "needs the network",
    r"\S+ benchmarks/evaluation.py": "needs that clone of SpeechBrain",
    r"\S+ benchmarks/piq_training.py --data": "its peer needs a whole image",
    r"\S+ benchmarks/ranks.py": "needs clips of the packaged model's classes",
    r"torchrun --nproc_per_node 4": "needs four GPUs",
    r"torchrun --nnodes": "needs several machines",
    r"HOST=|srun": "needs Slurm",
}
SMALL = {  # script -> options that make it small
    "train_classifier": {
        "number_of_epochs": 1,
        "warmup_epochs": 0,
        "clip_seconds": 1.0,
        "image_size": "[32, 32]",
        "batch_size": 3,  # of six clips, and two processes
    },
    "novelty": {"n_noises": 1},
    # benchmarks, in place of --quick
    "peers": {"parts": "vit", "turns": 1},
    "encoders": {"turns": 1},
    "clip": {"turns": 1},
    "training": {"clips": 8, "turns": 1},
    "lmac_training": {"parts": "same", "batch_size": 1, "turns": 1},
    "captum_loop": {"clips": 1, "turns": 1},
    "streaming": {"minutes": 0.1},
    "startup": {"turns": 1},
    "growth": {"parts": "classes"},
    "piq_training": {"dim": 64},
    "suite": {"tests": "tests/metrics"},
}
ON_CPU = ["--device", "cpu", "--noprogressbar"]
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
MY_MODULE = f"""
from torch import nn
from focalaudio import SoundInterpreter

def make():
    network = nn.Sequential(
        nn.Unflatten(1, (1, -1)),
        nn.Conv1d(1, 8, 400, 160),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    )
    return SoundInterpreter.from_classifier(network, {CLASSES[:2]}, 16000)
"""


# ------------------------------------------------- what the pages assume


def write_sounds(folder):
    """Two classes in ESC-50's layout, each clip with a table of boxes."""
    write_dataset(
        folder, clips_per_class=5, seed=0, seconds=1.0, classes=CLASSES[:2]
    )
    shutil.rmtree(folder / "stems")
    rename_clip(folder, "5-151085-A-20.ogg")
    for path in list((folder / "audio").iterdir()):
        boxes = "".join(f"0.0\t0.5\t{name}\n" for name in CLASSES[:2])
        path.with_suffix(".txt").write_text(boxes)


def rename_clip(folder, name):
    """Give a clip of the fifth fold the name that a page knows."""
    clip = min((folder / "audio").glob("5-*.wav"))
    soundfile.write(clip.with_name(name), *soundfile.read(clip))
    clip.unlink()
    table = folder / "meta" / "esc50.csv"
    table.write_text(table.read_text().replace(clip.name, name))


def write_data(folder):
    """`../shared/data` of the pages."""
    write_sounds(folder / "ESC-10")
    for speaker in SPEAKERS:
        for digit, index in ((0, 0), (0, 1), (1, 0), (1, 1)):
            name = f"{digit}_{speaker}_{index}.wav"
            (folder / "FSDD").mkdir(exist_ok=True)
            write_wav(folder / "FSDD" / name, torch.rand(2400) - 0.5, 8000)


def write_published(folder):
    """SpeechBrain's checkpoints, of random weights, and the labels."""
    config = FocalNetConfig(
        embed_dim=128,
        depths=[2, 2, 18, 2],
        hidden_sizes=[128, 256, 512, 1024],
        out_features=["stage4"],
    )
    weights = FocalNetBackbone(config).state_dict()
    torch.save(weights, folder / "embedding_model.ckpt")
    head = Classifier(1024, lin_blocks=1, out_neurons=2)
    torch.save(head.state_dict(), folder / "classifier.ckpt")


def write_clone(folder):
    """What lies in the current directory of the pages."""
    folder.mkdir()
    for name in ("recipes", "hparams", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    sounds = folder.parent / "shared" / "data" / "ESC-10"
    for name in ("sounds", "ESC-10", "recordings"):
        shutil.copytree(sounds, folder / name)
    shutil.copytree(sounds / "meta", folder / "meta")
    for name in ("clip", "dog"):
        sound = synthesize_clip(CLASSES[0], 9, 0, seconds=5.0)
        write_wav(folder / f"{name}.wav", sound.wav, 16000)
    (folder / "my_module.py").write_text(MY_MODULE)
    answer = {"clip_id": "a", "method": "random", "quantile": None}
    ratings = {"format": FORMAT, "answers": [answer | {"matters": 4}]}
    for name in ("anna", "ben"):
        (folder / f"{name}.json").write_text(json.dumps(ratings))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A clone with data beside it, and two runs to be put into it."""
    folder = tmp_path_factory.mktemp("home")
    torch.manual_seed(0)
    write_data(folder / "shared" / "data")
    write_clone(folder / "clone")
    data = ["--data_folder", str(folder / "shared" / "data" / "ESC-10")]
    for name, *own in (
        ("train_classifier",),
        ("novelty", "--classifier", folder / "train_classifier"),
    ):
        place = ["--output_folder", folder / name]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder / "clone")
            words = [f"recipes/ESC50/{name}.py", f"hparams/{name}.yaml"]
            run_recipe(["python", *words, *data, *map(str, [*own, *place])])
    return folder


@pytest.fixture
def place(home, tmp_path, monkeypatch):
    """A copy of that clone, which is the current directory."""
    for name in ("shared", "clone"):
        shutil.copytree(home / name, tmp_path / name, symlinks=True)
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setattr(sys, "path", list(sys.path))
    steps = SimpleNamespace(run=lambda words, check: start(words[1:]))
    monkeypatch.setattr(launch, "subprocess", steps)  # of a reproduction
    return tmp_path / "clone"


def put_what_is_named(words, home):
    """Put finished runs, and weights, where a command names them."""
    if "embedding_model.ckpt" in words:
        write_published(Path())
    for word in words:
        if word.startswith("results/") and not Path(word).exists():
            kind = "novelty" if "novelty" in word else "train_classifier"
            shutil.copytree(home / kind, word)


# --------------------------------------------------- how commands are run


def start(words):
    """Run a script and its arguments in this process."""
    script, *argv = words
    spec = importlib.util.spec_from_file_location(Path(script).stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(argv)


def shorten(script):
    """Return the options that make a script small."""
    options = SMALL.get(Path(script).stem, {})
    return [
        str(x) for key, value in options.items() for x in (f"--{key}", value)
    ]


def run_recipe(words):
    """A recipe in this process; also the steps of a reproduction."""
    _, script, *argv = words
    debug = ["--debug"] if script.endswith("reproduce.py") else []
    start([script, *argv, *shorten(script), *ON_CPU, *debug])


def run_command(words):
    assert main(words[1:]) == 0


def run_script(words):
    exec(compile(words[2], "<page>", "exec"), {})  # noqa: S102


def run_benchmark(words):
    _, script, *argv = words
    argv = [word for word in argv if word != "--quick"] + shorten(script)
    run_process([script, *argv])


def run_ranks(words):
    """Of torchrun, on a port that is free."""
    with socket.socket() as one:
        one.bind(("", 0))
        port = f"--master_port={one.getsockname()[1]}"
    short = shorten(next((w for w in words if w.endswith(".py")), ""))
    run_process(["-m", "torch.distributed.run", port, *words[1:], *short])


def run_process(words):
    """Run Python with some arguments, and show what it says if it fails."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


FULL = "evaluation|ranks|piq_training.py --data"  # benchmarks that are not run
RUN = {  # how a command begins -> how it is run
    r"\S*python recipes/": run_recipe,
    rf"\S*python benchmarks/(?!{FULL})": run_benchmark,
    r"\S*python - ": run_script,
    r"\S*focalaudio ": run_command,
    r"torchrun --nproc_per_node 2 ": run_ranks,
}


def ways(table, words):
    """Return what a table has for a command."""
    text = " ".join(words)
    return [table[begin] for begin in table if re.match(begin, text)]


def commands_to_run():
    """Every command that is run here, once, by its page."""
    found, seen = {}, set()
    for page, words in pages.commands():
        is_here = page not in ELSEWHERE and ways(RUN, words)
        if is_here and tuple(words[1:]) not in seen:
            seen.add(tuple(words[1:]))
            found.setdefault(page, []).append(words)
    return found


COMMANDS = commands_to_run()


# ------------------------------------------------------------------ tests


def test_every_command_is_run_or_named():
    for page, words in pages.commands():
        known = [*ways(RUN, words), *ways(NOT_RUN, words)]
        assert len(known) == 1, f"{page}: run it, or say why not: {words}"


def test_what_is_named_stands_on_a_page():
    found = list(pages.commands())
    for begin in NOT_RUN:
        assert any(ways({begin: ""}, words) for _, words in found), begin
    for page, test in ELSEWHERE.items():
        assert page in {name for name, _ in found}
        text = (TESTS / test).read_text(encoding="utf-8")
        assert Path(page).name in text


@pytest.mark.slow
@pytest.mark.parametrize("page", COMMANDS)
def test_the_commands_of_a_page_run(page, place, home):
    for words in COMMANDS[page]:
        put_what_is_named(words, home)
        (run,) = ways(RUN, words)
        try:
            run(words)
        except (Exception, SystemExit) as error:
            raise AssertionError(f"fails: {shlex.join(words)}") from error
