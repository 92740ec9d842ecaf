"""`source -> path, or owner/name of a hub`, by its form only."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

COMMIT = re.compile("[0-9a-f]{40}")
_REVISION = re.compile(r"\w[\w./-]{0,99}", re.ASCII)
_PAGE = re.compile(  # of a model, as a browser shows its address
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([^/?#@]+/[^/?#@]+?)"
    r"(?:/tree/([^/?#]+))?/?(?:[?#].*)?"
)


@dataclass(frozen=True)
class HubSource:
    """A repository of a hub at a revision.

    Arguments
    ---------
    name : str
        `owner/name`.
    revision : str
        A branch, a tag or a commit.
    """

    name: str
    revision: str


def parse_source(
    source: str | os.PathLike[str], revision: str | None = None
) -> Path | HubSource:
    """Tell a path from a hub's name, by its form only.

    `owner/name` or `owner/name@revision` is a hub's, whatever folders there
    are, and so is the address of its page, `https://huggingface.co/owner/name`.
    All else is a path: `./x`, `/x`, more than one slash, or an `os.PathLike`.
    The revision is `main` if neither argument says one; a
    `ValueError` if it has no meaning here, or there are two.

    Example
    -------
    >>> parse_source("owner/name@v1")
    HubSource(name='owner/name', revision='v1')
    >>> isinstance(parse_source("./owner/name"), Path)
    True
    """
    if isinstance(source, str):
        source = _from_page(source)
    name, at, pinned = str(source).partition("@")
    if isinstance(source, os.PathLike) or not _is_hub_name(name, at, pinned):
        if revision is not None:
            raise ValueError(
                f"{revision=} is for a hub's owner/name, but {source} is a "
                "path; leave it out."
            )
        return Path(source).expanduser()
    if at and revision not in (None, pinned):
        raise ValueError(f"{revision=} contradicts {source=}; give one.")
    revision = pinned or revision or constants.DEFAULT_REVISION
    return HubSource(name, check_revision(revision))


def check_hub_name(name: str) -> None:
    """Refuse what cannot be a repository's name, by a `ValueError`.

    Example
    -------
    >>> check_hub_name("owner/name")
    >>> check_hub_name("name")
    Traceback (most recent call last):
    ValueError: name='name' must be a hub's owner/name.
    """
    if not _is_hub_name(name):
        raise ValueError(f"{name=} must be a hub's owner/name.")


def check_revision(revision: str) -> str:
    """Return a revision; refuse what cannot be one, by a `ValueError`.

    Example
    -------
    >>> check_revision("refs/pr/1")
    'refs/pr/1'
    """
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise ValueError(
            f"{revision=} must be a branch, a tag or a commit: at most 100 "
            "letters, digits or _ . / -, with a letter first."
        )
    return revision


def _from_page(source: str) -> str:
    """Return what a model's page is called; other text as it is."""
    page = _PAGE.fullmatch(source.strip())
    if page:
        return f"{page[1]}@{page[2]}" if page[2] else page[1]
    if re.match(r"\w+://", source):
        raise ValueError(
            f"{source=} is no address of a model on the hub; give owner/name, "
            "or a folder."
        )
    return source


def _is_hub_name(name: str, at: str = "", revision: str = "") -> bool:
    """Whether this has the form of `owner/name`, `@revision` apart."""
    if name.count("/") != 1 or "/" in revision or bool(at) != bool(revision):
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return all(part[:1].isalnum() for part in name.split("/"))
