"""The page on encoders and interpreters of one's own, word for word."""

import re
from pathlib import Path

import pytest
import torch

from focalaudio.audio import write_wav
from focalaudio.interpreters.threshold import METHODS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to-add.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def known(tmp_path, monkeypatch):
    """What the page's blocks leave, one after the other."""
    wavs = 0.1 * torch.randn(2, 80000)
    write_wav(tmp_path / "clip.wav", wavs[0], 16000)
    monkeypatch.chdir(tmp_path)
    names = {"wavs": wavs}
    steps = []
    for code in BLOCKS:
        exec(compile(code, "how-to-add.md", "exec"), names)
        steps.append(dict(names))
    yield steps
    METHODS.pop("above")


def test_a_method_is_known_where_one_asks_for_it(known):
    found = known[1]["found"]
    lowest = round(3000 / 8000 * 512)
    assert not found.saliency[..., :lowest].any()
    assert found.mask[..., lowest:].any()


def test_an_interpreter_keeps_and_removes_the_whole(known):
    found, wavs = known[2]["found"], known[2]["wavs"]
    total = found.wavs + found.removed_wavs
    torch.testing.assert_close(total, wavs, atol=1e-5, rtol=0)
    assert known[2]["kept"].shape == known[2]["removed"].shape == (2, 10)


def test_the_files_it_names_are_there():
    for name in re.findall(r"`((?:focalaudio|tests)/[\w/.]+)`", TEXT):
        assert (ROOT / name).exists(), name
