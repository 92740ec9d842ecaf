"""Laws of focalaudio.values: what a file's keys are given is of their kinds."""

import json

import pytest
from hyperpyyaml import load_hyperpyyaml

from focalaudio.overrides import take_overrides
from focalaudio.values import COUNTS, FOLDERS, NUMBERS, fit_values, read_file

FILE = """
report: True
freeze: False
lr: 0.1
epochs: 3
columns: {}
kinds: [own, blobs]
compare: []
name: null
max_clips: null
made: !new:torch.nn.Dropout {p: !ref <lr>}
"""


def fit(*argv, text=FILE, **more):
    """What a recipe gets of a command line: keys, and the values of a file."""
    _, overrides = take_overrides(["x.yaml", *argv])
    overrides, values = fit_values("x.yaml", text, overrides, **more)
    return load_hyperpyyaml(text, overrides), values


@pytest.mark.parametrize("key", ["report", "freeze"])
@pytest.mark.parametrize(
    ("word", "value"),
    [("yes", True), ("on", True), ("true", True), ("no", False)]
    + [("off", False), ("false", False), ("'no'", False)],
)
def test_a_switch_is_on_or_off_however_it_is_said(key, word, value):
    for said in (word, word.upper(), word.title()):
        hparams, values = fit("--lr", "1", f"--{key}", said, "--epochs", "1")
        assert hparams[key] is values[key] is value
        assert (hparams["lr"], hparams["epochs"]) == (1, 1)


@pytest.mark.parametrize("words", [["maybe"], ["1"], ["[no]"], ["null"], []])
def test_what_is_no_switch_is_named(words):
    shown = words[0] if words else "null"
    with pytest.raises(ValueError, match="--report .* be True or False.$") as e:
        fit("--report", *words)
    assert f"--report {shown} must" in str(e.value)


def test_every_switch_of_a_command_is_its_own():
    hparams, _ = fit("--freeze", "yes", "--name", "no", "--report", "off")
    assert (hparams["freeze"], hparams["report"]) == (True, False)
    assert hparams["name"] == "no"  # no switch in the file: a name


def test_a_reference_is_what_it_refers_to():
    hparams, _ = fit("--report", "!ref <freeze>", "--freeze", "yes")
    assert hparams["report"] is True


@pytest.mark.parametrize(
    ("said", "example"),
    [
        ("path: file", "{path: file}"),
        ("path", "{key: value}"),
        ("3", "{key: value}"),
        ("[path, file]", "{key: value}"),
    ],
)
def test_what_is_no_mapping_is_named(said, example):
    with pytest.raises(ValueError, match="--columns .* a mapping") as error:
        fit("--columns", said)
    assert str(error.value) == (
        f'--columns {said} must be a mapping, such as "{example}".'
    )


def test_a_mapping_is_one_and_null_is_none():
    assert fit("--columns", "{path: file}")[0]["columns"] == {"path": "file"}
    assert fit("--columns", "null")[0]["columns"] is None


def test_a_single_mapping_is_a_list_of_one():
    hparams, values = fit("--compare", "{method: [a]}", "--report", "no")
    assert hparams["compare"] == values["compare"] == [{"method": ["a"]}]
    assert hparams["report"] is False


@pytest.mark.parametrize("said", ["own", "[own]", "null", "3"])
def test_a_single_value_stays_what_it_is(said):
    """Who takes it for a list of one goes on to do so."""
    wanted = load_hyperpyyaml(FILE, f"kinds: {said}")["kinds"]
    assert fit("--kinds", said)[0]["kinds"] == wanted


@pytest.mark.parametrize("key", ["name", "made"])
def test_a_mapping_is_no_single_value(key):
    with pytest.raises(ValueError, match=f"--{key} {{a: 1}} must be a single"):
        fit(f"--{key}", "{a: 1}")


@pytest.mark.parametrize("said", ["two", "-1", "1.5", "True", "[1]"])
@pytest.mark.parametrize("key", sorted(COUNTS))
def test_a_count_is_a_whole_number_from_0(key, said):
    with pytest.raises(ValueError, match=f"--{key} .* must be a whole number"):
        fit(f"--{key}", said, text=f"{key}: null")
    for value in (0, None):
        hparams, _ = fit(f"--{key}", json.dumps(value), text=f"{key}: null")
        assert hparams == {key: value}


@pytest.mark.parametrize("key", NUMBERS)
def test_a_number_is_one_though_the_file_has_null(key):
    with pytest.raises(ValueError, match=f"--{key} 5dB must be a number"):
        fit(f"--{key}", "5dB", text=f"{key}: null")
    assert fit(f"--{key}", "-5", text=f"{key}: null")[0] == {key: -5}


def test_what_is_left_to_the_user_is_asked_for():
    text = (
        "data_folder: !PLACEHOLDER\nclassifier: !PLACEHOLDER\nx: !PLACEHOLDER"
    )
    with pytest.raises(ValueError, match="leaves data_folder and classifier"):
        fit("--x", "1", text=text)
    with pytest.raises(ValueError, match="give --data_folder FOLDER .of soun"):
        fit("--x", "1", "--classifier", "run", text=text)
    with pytest.raises(ValueError, match="leaves x to you: give --x VALUE"):
        fit("--data_folder", "d", "--classifier", "run", text=text)
    given = ["--x", "1", "--data_folder", "d", "--classifier", "run"]
    assert fit(*given, text=text)[0]["x"] == 1


def test_the_file_of_another_recipe_is_told_by_what_it_lacks():
    needed = {"own": "hparams/own.yaml", "needed": ["a", "report", "b"]}
    with pytest.raises(ValueError, match=r"x.yaml has no a, b, .*hparams/own"):
        fit("--numbr", "1", **needed)
    assert fit(**(needed | {"needed": ["made", "report"]}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [1", "x.yaml, line 2: .*no YAML"),
        ("- a", "x.yaml holds no keys"),
        ("", "--report is no key"),
    ],
)
def test_a_file_that_is_no_yaml_of_keys_is_named(text, said):
    with pytest.raises(ValueError, match=said) as error:
        fit("--report", "no", text=text)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_says_what_to_give(tmp_path):
    (tmp_path / "sound.wav").write_bytes(b"RIFF\xff")
    for name in ("nix.yaml", ".", "sound.wav"):
        with pytest.raises(ValueError, match="cannot be read: .*hparams/b"):
            read_file(tmp_path / name, "hparams/b.yaml")


@pytest.mark.parametrize("key", sorted(FOLDERS))
def test_a_folder_is_not_nothing(key):
    with pytest.raises(ValueError, match=f"--{key} null must be a folder"):
        fit(f"--{key}", "null", text=f"{key}: results")
    assert fit(f"--{key}", "3", text=f"{key}: results")[0] == {key: "3"}
