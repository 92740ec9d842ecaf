"""The README's commands, run as they stand there, on small sounds."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from focalaudio.audio import audio_info, write_wav
from focalaudio.data.synthetic import synthesize_clip
from focalaudio.data.voices import CLASSES
from focalaudio.inference.interpreter import SoundInterpreter

ROOT = Path(__file__).parents[1]
TINY = (
    " --clip_seconds 1.0 --image_size '[32, 32]' --batch_size 4"
    " --number_of_epochs 1 --warmup_epochs 0 --device cpu --noprogressbar"
)
TRAINING = "--experiment_name mine"
LABELS = ("dog", "rain")


def blocks(title, language, page="README.md"):
    """The code of one section of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def script():
    """Train, interpret, publish; training made as short as can be."""
    lines = ["set -e", *blocks("Train", "bash"), *blocks("Publish", "bash")]
    return "\n".join(lines).replace(TRAINING, TRAINING + TINY)


@pytest.fixture(scope="module")
def place(tmp_path_factory, clone):
    """A clone with sounds in it, after what the README says was done."""
    folder = clone(tmp_path_factory.mktemp("readme") / "clone")
    for label, voice in zip(LABELS, CLASSES, strict=False):
        for number in range(5):
            path = folder / "sounds" / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            clip = synthesize_clip(voice, number, 0, seconds=1.0)
            write_wav(path, clip.wav, 16000)
    done = subprocess.run(
        ["bash", "-c", script()],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_model_is_trained_interpreted_and_published(place):
    assert TINY in script()
    assert (place / "results/mine/1234/confusion.png").exists()
    assert list((place / "results/interpret").rglob("report.html"))
    assert (place / "bundles/mine/model.safetensors").exists()


def test_what_was_published_is_loaded_as_the_page_says(
    place, tmp_path, monkeypatch
):
    shutil.copytree(place / "bundles/mine", tmp_path / "my_sounds")
    shutil.copy(place / "bundles/mine/example.wav", tmp_path / "clip.ogg")
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("Load", "python", "docs/publish.md")
    names: dict[str, object] = {}
    exec(compile(code, "publish.md", "exec"), names)
    wavs, found = names["wavs"], names["found"]
    assert isinstance(names["model"], SoundInterpreter)
    assert wavs.shape == found.wavs.shape
    assert names["labels"][0] in LABELS


def test_the_lines_to_try_first_explain_a_sound(tmp_path, monkeypatch, capsys):
    (lines,) = blocks("Try it", "python")
    monkeypatch.chdir(tmp_path)
    sound = synthesize_clip(CLASSES[0], 99, 0, seconds=5.0)
    write_wav(tmp_path / "clip.wav", sound.wav, 16000)
    exec(compile(lines, "README.md", "exec"), {})
    assert "clip_kept.wav" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "explained").iterdir()}
    assert written >= {"report.html", "clip.png", "clip_kept.wav", "clips.csv"}
    kept = audio_info(tmp_path / "explained" / "clip_kept.wav")
    assert (kept.n_frames, kept.sample_rate) == (80000, 16000)


def test_the_numbers_stand_in_the_recipe_too():
    """The four rows are copied from the tables that have the intervals."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    recipe = (ROOT / "recipes/ESC50/README.md").read_text(encoding="utf-8")
    rows = [
        re.findall(r"(-?[\d.]+) (?:%|dB)", line)
        for line in text.splitlines()
        if line.startswith("| ") and " dB |" in line
    ]
    assert len(rows) == 4
    for accuracy, truth, pointing, sound in rows:
        for share in (truth, pointing):
            assert f"{float(share) / 100:.3f}" in recipe
        assert f"Accuracy of this seed: .{float(accuracy) * 10:.0f}" in recipe
        assert f"| {sound} [" in recipe
