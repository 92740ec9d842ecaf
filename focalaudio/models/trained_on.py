"""`clips <-> trained_on.txt`: what a bundle was trained on, without names.

A model says more of the clips that trained it than it knows, so who tests a
bundle must see which these were. Their names are nobody's business: the file
holds the beginning of a SHA-256 for each, of its name and label. Who has the
clip finds it again; who has not learns how many there were.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from focalaudio.errors import ModelError
from focalaudio.models.bundle_files import TRAINED_ON

_DIGITS = 16  # of 64: among a million clips no two are alike by chance
_MAX_BYTES = 256_000_000  # fifteen million clips


def fingerprint(name: str, label: str) -> str:
    """Return what stands for a clip: 16 hexadecimal digits.

    Arguments
    ---------
    name : str
        Of its file, below the data folder.
    label : str
        As the data has it.

    Example
    -------
    >>> fingerprint("audio/1.wav", "dog")
    'dce95d7eae455939'
    """
    digest = hashlib.sha256(f"{name}\0{label}".encode(errors="surrogatepass"))
    return digest.hexdigest()[:_DIGITS]


def write_trained_on(clips: Mapping[str, str], folder: Path) -> None:
    """Write the fingerprints of clips, the label of each by its name."""
    lines = sorted(fingerprint(*clip) + "\n" for clip in clips.items())
    (folder / TRAINED_ON).write_text("".join(lines), encoding="ascii")


def read_trained_on(folder: Path) -> frozenset[str]:
    """Read the fingerprints of a bundle; none if it does not say.

    `ModelError` if they are none.
    """
    path = folder / TRAINED_ON
    if not path.is_file():
        return frozenset()
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES or not re.fullmatch(
        rb"(?:[0-9a-f]{%d}\r?\n)*" % _DIGITS, data
    ):
        raise ModelError(
            f"{path} must have {_DIGITS} hexadecimal digits a line, and at "
            f"most {_MAX_BYTES} bytes; fetch the bundle again."
        )
    return frozenset(data.decode("ascii").split())
