"""`nothing -> clips`: real recordings that come with the package.

Clips of fold 5 of ESC-10 (K. J. Piczak, ACM Multimedia 2015, CC BY),
brought to one channel and 16 kHz. `examples/ATTRIBUTION.csv` says who recorded
each of them, and under which licence.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Example:
    """A clip that comes with the package.

    Arguments
    ---------
    path : pathlib.Path
        The file.
    label : str
        What is heard.
    author : str
        Who recorded it.
    license : str
        `CC0` or `CC-BY`.
    source : str
        Where the whole recording is.
    """

    path: Path
    label: str
    author: str
    license: str
    source: str

    def credit(self) -> str:
        """Return who made it, in a line."""
        return f"{self.path.name}: {self.author}, {self.license}, {self.source}"


def list_examples() -> list[Example]:
    """List the clips that come with the package.

    Returns
    -------
    list of Example
        In the order of `ATTRIBUTION.csv`.

    Raises
    ------
    FileNotFoundError
        If this installation has none.

    Example
    -------
    >>> print(list_examples()[0].credit())
    dog.flac: MisterTood, CC0, http://www.freesound.org/people/...
    """
    with open(FOLDER / "ATTRIBUTION.csv", encoding="utf-8", newline="") as file:
        return [
            Example(
                FOLDER / row["filename"],
                row["label"],
                row["author"],
                row["license"],
                row["source"],
            )
            for row in csv.DictReader(file)
        ]
