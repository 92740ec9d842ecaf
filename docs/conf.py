"""How Sphinx builds these pages; see `make docs`."""

import os
import re
import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

from focalaudio.version import __version__  # noqa: E402

project = "focalaudio"
author = "the authors of focalaudio"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"focalaudio {release}"

# Docstrings: numpy's headings, single backticks for code
default_role = "code"
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
# each name once, where it is defined
autodoc_default_options = {"ignore-module-all": True}
autodoc_typehints = "none"  # the docstrings say more: shapes, units, ranges
apidoc_modules = [
    {
        "path": "../focalaudio",
        "destination": "api",
        "separate_modules": True,
        "module_first": True,
    }
]

# Pages that are files elsewhere in the repository, where people look for them
ELSEWHERE = {
    "readme": "README.md",
    "esc50": "recipes/ESC50/README.md",
    "fsdd": "recipes/FSDD/README.md",
    "model_card": "focalaudio/models/default/README.md",
    "security": "SECURITY.md",
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
}
LINK = re.compile(r"(!?\[[^]]+\])\(([^)#]*)([^)]*)\)")


def _read_page(app, name, source):
    """Take a page from elsewhere, and let links lead to pages."""
    path = DOCS / f"{name}.md"
    pages = {
        ROOT / file: DOCS / f"{page}.md" for page, file in ELSEWHERE.items()
    }
    if name in ELSEWHERE:
        path = ROOT / ELSEWHERE[name]
        source[0] = path.read_text(encoding="utf-8")

    def relink(match):
        text, target, anchor = match.groups()
        if "://" in target or not target:
            return match[0]
        found = (path.parent / target).resolve()
        found = pages.get(found, found)
        if not found.is_relative_to(DOCS):
            return text.strip("![]")  # a file that is no page
        return f"{text}({os.path.relpath(found, DOCS)}{anchor})"

    if path.exists():
        source[0] = LINK.sub(relink, source[0])


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", _read_page)
