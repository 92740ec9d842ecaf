"""`run or bundle -> fingerprints`: the clips that trained it, without names.

A model says more of the clips that trained it than it knows, so who tests a
model must see which these were; and those of the model that it started from. In
a bundle their names are nobody's business: `trained_on.txt` holds the beginning
of a SHA-256 for each, of its name and label. Who has the clip finds it again;
who has not learns how many there were.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from focalaudio.errors import ModelError
from focalaudio.models.bundle_files import TRAINED_ON
from focalaudio.models.hub import find_local
from focalaudio.models.run import SETTINGS

BEFORE = "trained_on_before"  # key of a run's settings
_AUDIO = "audio/"  # of ESC-50's layout
_DIGITS = 16  # of 64: among a million clips no two are alike by chance
_MAX_BYTES = 256_000_000  # fifteen million clips


@dataclass(frozen=True)
class TrainedOn:
    """Fingerprints of the clips that trained a model; none if unsaid.

    Arguments
    ---------
    by_run : frozenset of str
        Of a run: its own training clips, from the folds that it names.
    before : frozenset of str
        Those of the model that it started from; all of a bundle's.
    """

    by_run: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()

    def all_clips(self) -> frozenset[str]:
        """Return both."""
        return self.by_run | self.before


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


def find_heard(tested: Mapping[str, str], trained: frozenset[str]) -> list[str]:
    """Return the names of the clips that trained a model.

    ESC-50's layout calls a clip as it is called below `audio/`, a table of the
    same clips as it is below the data folder: both mean that clip.

    Arguments
    ---------
    tested : mapping
        From a clip's name to its label.
    trained : frozenset of str
        Fingerprints.

    Example
    -------
    >>> trained = frozenset([fingerprint("1.wav", "dog")])
    >>> find_heard({"audio/1.wav": "dog", "2.wav": "dog"}, trained)
    ['audio/1.wav']
    """
    return [
        name
        for name, label in tested.items()
        if {fingerprint(each, label) for each in _namings(name)} & trained
    ]


def _namings(name: str) -> tuple[str, str]:
    """Return a clip's name, and what the other of the two calls it."""
    inner = name.removeprefix(_AUDIO)
    return name, f"{_AUDIO}{name}" if inner == name else inner


def write_trained_on(prints: Iterable[str], folder: Path) -> None:
    """Write fingerprints into a bundle."""
    lines = sorted(f"{one}\n" for one in prints)
    (folder / TRAINED_ON).write_text("".join(lines), encoding="ascii")


def read_trained_on(source: str | Path) -> TrainedOn:
    """Read which clips trained a model, and the one that it started from.

    Arguments
    ---------
    source : str or pathlib.Path
        A run, a bundle, or a name on the hub that was fetched before; of
        anything else there is nothing to be known, and nothing is fetched.

    Raises
    ------
    ModelError
        If the record is damaged.
    """
    place = find_local(source)
    if place is None or not place.is_dir():
        return TrainedOn()
    return _read_run(place) if _is_run(place) else _read_bundle(place)


def _is_run(place: Path) -> bool:
    return (place / "save").is_dir()


def _read_bundle(folder: Path) -> TrainedOn:
    path = folder / TRAINED_ON
    if not path.is_file():
        return TrainedOn()
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES or not re.fullmatch(
        rb"(?:[0-9a-f]{%d}\r?\n)*" % _DIGITS, data
    ):
        raise ModelError(
            f"{path} must have {_DIGITS} hexadecimal digits a line, and at "
            f"most {_MAX_BYTES} bytes; fetch the bundle again."
        )
    return TrainedOn(before=frozenset(data.decode("ascii").split()))


def _read_run(run: Path) -> TrainedOn:
    """Read the newest checkpoint's settings."""
    records = sorted((run / "save").glob(f"CKPT+*/{SETTINGS}"))
    if not records:
        return TrainedOn()
    try:
        content = json.loads(records[-1].read_text(encoding="utf-8"))
        rows = content.get("rows", {}).get("train", {})
        own = frozenset(fingerprint(*clip) for clip in rows.items())
        return TrainedOn(own, frozenset(content.get(BEFORE, ())))
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{records[-1]} is damaged ({error!r}); remove its folder."
        ) from error
