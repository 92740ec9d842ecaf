import ast
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from focalaudio.endings import Ending
from focalaudio.errors import AudioError, FocalAudioError
from focalaudio.experiment import Experiment, start_experiment

RECIPES = sorted(Path(__file__).parents[1].glob("recipes/*/*.py"))
YAML = """
# A comment that stays.
number: 3
double: !ref <number> * 2
output_folder: !PLACEHOLDER
"""


@pytest.fixture(autouse=True)
def _same_process():
    """What SpeechBrain sets up for a whole process is taken back."""
    hooks, handlers = (
        (sys.excepthook, sys.unraisablehook),
        logging.root.handlers,
    )
    level, obey = logging.root.level, signal.getsignal(signal.SIGTERM)
    logging.root.handlers = list(handlers)
    yield
    signal.signal(signal.SIGTERM, obey)
    sys.excepthook, sys.unraisablehook = hooks
    logging.root.handlers = handlers
    logging.root.setLevel(level)


@pytest.fixture
def argv(tmp_path):
    (tmp_path / "a.yaml").write_text(YAML)
    out = str(tmp_path / "results")
    return [str(tmp_path / "a.yaml"), "--output_folder", out, "--number", "5"]


class Greedy:
    HPARAMS_NEEDED = ("labels", "schedule", "number")
    MODULES_NEEDED = ("encoder", "decoder")

    def __init__(self, **kwargs):
        self.kwargs = kwargs


def test_command_line_overrides_the_yaml(argv, tmp_path):
    experiment = start_experiment([*argv, "--device", "cpu"])
    assert experiment.hparams["number"] == 5
    assert experiment.hparams["double"] == 10
    assert experiment.run_opts["device"] == "cpu"
    assert experiment.device == torch.device("cpu")
    assert experiment.folder == tmp_path / "results"


@pytest.mark.parametrize(
    ("key", "precision", "capability", "is_told"),
    [
        ("precision", "bf16", "AVX2", True),
        ("eval_precision", "bf16", "AVX2", True),
        ("precision", "fp32", "AVX2", False),
        ("precision", "bf16", "AVX512", False),
        ("precision", "bf16", "DEFAULT", False),  # such as ARM
    ],
)
def test_bf16_on_a_processor_without_it_is_told_to_be_slow(
    key, precision, capability, is_told, argv, capsys, monkeypatch
):
    monkeypatch.setattr(
        torch.backends.cpu, "get_cpu_capability", lambda: capability
    )
    start_experiment([*argv, "--device", "cpu", f"--{key}", precision])
    said = "".join(capsys.readouterr())
    assert ("no bf16 of its own" in said) == is_told


@pytest.mark.parametrize("joined", [False, True])
def test_a_pattern_is_text_though_it_begins_with_a_brace(argv, joined):
    pattern = "{label}_{group}.wav"
    path = Path(argv[0])
    path.write_text(path.read_text() + "pattern: null\n")
    given = [f"--pattern={pattern}"] if joined else ["--pattern", pattern]
    experiment = start_experiment([*argv, *given])
    assert experiment.hparams["pattern"] == pattern


@pytest.mark.parametrize(
    ("key", "hint"),
    [("numbr", "Use --number."), ("stages", "SpeechBrain.$"), ("x", "Brain.$")],
)
def test_an_option_that_does_not_exist_is_named(argv, tmp_path, key, hint):
    with pytest.raises(ValueError, match=f"--{key} is no key of .*{hint}"):
        start_experiment([*argv, f"--{key}", "[-1]"])
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("number", "x", "a whole number, such as 3"),
        ("number", "3.5", "a whole number, such as 3"),
        ("number", "True", "a whole number, such as 3"),
        ("number", "[3]", "a whole number, such as 3"),
        ("rate", "0,001", "a number, such as 0.1"),
        ("rate", "5s", "a number, such as 0.1"),
    ],
)
def test_what_is_no_number_is_refused_by_its_name(argv, key, value, rule):
    path = Path(argv[0])
    path.write_text(path.read_text() + "rate: 0.1\n")
    with pytest.raises(ValueError, match=f"--{key} .* must be {rule}"):
        start_experiment([*argv, f"--{key}", value])


@pytest.mark.parametrize("value", ["1", "1e-3", "-.5", ".inf", "null"])
def test_every_number_is_one(argv, value):
    path = Path(argv[0])
    path.write_text(path.read_text() + "rate: 0.1\n")
    assert start_experiment([*argv, "--rate", value]).hparams["rate"] != 0.1


def test_what_a_class_refuses_is_named_as_in_the_yaml(argv):
    path, made = Path(argv[0]), "!new:focalaudio.augment.RandomPolarity"
    path.write_text(
        f"{YAML}upside: 0.5\nstep: {made}\n  probability: !ref <upside>\n"
    )
    with pytest.raises(ValueError, match=r"^upside=3 must be a number"):
        start_experiment([*argv, "--upside", "3"])


def test_a_device_that_is_not_there_is_refused_before_any_work(argv, tmp_path):
    with pytest.raises(ValueError, match="device='gpu' is not there: .*doctor"):
        start_experiment([*argv, "--device", "gpu"])
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("word", ["number=7", "stray"])
def test_a_word_that_is_no_option_is_named(argv, tmp_path, word):
    with pytest.raises(ValueError, match=".*: an option begins with --"):
        start_experiment([argv[0], word, *argv[1:]])
    assert not (tmp_path / "results").exists()


def test_folder_says_what_was_run_and_where(argv, tmp_path):
    start_experiment(argv)
    folder = tmp_path / "results"
    assert yaml.safe_load((folder / "hyperparams.yaml").read_text()) == {
        "number": 5,
        "double": 10,
        "output_folder": str(folder),
    }
    assert "A comment that stays" in (folder / "hyperparams.yaml").read_text()
    assert "Python" in (folder / "env.log").read_text()


def test_a_second_run_on_the_folder_is_refused(argv, tmp_path):
    experiment = start_experiment(argv)
    before = (tmp_path / "results" / "hyperparams.yaml").read_text()
    with pytest.raises(
        FocalAudioError, match="being written by another process"
    ):
        start_experiment([*argv[:-1], "7"])
    after = (tmp_path / "results" / "hyperparams.yaml").read_text()
    assert (experiment.hparams["number"], after) == (5, before)


def test_folder_is_free_when_the_run_is_over(argv):
    del_me = start_experiment(argv)
    del del_me
    assert start_experiment(argv).hparams["number"] == 5


def test_lock_ends_with_the_process_that_holds_it(argv, tmp_path):
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        _experiment = start_experiment(argv)
        os.write(tell, b"!")
        signal.pause()
    os.read(ready, 1)
    where = tmp_path / "results"
    with pytest.raises(FocalAudioError, match=f"output_folder={where} is"):
        start_experiment(argv)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert start_experiment(argv).lock.is_locked


def test_folders_are_locked_one_by_one(argv, tmp_path):
    first = start_experiment(argv)
    argv[2] = str(tmp_path / "others")
    assert start_experiment(argv).lock.is_locked
    assert first.lock.is_locked


INTERRUPTED = """
import os, signal, sys
from focalaudio.brains.checkpoints import WholeCheckpointer
from focalaudio.experiment import start_experiment

experiment = start_experiment(sys.argv[1:])
experiment.hparams["checkpointer"].save_checkpoint({"epoch": 3})
os.kill(os.getpid(), signal.SIGINT)
"""
CHECKPOINTER = """
checkpointer: !new:focalaudio.brains.checkpoints.WholeCheckpointer
    checkpoints_dir: !ref <output_folder>/save
"""


def run_script(tmp_path, text, *argv, **environment):
    """Run a recipe; return what is left of it."""
    (tmp_path / "a recipe.py").write_text(text)
    return subprocess.run(
        [sys.executable, "a recipe.py", *argv],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        env=os.environ | environment,
        # whoever runs the tests in the background may ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
def test_ctrl_c_says_what_is_saved_in_one_line(sent, argv, tmp_path):
    """A scheduler's SIGTERM, too."""
    (tmp_path / "a.yaml").write_text(YAML + CHECKPOINTER)
    text = INTERRUPTED.replace("SIGINT", sent)
    done = run_script(tmp_path, text, *argv)
    assert done.returncode == -signal.SIGINT  # 130 to a shell
    assert "Traceback" not in done.stdout + done.stderr
    last = (done.stdout + done.stderr).splitlines()[-1]
    where = f"epoch 3 is saved in {tmp_path}/results, and this goes on: "
    assert f"Interrupted; {where}" in last
    assert last.endswith(shlex.join(["a recipe.py", *argv]))


STARTING = """
import os, signal
import focalaudio.starting
os.kill(os.getpid(), signal.{})
import torch
"""


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
def test_ctrl_c_while_a_recipe_is_imported_is_one_line(sent, tmp_path):
    done = run_script(tmp_path, STARTING.format(sent), "--lr", "a b")
    assert done.returncode == -signal.SIGINT
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Interrupted; nothing is saved, and this starts")
    assert line.endswith(shlex.join(["a recipe.py", "--lr", "a b"]))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_know_what_a_ctrl_c_says_before_they_import_more(path):
    first = next(
        node.names[0].name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        and "focalaudio" in ast.unparse(node)
    )
    assert first == "focalaudio.starting"


MISTAKES = [
    (AudioError("a.wav is empty"), "a.wav is empty"),
    (AudioError("a\x1b[2J.wav is empty"), "a\\x1b[2J.wav is empty"),
    (OSError(28, "No space left on device", "a.wav"), "on device: 'a.wav'"),
    (ValueError("lr=-1\x1b must be positive."), "lr=-1\\x1b must be pos"),
]


@pytest.fixture
def hook(argv):
    """What ends the process when an error is not caught."""
    start_experiment(argv)
    return lambda error: sys.excepthook(type(error), error, None)


@pytest.mark.parametrize(("error", "said"), MISTAKES)
def test_a_mistake_ends_in_one_line(error, said, hook, caplog):
    caplog.clear()
    hook(error)
    (line,) = caplog.messages
    assert said in line
    assert "FOCALAUDIO_TRACEBACK=1 shows where" in line
    assert line.isprintable()
    assert caplog.records[0].exc_info is None


def test_a_traceback_comes_when_asked_for_and_of_bugs(
    hook, caplog, monkeypatch
):
    hook(ZeroDivisionError("a bug"))
    assert caplog.records[-1].exc_info[0] is ZeroDivisionError
    monkeypatch.setenv("FOCALAUDIO_TRACEBACK", "1")
    hook(AudioError("a.wav is empty"))
    assert caplog.records[-1].exc_info[0] is AudioError


def test_debug_shows_where_a_mistake_comes_from(argv, caplog):
    start_experiment([*argv, "--debug"])
    logging.root.addHandler(caplog.handler)
    error = AudioError("a.wav is empty")
    sys.excepthook(AudioError, error, None)
    assert caplog.records[-1].exc_info[0] is AudioError


def test_a_mistake_in_the_command_is_one_line_too(argv, tmp_path):
    done = run_script(tmp_path, INTERRUPTED, *argv, "--numbr", "3")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Use --number." in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("place", ["a.yaml/results", "/proc/results"])
def test_a_folder_that_takes_nothing_is_said(place, argv, tmp_path):
    argv[2] = str(tmp_path / place)
    with pytest.raises(
        FocalAudioError, match=f"output_folder=.*{place} cannot be written: ."
    ):
        start_experiment(argv)


def test_what_goes_on_is_shown_escaped(caplog):
    ending = Ending("python odd\x1b[2J.py", folder=Path("\u202e"), goes_on=True)
    ending.hook(print)(KeyboardInterrupt, KeyboardInterrupt(), None)
    (record,) = caplog.records
    assert record.message.isprintable()
    assert (
        "in \\u202e, and this goes on: python odd\\x1b[2J.py" in record.message
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing is saved, and this starts again"),
        (CHECKPOINTER, "no epoch is saved, and this starts again"),
        ("systems: {}", "what is done is saved in .*results, and this goes on"),
    ],
)
def test_ctrl_c_says_what_there_is_to_go_on_with(text, said, argv, capsys):
    Path(argv[0]).write_text(YAML + text)
    start_experiment(argv)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert re.search(f"Interrupted; {said}: ", capsys.readouterr().out)


def test_brain_is_built_of_the_yaml(tmp_path):
    hparams = {"labels": [], "schedule": 1, "number": 2}
    hparams["modules"] = {"encoder": 1, "decoder": 2}
    experiment = Experiment(hparams, {"debug": True}, tmp_path, None)
    assert experiment.brain(Greedy).kwargs == {
        "modules": hparams["modules"],
        "opt_class": None,
        "hparams": hparams,
        "run_opts": {"debug": True},
        "checkpointer": None,
    }


def test_what_a_brain_lacks_is_named(tmp_path):
    modules = {"encoder": 1, "decoder": 2}
    hparams = {"number": 2, "modules": modules}
    with pytest.raises(
        ValueError, match="Greedy needs labels, schedule in the"
    ):
        Experiment(hparams, {}, tmp_path, None).brain(Greedy)
    hparams |= {"labels": [], "schedule": 1, "modules": {"encoder": 1}}
    with pytest.raises(ValueError, match="Greedy needs decoder in modules"):
        Experiment(hparams, {}, tmp_path, None).brain(Greedy)
    del hparams["modules"]
    with pytest.raises(ValueError, match="needs decoder, encoder in modules"):
        Experiment(hparams, {}, tmp_path, None).brain(Greedy)
