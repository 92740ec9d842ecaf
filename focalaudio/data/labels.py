r"""`labels -> class ids`: any text that can be seen, each class once.

A label is text, whatever it looks like: `007`, `NA`, `1e5`. Refused, before
any work, is what could not be told apart later: two spellings of one name
(case, composed and decomposed letters, signs that cannot be seen), and what a
published model may not hold (see `focalaudio.models.bundle`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from speechbrain.dataio.encoder import CategoricalEncoder

from focalaudio.data.problems import Problem
from focalaudio.decisions import ONE, SEVERAL, Decision
from focalaudio.errors import DataError
from focalaudio.files import replace_file

LABELS_FILE = "label_encoder.txt"  # as SpeechBrain's recipes call it
MAX_LENGTH = 200  # characters; a bundle's line has at most 500
SELECTORS = re.compile("[\ufe00-\ufe0f]")  # how an emoji is drawn
ARROW = CategoricalEncoder.VALUE_SEPARATOR


class LabelEncoder(CategoricalEncoder):
    """SpeechBrain's, whose file is read again whatever the labels are.

    That file has lines `'label' => 0`, and is cut at the first arrow: here an
    arrow within a label is written as an escape, which SpeechBrain's own
    reader, too, turns back.

    Example
    -------
    >>> encoder = encode_labels(["x => y"])
    >>> path = getfixture("tmp_path") / "label_encoder.txt"
    >>> encoder.save(str(path))
    >>> CategoricalEncoder.from_saved(str(path)).lab2ind
    {'x => y': 0}
    """

    def save(self, path: str) -> None:
        """Write the file, whole or not at all."""
        with replace_file(path) as temporary:
            super().save(str(temporary))
            text = temporary.read_text(encoding="utf-8")
            lines = map(_escape_arrows, text.splitlines(keepends=True))
            temporary.write_text("".join(lines), encoding="utf-8")


class SeveralLabelsEncoder(LabelEncoder):
    """The same, of clips with several labels, or none.

    Example
    -------
    >>> encoder = encode_labels(["dog", "rain"], SEVERAL)
    >>> encoder.encode_label("dog;rain"), encoder.encode_label("")
    ([0, 1], [])
    """

    def encode_label(self, label: str, allow_unk: bool = True) -> Any:
        """Return the class ids of the labels that a cell holds, in order."""
        encode = super().encode_label
        return [encode(each, allow_unk) for each in SEVERAL.split(label)]


def _escape_arrows(line: str) -> str:
    r"""Write the arrows of a label as `\x20=> `; its last is the line's own."""
    literal, arrow, index = line.rpartition(ARROW)
    return re.sub(" (?==> )", r"\\x20", literal) + arrow + index


def encode_labels(
    labels: Sequence[str], decision: Decision = ONE
) -> LabelEncoder:
    """Make SpeechBrain's encoder for labels in the order of their class ids.

    By the `decision` a clip has one label, or several (see
    `SeveralLabelsEncoder`); the file that is saved is the same.

    Example
    -------
    >>> encode_labels(["dog", "rain"]).encode_label("rain")
    1
    """
    several = decision.is_several
    encoder = SeveralLabelsEncoder() if several else LabelEncoder()
    encoder.update_from_iterable(labels)
    encoder.expect_len(len(labels))
    return encoder


def load_labels(path: str | Path) -> tuple[str, ...]:
    """Read a file that `LabelEncoder` saved: labels in the order of class ids.

    Arguments
    ---------
    path : str or pathlib.Path
        Of a `label_encoder.txt` that is there.

    Returns
    -------
    tuple of str
        Of class 0, 1, ...

    Raises
    ------
    DataError
        If the file is damaged.

    Example
    -------
    >>> path = getfixture("tmp_path") / "label_encoder.txt"
    >>> encode_labels(["dog", "rain"]).save(str(path))
    >>> load_labels(path)
    ('dog', 'rain')
    """
    encoder = CategoricalEncoder()
    try:
        encoder.load(str(path))
        return tuple(encoder.ind2lab[i] for i in range(len(encoder.ind2lab)))
    except (KeyError, SyntaxError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} must have lines like 'label' => 0, numbered from 0 "
            f"without gaps: {error!r}"
        ) from error


def label_problems(labels: Iterable[str]) -> list[Problem]:
    r"""Say which labels could not be told apart, seen, or kept.

    Arguments
    ---------
    labels : iterable of str
        Each as often as it likes.

    Returns
    -------
    list
        Of problems for `focalaudio.data.problems.refuse`.

    Example
    -------
    >>> label_problems(["dog", "Dog"])[0][1]
    ["'dog' and 'Dog'"]
    """
    known = list(dict.fromkeys(labels))
    hidden = [ascii(label) for label in known if not _is_visible(label)]
    long = [f"{label[:40]!r} ..." for label in known if len(label) > MAX_LENGTH]
    return [
        (
            "label that differs from another only in case, in how letters are "
            "composed, or in signs that cannot be seen",
            list(_twins(known)),
            "give one class one name",
        ),
        (
            "label that is empty, or holds a line break or a sign that cannot "
            "be seen",
            hidden,
            "rename it",
        ),
        (f"label of over {MAX_LENGTH} characters", long, "shorten it"),
    ]


def show_label(label: str, others: Iterable[str]) -> str:
    r"""Return a label; with all that others hide by looking alike escaped.

    Example
    -------
    >>> print(show_label("b\u00e4r", ["dog"]))
    bär
    >>> print(show_label("b\u00e4r", ["ba\u0308r"]))
    'b\xe4r'
    """
    same = any(_key(label) == _key(other) for other in others if other != label)
    return ascii(label) if same or not _is_visible(label) else label


def _is_visible(label: str) -> bool:
    return bool(label.strip()) and label.isprintable()


def _twins(labels: Sequence[str]) -> Iterator[str]:
    """Yield the labels that look alike, with what differs escaped."""
    alike = defaultdict(list)
    for label in labels:
        alike[_key(label)].append(label)
    for group in alike.values():
        if len(group) > 1:
            yield " and ".join(map(ascii, group))


def _key(label: str) -> str:
    """What is the same for labels that look alike."""
    seen = "".join(sign for sign in label if sign.isprintable())
    seen = SELECTORS.sub("", unicodedata.normalize("NFC", seen))
    return " ".join(unicodedata.normalize("NFC", seen.casefold()).split())
