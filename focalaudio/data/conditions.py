"""`fold -> fold under another condition`, where what sounds is known.

Interpreters are tested on clips as they are, and on what a classifier was not
trained on: two clips at once (arXiv 2403.13086 takes ESC-50 mixtures), one
after the other, white noise, or sounds of any folder. Each clip then gives
`first` and `second` too, its two sources, and `other_target`. Clips in which a
person marked what sounds give `boxes` instead.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.encoder import CategoricalEncoder
from torch import Tensor

from focalaudio.audio import list_sounds, load_wav
from focalaudio.data.annotations import (
    UNKNOWN,
    encode_boxes,
    find_annotations,
    read_annotations,
)
from focalaudio.data.labels import SeveralLabelsEncoder
from focalaudio.data.pipelines import ClipReader, need_clips
from focalaudio.decisions import ONE, SEVERAL
from focalaudio.errors import DataError
from focalaudio.mixtures import Mixture, add_up, concatenate, mix, pair_up
from focalaudio.waveforms import fit_length

ANNOTATIONS = "annotations"  # the condition without mixtures
N_PARTNERS = 2  # of each clip, if nothing is said
USES = {  # what else of the command line each condition has a use for
    "clean": (),
    ANNOTATIONS: (),
    "overlap": ("snr", "n_partners"),
    "concat": ("snr", "n_partners"),
    "noise": ("snr",),
    "folder": ("snr", "added_folder"),
    "stems": (),
}
NO_BOX = [0.0, 0.0, 0.0, 0.0, UNKNOWN]  # of no duration, as padding is
Row = dict[str, Any]


def build_condition(
    dataset: DynamicItemDataset | None,
    reader: ClipReader,
    encoder: CategoricalEncoder,
    condition: str = "clean",
    snr: float | None = None,
    folder: str | Path | None = None,
    n_partners: int | None = None,
) -> DynamicItemDataset:
    """Put a fold under a condition.

    - `clean`: the clips as they are, without sources;
    - `overlap`: two clips of different classes at once;
    - `concat`: the first half of one clip, then that of another;
    - `noise`: white noise added to each clip;
    - `folder`: sounds of a folder added to each clip, speech for example;
    - `stems`: the clips as they are, whose events are known from `stems/`
      beside `audio/`, as in the synthetic set;
    - `annotations`: the clips as they are, with the boxes that a person marked
      in a table beside each of them (see `focalaudio.data.annotations`).

    Which clips are paired, and the noise, are the same every time.

    Arguments
    ---------
    dataset : DynamicItemDataset
        One split of `focalaudio.data.folders.open_data`; a `DataError` if it is
        None, since no fold was named.
    reader : ClipReader
        Reads the sounds that are added, as it read the clips.
    encoder : CategoricalEncoder
        From labels to class ids, of the same data.
    condition : str
        One of the above.
    snr : float
        Energy of the clip over what is added to it, dB; 0 if None. Of
        `overlap`, `concat`, `noise` and `folder`.
    folder : str or pathlib.Path
        Of the condition `folder`: sounds at any depth.
    n_partners : int
        How many partners each clip gets in `overlap` and `concat`; 2 if None.

    Returns
    -------
    DynamicItemDataset
        Gives `id`, `sig`, `label`, `target`, and unless `clean` also `first`,
        `second` (`[samples]` each, their sum is `sig`) and `other_target`
        (-1 where the second source is none of the classes). `annotations`
        gives `boxes` instead of these: `[n_boxes, 5]`, double, begin and end
        in s, the lowest and the highest frequency in Hz, and the class id; one
        of no duration where nothing is marked.

    Raises
    ------
    ValueError
        If there is no such condition, or it has no use for an argument.
    DataError
        If the sounds that it needs are not there.

    Example
    -------
    >>> from focalaudio.data.pipelines import open_esc50
    >>> from focalaudio.data.synthetic import write_dataset
    >>> folder = write_dataset(
    ...     getfixture("tmp_path"), clips_per_class=5, seconds=1.0
    ... )
    >>> data = open_esc50(folder, [1, 2, 3], [4], [5])
    >>> pairs = build_condition(
    ...     data.test, ClipReader(), data.label_encoder, "overlap"
    ... )
    >>> len(data.test), len(pairs)
    (10, 20)
    >>> pair = pairs[0]
    >>> torch.allclose(pair["first"] + pair["second"], pair["sig"], atol=1e-6)
    True
    """
    dataset = need_clips(dataset)
    _refuse_useless(condition, snr, folder, n_partners)
    if condition == "clean":
        return dataset
    if condition == ANNOTATIONS:
        return _annotate(dataset, reader, encoder)
    if isinstance(encoder, SeveralLabelsEncoder):
        raise DataError(
            f"condition={condition!r} needs clips with one label each, whose "
            "sources are known; of several labels there are 'clean' and "
            f"{ANNOTATIONS!r}."
        )
    list_rows, mixer = CONDITIONS[condition]
    n_partners = N_PARTNERS if n_partners is None else n_partners
    rows = {
        clip_id: {"other_label": None} | row
        for clip_id, row in list_rows(dataset.data, folder, n_partners)
    }
    mixed = DynamicItemDataset(rows)

    def read(row: Row) -> Iterator[Tensor]:
        mixture = mixer(row, reader, snr or 0.0)
        yield mixture.wav
        yield mixture.first
        yield mixture.second

    def encode(label: str | None) -> int:
        return UNKNOWN if label is None else encoder.encode_label(label)

    mixed.add_dynamic_item(
        read, takes="row", provides=["sig", "first", "second"]
    )
    mixed.add_dynamic_item(encode, takes="label", provides="target")
    mixed.add_dynamic_item(encode, takes="other_label", provides="other_target")
    keys = ("id", "sig", "first", "second", "label", "target", "other_target")
    mixed.set_output_keys(list(keys))
    return mixed


def _refuse_useless(
    condition: str,
    snr: float | None,
    folder: str | Path | None,
    n_partners: int | None,
) -> None:
    """Refuse an unknown condition, and what it has no use for."""
    if condition not in USES:
        raise ValueError(
            f"condition={condition!r} must be one of {', '.join(USES)}."
        )
    given = {"snr": snr, "added_folder": folder, "n_partners": n_partners}
    for name, value in given.items():
        if value is not None and name not in USES[condition]:
            users = [each for each, names in USES.items() if name in names]
            raise ValueError(
                f"{name}={value} has no use under condition={condition!r}; "
                f"leave it out, or give --condition {' or '.join(users)}."
            )


def _annotate(
    dataset: DynamicItemDataset, reader: ClipReader, encoder: CategoricalEncoder
) -> DynamicItemDataset:
    """Give each clip the boxes of the table beside it.

    Where a clip has no label, there may be none.
    """
    several = isinstance(encoder, SeveralLabelsEncoder)
    decision = SEVERAL if several else ONE
    rows = {}
    for clip_id, row in dataset.data.items():
        table = find_annotations(row["path"])
        boxes = read_annotations(table)
        own = decision.split(row["label"])
        if len(own) > 1 and not all(box.label for box in boxes):
            raise DataError(
                f"{table} has a box without a label, and its clip has several, "
                f"{', '.join(own)}; say which of them sounds there."
            )
        marked = encode_boxes(boxes, encoder.lab2ind, own[0] if own else "")
        if own and all(box[-1] == UNKNOWN for box in marked):
            named = sorted({box.label for box in boxes})
            raise DataError(
                f"{table} marks {', '.join(named) or 'nothing'}, none of the "
                f"classes: {', '.join(encoder.lab2ind)}."
            )
        rows[clip_id] = {**row, "marked": marked or [NO_BOX]}
    annotated = DynamicItemDataset(rows)
    annotated.add_dynamic_item(reader, takes="path", provides="sig")
    annotated.add_dynamic_item(
        encoder.encode_label, takes="label", provides="target"
    )
    annotated.add_dynamic_item(
        partial(torch.tensor, dtype=torch.double),
        takes="marked",
        provides="boxes",
    )
    keys = ("id", "sig", "boxes", "label", "target")
    annotated.set_output_keys(list(keys))
    return annotated


def _list_pairs(
    rows: dict[str, Row], folder: Any, n_partners: int
) -> Iterator[tuple[str, Row]]:
    """Yield each clip with its partners."""
    names, given = list(rows), set[str]()
    partners = pair_up([rows[name]["label"] for name in names], n_partners)
    for name, chosen in zip(names, partners, strict=True):
        for other in (names[place] for place in chosen):
            pair = {"path": rows[name]["path"], "other": rows[other]["path"]}
            yield (
                _add_name(f"{name}+{other}", given),
                {
                    "row": pair,
                    "label": rows[name]["label"],
                    "other_label": rows[other]["label"],
                },
            )


def _add_name(name: str, given: set[str]) -> str:
    """Add a name to those given, with a number if it is one of them."""
    numbered = (f"{name}-{number}" for number in count(2))
    new = next(each for each in chain([name], numbered) if each not in given)
    given.add(new)
    return new


def _list_noisy(
    rows: dict[str, Row], folder: Any, n_partners: int
) -> Iterator[tuple[str, Row]]:
    """Yield each clip with a seed of its own."""
    for name, row in rows.items():
        noisy = {"path": row["path"], "seed": zlib.crc32(os.fsencode(name))}
        yield name, {"row": noisy, "label": row["label"]}


def _list_with_folder(
    rows: dict[str, Row], folder: str | Path | None, n_partners: int
) -> Iterator[tuple[str, Row]]:
    """Yield each clip with a sound of the folder, taken in turn."""
    if folder is None:
        raise DataError(
            "condition='folder' needs sounds to add: give --added_folder "
            "FOLDER."
        )
    found = list_sounds(folder, "added_folder")
    for place, (name, row) in enumerate(rows.items()):
        other = str(found[place % len(found)])
        pair = {"path": row["path"], "other": other}
        yield name, {"row": pair, "label": row["label"]}


def _list_stems(
    rows: dict[str, Row], folder: Any, n_partners: int
) -> Iterator[tuple[str, Row]]:
    """Yield each clip with its event's own file."""
    for name, row in rows.items():
        path = Path(row["path"])
        stem = path.parent.parent / "stems" / path.name
        if not stem.exists():
            raise DataError(
                f"{stem} is missing; the condition 'stems' needs the event of "
                "every clip, as focalaudio.data.synthetic writes them."
            )
        pair = {"path": row["path"], "other": str(stem)}
        yield name, {"row": pair, "label": row["label"]}


def _mix_pair(
    row: Row,
    reader: ClipReader,
    snr: float,
    rule: Callable[[Tensor, Tensor, float], Mixture] = mix,
) -> Mixture:
    """Read both clips of a row and mix them."""
    return rule(reader(row["path"]), reader(row["other"]), snr)


def _add_noise(row: Row, reader: ClipReader, snr: float) -> Mixture:
    """Add white noise that belongs to the clip."""
    clip = reader(row["path"])
    generator = torch.Generator().manual_seed(row["seed"])
    return mix(clip, torch.randn(len(clip), generator=generator), snr)


def _split_stem(row: Row, reader: ClipReader, snr: float) -> Mixture:
    """Split a clip in its event and the rest, both at the clip's level."""
    clip, stem = (
        load_wav(row[key], reader.sample_rate) for key in ("path", "other")
    )
    if reader.clip_seconds is not None:
        length = round(reader.clip_seconds * reader.sample_rate)
        clip, stem = fit_length(clip, length), fit_length(stem, length)
    stem = fit_length(stem, len(clip))
    return add_up(stem, clip - stem)


CONDITIONS: dict[str, tuple[Callable[..., Any], Callable[..., Mixture]]] = {
    "overlap": (_list_pairs, _mix_pair),
    "concat": (_list_pairs, partial(_mix_pair, rule=concatenate)),
    "noise": (_list_noisy, _add_noise),
    "folder": (_list_with_folder, _mix_pair),
    "stems": (_list_stems, _split_stem),
}
