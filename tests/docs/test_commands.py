"""Every command of the pages is one that its script or parser takes.

What is short enough is run, too: see test_tutorial, test_how_to_add,
test_own_classifier and tests/recipes/test_own_data.py.
"""

import re
import shlex
from pathlib import Path

import pytest
import speechbrain as sb

from focalaudio.audio import write_wav
from focalaudio.cli import build_parser
from focalaudio.data.synthetic import synthesize_clip
from focalaudio.data.voices import CLASSES

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "recipes").glob("*/README.md")),
    ROOT / "focalaudio" / "models" / "default" / "README.md",
]


def commands():
    """Each command of a page's bash blocks, as words."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
            for words in split(block):
                yield pytest.param(words, id=f"{page.name}: {words[0]}")


def split(block):
    """Yield the commands of a block; values may have lines of their own."""
    lexer = shlex.shlex(block.replace("\\\n", " "), posix=True)
    lexer.whitespace_split, lexer.whitespace = True, " \t\r"
    words = []
    for word in [*lexer, "\n"]:
        first, *rest = re.split(r"\n(?![^\[]*\])", word)
        words += [first] if first else []
        for each in rest:
            if words:
                yield words
            words = [each] if each else []


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
    end = next((p for p, w in enumerate(words) if w.startswith("#")), None)
    assert build_parser().parse_args(words[1:end]).run


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
