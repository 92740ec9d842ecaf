"""The README's commands, run as they stand there, on small sounds."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from focalaudio.audio import audio_info, write_wav
from focalaudio.data.synthetic import synthesize_clip, write_dataset
from focalaudio.data.voices import CLASSES

ROOT = Path(__file__).parents[1]
SECTION = "## Use, publish and load a model"
TINY = (
    " --clip_seconds 1.0 --image_size '[32, 32]' --batch_size 4"
    " --number_of_epochs 1 --warmup_epochs 0 --device cpu --noprogressbar"
)
TRAINING = "--experiment_name my_sounds"


def section(title=SECTION):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.split(title)[1].split("\n## ")[0]


def script():
    """The section as one script; training made as short as can be."""
    blocks = re.findall(r"```(bash|python)\n(.*?)```", section(), re.DOTALL)
    lines = ["set -e"]
    for language, text in blocks:
        if language == "python":
            text = f"python - <<'END'\n{text}END\n"
        lines.append(text.replace(TRAINING, TRAINING + TINY))
    return "\n".join(lines)


@pytest.fixture
def place(tmp_path, clone):
    """A clone with its environment, data and a sound where the README says."""
    clone(tmp_path / "clone")
    write_dataset(
        tmp_path / "shared" / "data" / "ESC-10",
        clips_per_class=5,
        seed=0,
        seconds=1.0,
        classes=CLASSES[:3],
    )
    own = synthesize_clip(CLASSES[0], 99, 0, seconds=1.5)
    write_wav(tmp_path / "elsewhere" / "clip.wav", own.wav, 16000)
    return tmp_path / "clone"


def test_a_model_is_trained_published_loaded_and_used(place):
    done = subprocess.run(
        ["bash", "-c", script()],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    elsewhere = place.parent / "elsewhere"
    assert (elsewhere / "my_sounds" / "model.safetensors").exists()
    written = {path.name for path in (elsewhere / "explained").iterdir()}
    parts = {f"clip_{part}.wav" for part in ("input", "kept", "removed")}
    tables = {"clips.csv", "boxes.csv", "report.html", "clip_boxes.txt"}
    assert parts | tables | {"clip.png"} <= written
    kept = audio_info(elsewhere / "explained" / "clip_kept.wav")
    assert (kept.n_frames, kept.sample_rate) == (24000, 16000)
    assert re.search(r"clip\.wav: \w+ \(0\.\d+\)", done.stdout)


def test_the_section_names_what_it_says_it_does():
    commands = script()
    for part in ("train_classifier.py", "export", "from_hparams", "explain"):
        assert commands.count(part) >= 1
    assert TINY in commands


def test_the_lines_to_try_first_explain_a_sound(tmp_path, monkeypatch, capsys):
    (lines,) = re.findall(
        r"```python\n(.*?)```", section("## Try it"), re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    sound = synthesize_clip(CLASSES[0], 99, 0, seconds=5.0)
    write_wav(tmp_path / "clip.wav", sound.wav, 16000)
    exec(compile(lines, "README.md", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("<Interpretation of 1 clip: ")
    assert {p.name for p in (tmp_path / "explained").iterdir()} >= {
        "clips.csv",
        "boxes.csv",
        "clip_1_kept.wav",
    }
