from pathlib import Path

import pytest
import torch

from focalaudio.audio import audio_info, load_wav, write_wav
from focalaudio.cli import main
from focalaudio.cli.explain import _name_clips
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models import shipped
from focalaudio.report import clips

NAMES = ("a_input.wav", "a_kept.wav", "a_removed.wav", "a.png")


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    monkeypatch.setattr(
        clips, "save_picture", lambda figure, path: Path(path).touch()
    )


def explain(*arguments):
    return main(["explain", *map(str, arguments)])


@pytest.mark.parametrize("source", ["run", "made"])
def test_a_sound_gets_a_label_and_four_files(
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
    assert {line.strip() for line in lines[1:]} == {str(out / n) for n in NAMES}
    assert {path.name for path in out.iterdir()} == set(NAMES)
    assert audio_info(out / "a_kept.wav").n_frames == 8000


def test_a_bad_file_is_reported_and_the_rest_go_on(
    made, sounds, tmp_path, capsys
):
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    files = (tmp_path / "none.wav", bad, *sounds)
    assert explain(*files, "--model", made, "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "none.wav" in said.err
    assert "bad.wav" in said.err
    stems = {p.name for p in (tmp_path / "out").glob("*_kept.wav")}
    assert stems == {"a_kept.wav", "a-2_kept.wav"}


def test_a_target_is_explained_and_named(made, sounds, tmp_path, capsys):
    for target in ("dog", "rain"):
        arguments = (sounds[0], "--model", made, "--target", target)
        assert explain(*arguments, "--out", tmp_path / target) == 0
    said = capsys.readouterr().out
    assert said.count(", explained: ") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "cat"), "it knows dog, rain"),
        (("--quantile", "2"), "quantile=2.0"),
        (("--method", "piq"), "needs a decoder"),
        (("--device", "toaster"), "device='toaster' is not there"),
    ],
)
def test_arguments_that_will_not_do_are_one_line(
    made, sounds, tmp_path, capsys, arguments, said
):
    out = tmp_path / "out"
    assert explain(sounds[0], "--model", made, "--out", out, *arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("focalaudio: ")
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


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


def test_silence_gets_no_class(made, tmp_path, capsys):
    path = write_wav(tmp_path / "silence.wav", torch.zeros(8000), 16000)
    capsys.readouterr()
    assert explain(path, "--model", made, "--out", tmp_path / "out") == 0
    line = capsys.readouterr().out.splitlines()[0]
    label = SoundInterpreter.from_hparams(made).classify_file(path)[3][0]
    assert line == f"{path}: no evidence for any class (closest: {label})"


def test_a_model_that_is_not_there_is_one_line(sounds, tmp_path, capsys):
    assert explain(sounds[0], "--model", tmp_path / "none") == 1
    assert "none is missing" in capsys.readouterr().err


def test_the_quantile_decides_how_much_is_kept(made, sounds, tmp_path):
    kept = []
    for quantile in (0.2, 0.99):
        out = tmp_path / str(quantile)
        arguments = ("--quantile", quantile, "--out", out)
        explain(sounds[0], "--model", made, *arguments)
        kept.append(load_wav(out / "a_kept.wav").norm())
    assert kept[0] > 2 * kept[1]


def test_names_are_distinct_whatever_the_files():
    paths = [Path(p) for p in ("a.wav", "b/a.wav", "a-2.wav", "c/a.flac")]
    names = list(_name_clips(paths))
    assert len(set(names)) == 4
    assert names[:2] == ["a", "a-2"]


def test_a_recording_gets_a_timeline(made, tmp_path, capsys):
    path = write_wav(tmp_path / "long.wav", torch.rand(40000) / 4, 16000)
    capsys.readouterr()
    assert explain(path, "--model", made, "--stream", "--out", tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path}:"
    out = tmp_path / "long"
    names = ("long_kept.wav", "long_windows.csv", "long_labels.txt")
    assert [line.strip() for line in lines[-3:]] == [
        str(out / n) for n in names
    ]
    assert audio_info(out / "long_kept.wav").n_frames == 40000
    assert lines[1].startswith("  0.00 - ")


def test_a_target_does_not_go_with_a_timeline(made, sounds, capsys):
    arguments = ("--model", made, "--stream", "--target", "dog")
    assert explain(sounds[0], *arguments) == 1
    assert "target='dog'" in capsys.readouterr().err
