"""The commands of the pages, for the tests that read and run them."""

import re
import shlex
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "recipes").glob("*/README.md")),
    ROOT / "focalaudio" / "models" / "default" / "README.md",
]


def commands():
    """Each command of a page's bash blocks: the page's name and the words."""
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
            yield from ((name, words) for words in split(block))


def split(block):
    """Yield the commands of a block; values may have lines of their own.

    What stands between `<<'END'` and `END` is the command's last word.
    """
    block = re.sub(r"<<'(\w+)'\n(.*?)\n\1\n", quote_script, block, flags=re.S)
    block = re.sub(r"(?<!\S)#[^\n]*", "", block).replace("\\\n", " ")
    lexer = shlex.shlex(block, posix=True, punctuation_chars="\n")
    lexer.whitespace, lexer.whitespace_split = " \t\r", True
    for between, words in groupby(lexer, lambda word: set(word) == {"\n"}):
        if not between:
            yield list(words)


def quote_script(match):
    return f"{shlex.quote(match[2])}\n"
