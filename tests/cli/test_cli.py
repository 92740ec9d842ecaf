import io
import re
import subprocess
import sys
from argparse import ArgumentTypeError

import pytest

import focalaudio
from focalaudio import cli
from focalaudio.cli import demo
from focalaudio.cli.paths import take_path
from focalaudio.errors import AudioError, DataError

COMMANDS = ("demo", "explain", "export", "import", "doctor")


def test_version_is_the_packages():
    command = [sys.executable, "-m", "focalaudio", "--version"]
    printed = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == focalaudio.__version__


def test_the_demo_prints_what_it_found(monkeypatch, tmp_path, capsys):
    result = demo.DemoResult(0.9, 0.5, 0.4, 0.1, tmp_path)
    asked = []
    monkeypatch.setattr(
        demo, "run_demo", lambda out: asked.append(out) or result
    )
    assert cli.main(["demo", "--train", "--out", str(tmp_path)]) == 0
    assert asked == [tmp_path]
    assert capsys.readouterr().out.strip() == result.describe()


@pytest.fixture
def fail(monkeypatch):
    """Let the demo fail with an error; return the exit code."""

    def fail_with(error, *arguments):
        def raise_it(out):
            raise error

        monkeypatch.setattr(demo, "run_demo", raise_it)
        return cli.main([*arguments, "demo", "--train"])

    return fail_with


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("folds overlap."), 1),
        (OSError(28, "No space left on device", "a.wav"), 1),
        (ImportError("captum is not installed."), 1),
        (RuntimeError("out of memory\nmore lines"), 1),
        (ValueError("quantile=2 must be between 0 and 1."), 2),
    ],
)
def test_an_error_that_the_user_can_mend_is_one_line(fail, capsys, error, code):
    assert fail(error) == code
    said = capsys.readouterr().err
    assert said.startswith("focalaudio: ")
    assert said.count("\n") == 1


def test_an_error_of_ours_keeps_its_traceback(fail):
    with pytest.raises(KeyError):
        fail(KeyError("a"))


@pytest.mark.parametrize("first", [True, False])
def test_a_traceback_is_shown_when_it_is_wanted(monkeypatch, capsys, first):
    def fail(out):
        raise DataError("folds overlap.")

    monkeypatch.setattr(demo, "run_demo", fail)
    command = ["demo", "--train"]
    place = 0 if first else 2
    command.insert(place, "--debug")
    assert cli.main(command) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith("focalaudio: folds overlap.\n")


def test_foreign_text_in_an_error_is_escaped(fail, capsys):
    assert fail(AudioError("a\x1b[2J\u202e\nb")) == 1
    said = capsys.readouterr().err
    assert said == "focalaudio: a\\x1b[2J\\u202e\\nb\n"


def test_ctrl_c_says_what_is_saved_and_how_to_go_on(fail, capsys):
    assert fail(KeyboardInterrupt()) == 130
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    assert line == (
        "focalaudio: stopped; what is done is saved in results/demo, and this "
        "goes on: focalaudio demo --train"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert f"\n  focalaudio {command}" in said
    assert "--debug" in said


def test_every_command_can_be_stopped():
    parser = cli.build_parser()
    for command in (["demo"], ["doctor"], ["explain", "a.wav"]):
        arguments = parser.parse_args(command)
        assert arguments.saved.format(**vars(arguments))


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["explain", ""], "FILE"),
        (["explain", "a.wav", ""], "FILE"),
        (["explain", "a.wav", "--out", ""], "--out"),
        (["explain", "a.wav", "--model", ""], "--model"),
        (["explain", "a.wav", "--classifier_from="], "--classifier-from"),
        (["demo", "--out", ""], "--out"),
        (["export", "", "--out", "new"], "RUN"),
        (["export", "run", "--out", ""], "--out"),
        (["export", "run", "--out", "new", "--push", ""], "--push"),
        (["import", "a", "b", "--labels", "", "--out", "new"], "--labels"),
        (["ratings", ""], "FILE"),
    ],
)
def test_an_empty_argument_is_no_path(
    command, named, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(command)
    assert stop.value.code == cli.WRONG_USE
    said = capsys.readouterr().err
    assert f"error: argument {named}: it is empty" in said
    assert list(tmp_path.iterdir()) == []


def test_every_argument_that_is_read_as_something_is_not_empty():
    (commands,) = cli.build_parser()._subparsers._group_actions
    types = {
        action.type
        for parser in commands.choices.values()
        for action in parser._actions
        if action.type
    }
    assert take_path in types
    for take in types:
        with pytest.raises((ArgumentTypeError, ValueError)):
            take("")


@pytest.mark.parametrize(
    "command",
    [
        ["explain", "a_b.wav", "--match-loudness", "--classifier-from=a_b:c_d"],
        ["explain", "--tables-only", "--compare", "a_b", "--", "--a_b.wav"],
        ["export", "run", "--held-out", "a_b", "--out=a_b"],
    ],
)
def test_a_name_of_an_option_has_hyphens_or_underscores(command):
    parser = cli.build_parser()
    n_options = command.index("--") if "--" in command else len(command)
    options = ("--match-", "--classifier-", "--tables-", "--held-")
    other = [
        word.replace("-", "_").replace("__", "--", 1)
        if word.startswith(options) and place < n_options
        else word
        for place, word in enumerate(command)
    ]
    assert other != command
    assert parser.parse_args(other) == parser.parse_args(command)


def test_all_names_of_options_are_shown_with_hyphens():
    (commands,) = cli.build_parser()._subparsers._group_actions
    for parser in commands.choices.values():
        shown = parser.format_help()
        assert not re.findall(r"--[a-z]+_", shown)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("explain --maps class_share DIR/a.wav", "DIR/a.wav is a file"),
        ("explain --compare gradcam here.wav", "here.wav is a file"),
        ("explain a.wav --compare random calls/*.wav", "*.wav is a file"),
        ("explain --compare random DIR", "DIR is a file"),
        ("explain --compare random sounds", "put FILE first"),
        ("export --held-out a b --out c", "--held-out takes all that follows"),
        ("explain --tables-only", "are required: FILE\n"),
        ("explain a.wav --model b --classifier-from c:d", "not allowed with"),
        ("explain a.wav --options {n_masks:64}", "must be NAME=NUMBER"),
        ("explain a.wav --options n_masks=many", "must be NAME=NUMBER"),
    ],
)
def test_what_a_list_took_is_said(command, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.wav").touch()
    (tmp_path / "sounds").mkdir()
    words = command.replace("DIR", str(tmp_path)).split()
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == cli.WRONG_USE
    assert said.replace("DIR", str(tmp_path)) in capsys.readouterr().err


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["explode"])
    assert stop.value.code == 2
    assert "explode" in capsys.readouterr().err


def test_a_console_without_all_letters_is_no_error(monkeypatch, tmp_path):
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stderr", console)
    assert cli.main(["explain", str(tmp_path / "犬.wav")]) != 0
    console.seek(0)
    assert "\\u72ac.wav" in console.read()
