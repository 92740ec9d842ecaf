"""Every command of the pages is one that its script or parser takes.

They are run, too: see tests/recipes/test_pages.py.
"""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import speechbrain as sb

from focalaudio.audio import write_wav
from focalaudio.cli import build_parser
from focalaudio.data.synthetic import synthesize_clip
from focalaudio.data.voices import CLASSES

pages = SimpleNamespace(**runpy.run_path(Path(__file__).with_name("pages.py")))
ROOT = pages.ROOT


def commands():
    """Each command as its words."""
    for page, words in pages.commands():
        yield pytest.param(words, id=f"{page}: {words[0]}")


def of(kind):
    found = [each for each in commands() if kind(each.values[0])]
    assert found
    return found


def find(words, ending):
    return next(p for p, word in enumerate(words) if word.endswith(ending))


@pytest.mark.parametrize(
    "words", of(lambda w: any(re.search(r"recipes/.*\.py$", x) for x in w))
)
def test_a_recipe_knows_the_options_that_it_is_given(words):
    start = find(words, ".py")
    script, yaml, *argv = words[start:]
    assert (ROOT / script).exists()
    text = (ROOT / yaml).read_text(encoding="utf-8")
    keys = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    _, run_opts, overrides = sb.parse_arguments([yaml, *argv])
    given = set(re.findall(r"^(\w+):", overrides, re.MULTILINE))
    assert given <= keys, given - keys


@pytest.mark.parametrize("words", of(lambda w: Path(w[0]).name == "focalaudio"))
def test_the_command_takes_what_it_is_given(words):
    assert build_parser().parse_args(words[1:]).run


@pytest.mark.parametrize("words", of(lambda w: w[0].endswith("python")))
def test_scripts_are_there(words):
    scripts = [w for w in words if w.endswith(".py")]
    assert all((ROOT / script).exists() for script in scripts)


@pytest.fixture
def place(tmp_path, monkeypatch):
    sound = synthesize_clip(CLASSES[0], 99, 0, seconds=5.0)
    write_wav(tmp_path / "dog.wav", sound.wav, 16000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("page", "left"),
    [("explain.md", "explained/clips.csv"), ("report.md", "report.html")],
)
def test_the_lines_of_a_page_run(page, left, place):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, page, "exec"), {})
    assert (place / left).exists()
