"""What `focalaudio explain` says and returns; its results: inference tests."""

import csv
import re
from itertools import chain
from pathlib import Path

import pytest
import torch

from focalaudio.audio import audio_info, load_wav, write_wav
from focalaudio.cli import build_parser, main
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models import shipped
from focalaudio.report import clips

NAMES = {
    "a_input.wav",
    "a_kept.wav",
    "a_removed.wav",
    "a.png",
    "a_boxes.txt",
    "a.Table.1.selections.txt",
}
ODD = "odd\x1b[2J\u202ename.wav"


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(
        clips, "save_picture", lambda figure, path: Path(path).touch()
    )


def explain(*arguments):
    return main(["explain", *map(str, arguments)])


@pytest.mark.parametrize("source", ["run", "made"])
def test_a_sound_gets_a_label_and_its_files(
    source, request, sounds, tmp_path, capsys
):
    model = request.getfixturevalue(source)
    out = tmp_path / "out"
    capsys.readouterr()  # what making the bundle printed
    assert explain(sounds[0], "--model", model, "--out", out) == 0
    _, score, _, labels = SoundInterpreter.from_hparams(model).classify_file(
        sounds[0]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{sounds[0]}: {labels[0]} ({score.item():.3f})"
    start = lines.index("Open:")
    assert {line.strip() for line in lines[1:start]} == {
        str(out / n) for n in NAMES
    }
    opened = {line.strip() for line in lines[start + 1 :]}
    tables = ("clips.csv", "boxes.csv", "report.html")
    assert opened == {str(out / name) for name in tables}
    assert all(Path(path).is_file() for path in opened)
    assert audio_info(out / "a_kept.wav").n_frames == 8000


def test_bad_files_are_reported_listed_and_the_rest_go_on(
    made, sounds, tmp_path, capsys
):
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    files = (tmp_path / "none.wav", bad, *sounds)
    out = tmp_path / "out"
    assert explain(*files, "--model", made, "--out", out, "--tables-only") == 1
    said = capsys.readouterr()
    *_, count, first, second = said.err.splitlines()
    assert count == "Failed: 2"
    assert [first.strip(), second.strip()] == [str(path) for path in files[:2]]
    assert {path.name for path in out.glob("*_boxes.txt")} == {
        "a_boxes.txt",
        "a-2_boxes.txt",
    }
    assert (out / "failed.csv").exists()


def test_a_folder_goes_on_and_says_what_was_left_out(
    made, sounds, tmp_path, capsys
):
    folder = sounds[0].parents[1]
    (folder / "notes.txt").touch()
    out = tmp_path / "out"
    command = (folder, "--model", made, "--out", out, "--tables-only")
    assert explain(*command) == 0
    assert "Left out of folders: 1 not of sound." in capsys.readouterr().out
    assert explain(*command) == 0
    assert "Done before, and kept as they are: 2" in capsys.readouterr().out
    assert explain(*command, "--quantile", "0.5") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"focalaudio: {out} holds results with ")
    assert error.count("\n") == 1


def test_a_class_may_be_given_by_its_id(made, sounds, tmp_path):
    out = ("--out", tmp_path / "out", "--tables-only")
    command = (sounds[0], "--model", made, *out, "--target")
    assert explain(*command, "1") == 0
    assert "rain" in (tmp_path / "out" / "a_boxes.txt").read_text()
    assert explain(*command, "rain") == 0  # the same


def test_options_of_a_method_are_used_and_gone_on_with(
    made, sounds, tmp_path, capsys
):
    out = ("--out", tmp_path / "out", "--tables-only")
    command = (sounds[0], "--model", made, *out, "--method", "rise")
    few = ("--options", "n_masks=2", "seed=3")
    assert explain(*command, *few) == 0
    model = SoundInterpreter.from_hparams(made)
    options = {"n_masks": 2, "seed": 3}
    found = model.explain_file(sounds[0], method="rise", options=options)
    with (tmp_path / "out" / "clips.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    kept = float(found.kept_energy[0])
    assert float(row["kept_energy"]) == pytest.approx(kept, abs=1e-5)
    capsys.readouterr()
    assert explain(*command, *few) == 0
    assert "Done before" in capsys.readouterr().out
    assert explain(*command, "--options", "n_masks=2") == 1
    assert "seed=3, not 0" in capsys.readouterr().err
    stream = ("--out", tmp_path / "long", "--stream", *few)
    assert explain(*command[:3], "--method", "rise", *stream) == 0


def test_maps_and_methods_are_listed_as_in_a_yaml_file_too():
    taken = [
        build_parser().parse_args(["explain", "a", "--maps", *words]).maps
        for words in (
            ["x", "y"],
            ["x,y"],
            ["[x, y]"],
            ["[x,", "y]"],
        )
    ]
    assert {tuple(chain.from_iterable(each)) for each in taken} == {("x", "y")}


def test_foreign_text_is_shown_escaped(made, sounds, tmp_path, capsys):
    names = [tmp_path / ODD, tmp_path / f"bad{ODD}"]
    names[0].write_bytes(sounds[0].read_bytes())
    names[1].write_text("no sound")
    capsys.readouterr()
    out = ("--out", tmp_path / "out", "--tables-only")
    assert explain(*names, "--model", made, *out) == 1
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert all(line.isprintable() for line in text.splitlines())
        assert "odd\\x1b[2J\\u202ename.wav" in text


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("--target", "cat"), "it knows dog, rain", 2),
        (("--quantile", "2"), "quantile=2.0", 2),
        (("--method", ""), "method='' must be", 2),
        (("--against", "dog"), "means nothing to stage_2", 2),
        (("--compare", "x"), "compare='x'", 2),
        (("--options", "n_masks=8"), "n_masks=8 means nothing to method=", 2),
        (
            ("--method", "rise", "--options", "n_masks=0"),
            "n_masks=0 must be at least 1",
            2,
        ),
        (("--method", "piq"), "needs a decoder", 1),
        (("--device", "toaster"), "device='toaster' is not there", 2),
    ],
)
def test_arguments_that_will_not_do_are_one_line(
    made, sounds, tmp_path, capsys, arguments, said, code
):
    out = tmp_path / "out"
    status = explain(sounds[0], "--model", made, "--out", out, *arguments)
    assert status == code
    error = capsys.readouterr().err
    assert error.startswith("focalaudio: ")
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("method", ["piq", "lmac"])
@pytest.mark.parametrize("option", ["--method", "--compare"])
def test_a_decoder_is_asked_for_by_a_command_that_takes_it(
    made, sounds, tmp_path, capsys, option, method
):
    out = ("--out", tmp_path / "out")
    assert explain(sounds[0], "--model", made, *out, option, method) == 1
    error = capsys.readouterr().err
    (advised,) = re.findall(r"\((focalaudio [^)]*)\)", error)
    arguments = build_parser().parse_args(advised.split()[1:])
    assert arguments.command == "export"
    assert getattr(arguments, method)


def test_a_folder_without_sounds_is_wrong_use(made, tmp_path, capsys):
    assert explain(tmp_path, "--model", made, "--out", tmp_path / "out") == 2
    assert "holds no sound" in capsys.readouterr().err


def test_a_target_is_explained_and_named(made, sounds, tmp_path, capsys):
    for target in ("dog", "rain"):
        arguments = (sounds[0], "--model", made, "--target", target)
        out = ("--out", tmp_path / target, "--tables-only")
        assert explain(*arguments, *out) == 0
    said = capsys.readouterr().out
    assert said.count(", explained: ") == 1


def test_without_a_model_the_default_answers(
    made, sounds, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(shipped, "DEFAULT", made)
    for out, model in (("a", ()), ("b", ("--model", made))):
        assert explain(sounds[0], *model, "--out", tmp_path / out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[len(lines) // 2]
    kept = [load_wav(tmp_path / out / "a_kept.wav") for out in "ab"]
    assert torch.equal(*kept)


def test_an_installation_without_a_model_is_one_line(
    sounds, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(shipped, "DEFAULT", tmp_path / "default")
    assert explain(sounds[0], "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "this installation has no model of its own" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("level", "rate"), [(0.0, 16000), (0.5, 16000), (0.5, 44100), (-0.9, 8000)]
)
def test_silence_gets_no_class(made, tmp_path, capsys, level, rate):
    constant = torch.full((rate // 2,), level)
    path = write_wav(tmp_path / "silence.wav", constant, rate)
    capsys.readouterr()
    out = ("--out", tmp_path / "out", "--tables-only")
    assert explain(path, "--model", made, *out) == 0
    line = capsys.readouterr().out.splitlines()[0]
    label = SoundInterpreter.from_hparams(made).classify_file(path)[3][0]
    assert line == f"{path}: no evidence for any class (closest: {label})"


def test_a_model_that_is_not_there_is_one_line(sounds, tmp_path, capsys):
    assert explain(sounds[0], "--model", tmp_path / "none") == 1
    assert "none is missing" in capsys.readouterr().err


@pytest.mark.parametrize("n_samples", [40000, 12500])
def test_what_is_long_is_streamed_without_being_asked(
    made, tmp_path, capsys, n_samples
):
    path = write_wav(tmp_path / "long.wav", torch.rand(n_samples) / 4, 16000)
    capsys.readouterr()
    out = tmp_path / "out"
    assert explain(path, "--model", made, "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{path}: ")
    assert f" of {n_samples / 16000:.1f} s (" in lines[0]
    kept = out / "long" / "long_kept.wav"
    assert f"  {kept}" in lines
    assert audio_info(kept).n_frames == n_samples
    assert (out / "report.html").exists()


def test_up_to_one_and_a_half_clips_are_one_clip(made, tmp_path):
    path = write_wav(tmp_path / "a.wav", torch.rand(11900) / 4, 16000)
    out = ("--out", tmp_path / "out", "--tables-only")
    assert explain(path, "--model", made, *out) == 0
    assert (tmp_path / "out" / "a_boxes.txt").exists()
    assert (
        explain(path, "--model", made, *out[:1], tmp_path / "b", "--stream")
        == 0
    )
    assert (tmp_path / "b" / "a" / "a_kept.wav").exists()
