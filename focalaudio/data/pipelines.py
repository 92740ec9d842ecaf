"""`manifests -> datasets`: SpeechBrain's dynamic items, each file decoded once.

A dataset gives `id`, `sig [samples]` (mono, peak 1, at one rate), `label` and
`target` for each clip: its class id, or a list of them, if a clip may have
several labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.distributed import run_on_main
from torch import Tensor

from focalaudio.arguments import remember_arguments
from focalaudio.audio import load_wav
from focalaudio.data.download import download_esc50
from focalaudio.data.esc50 import CSV_NAME, Manifests, prepare_esc50
from focalaudio.data.folds import write_folds
from focalaudio.data.labels import LABELS_FILE, encode_labels, load_labels
from focalaudio.data.several import check_separable
from focalaudio.data.splits import Names, Splits
from focalaudio.decisions import find_decision
from focalaudio.errors import DataError
from focalaudio.waveforms import fit_length, normalize_peak


@remember_arguments
class ClipReader:
    """Read clips as the classifier wants them, each file once.

    Waveforms stay in memory (64 kB per second at 16 kHz), so that no epoch
    but the first decodes or resamples: up to `room` bytes of them, or an
    archive would fill the memory. What is beyond that is read again.

    Arguments
    ---------
    sample_rate : int
        Hz.
    clip_seconds : float
        Clips are cropped or padded at the end to this, in seconds; None takes
        them whole, whatever their length.

    Raises
    ------
    ValueError
        If `clip_seconds` is not positive.

    Example
    -------
    >>> import torch
    >>> from focalaudio.audio import write_wav
    >>> path = write_wav(getfixture("tmp_path") / "a.wav", torch.ones(8), 8000)
    >>> ClipReader(8000, clip_seconds=0.5)(str(path)).shape
    torch.Size([4000])
    """

    room = 1_000_000_000  # bytes; 3,000 clips of 5 s

    def __init__(
        self, sample_rate: int = 16000, clip_seconds: float | None = 5.0
    ) -> None:
        if clip_seconds is not None and clip_seconds <= 0:
            raise ValueError(
                f"clip_seconds={clip_seconds} must be positive, or null to "
                "take clips whole."
            )
        self.sample_rate = sample_rate
        self.clip_seconds = clip_seconds
        self._decoded: dict[str, Tensor] = {}
        self._n_bytes = 0

    def prepare(self, wav: Tensor) -> Tensor:
        """Crop or pad a waveform `[samples]`, then scale its peak to 1."""
        if self.clip_seconds is not None:
            wav = fit_length(wav, round(self.clip_seconds * self.sample_rate))
        return normalize_peak(wav)

    def __call__(self, path: str) -> Tensor:
        """Return the clip at `path`, `[samples]` within -1 to 1."""
        known = self._decoded.get(path)
        if known is not None:
            return known
        wav = self.prepare(load_wav(path, self.sample_rate))
        has_room = self._n_bytes + wav.nbytes <= self.room
        # of threads that read one file at once, one counts
        if has_room and self._decoded.setdefault(path, wav) is wav:
            self._n_bytes += wav.nbytes
        return wav

    def read_ahead(self, paths: Iterable[str], n_threads: int) -> bool:
        """Read clips by several threads; say whether all are in memory now.

        Raises
        ------
        AudioError
            If a file cannot be read.
        """
        waiting = [path for path in paths if path not in self._decoded]
        with ThreadPoolExecutor(n_threads) as pool:
            for path, _ in zip(waiting, pool.map(self, waiting), strict=True):
                if path not in self._decoded:  # there is no room
                    pool.shutdown(cancel_futures=True)
                    return False
        return True


@dataclass(frozen=True)
class SoundData:
    """The three datasets of an experiment and their labels.

    Arguments
    ---------
    train, valid, test : DynamicItemDataset
        Give `id`, `sig`, `label` and `target`; `valid` and `test` are None if
        no fold validates or tests.
    label_encoder : CategoricalEncoder
        Label to class id.
    source : str
        What the rows stand in, for messages.
    folds : pandas.DataFrame
        The fold of every clip, if folds were made (see
        `focalaudio.data.folds`); None if the data names them.
    reader : ClipReader
        What the datasets read with.
    """

    train: DynamicItemDataset
    valid: DynamicItemDataset | None
    test: DynamicItemDataset | None
    label_encoder: CategoricalEncoder
    source: str = CSV_NAME
    folds: pd.DataFrame | None = None
    reader: ClipReader | None = None

    @property
    def labels(self) -> list[str]:
        """Labels in the order of the class ids."""
        encoder = self.label_encoder
        return [encoder.ind2lab[index] for index in range(len(encoder))]

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.label_encoder)

    @property
    def rows(self) -> dict[str, dict[str, str]]:
        """The label of each file, split by split, in the metadata's order.

        A file is called as it is below the data folder (in ESC-50's layout:
        below `audio/`).
        """
        splits = {"train": self.train, "valid": self.valid, "test": self.test}
        return {
            name: {
                row["name"]: row["label"]
                for row in (split.data.values() if split else ())
            }
            for name, split in splits.items()
        }

    @property
    def tested(self) -> dict[str, str]:
        """The label of each test clip, by its name."""
        return self.rows["test"]

    def read_ahead(self, num_workers: int) -> dict[str, int]:
        """Read what is trained and validated by so many threads, once.

        A loader's processes forget what they read with every epoch; threads
        leave it in memory.

        Returns
        -------
        dict
            The loaders' `num_workers`: 0 if nothing is left to read, or as it
            was given, if the clips are more than the reader has room for.

        Raises
        ------
        AudioError
            If a file cannot be read.
        """
        if num_workers > 0 and self.reader is not None:
            read = (self.train, self.valid) if self.valid else (self.train,)
            paths = [row["path"] for part in read for row in part.data.values()]
            if self.reader.read_ahead(paths, num_workers):
                return {"num_workers": 0}
        return {"num_workers": num_workers}

    def save_folds(self, folder: str | Path) -> None:
        """Write made folds into a run's folder; one process does it."""
        if self.folds is not None:
            run_on_main(write_folds, args=[self.folds, folder])

    def save_labels(self, folder: str | Path) -> Path:
        """Write `label_encoder.txt` into a folder; one process does it.

        A `DataError` if checkpoints there have other labels, or another order
        of them, or if the file of them is damaged.
        """
        path = Path(folder) / LABELS_FILE
        is_used = path.exists() and any(path.parent.glob("CKPT+*"))
        if is_used and load_labels(path) != tuple(self.labels):
            raise DataError(
                f"{path} has other labels, or another order, than the data; "
                "give another experiment_name or seed."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        run_on_main(self.label_encoder.save, args=[str(path)])
        return path


def need_clips(tested: DynamicItemDataset | None) -> DynamicItemDataset:
    """Return the test clips; a `DataError` if there are none."""
    if tested is None:
        raise DataError(
            "test_folds=[] names no fold; what is heard in a clip is shown of "
            "clips that were not trained on."
        )
    return tested


def open_esc50(
    data_folder: str | Path,
    train_folds: Names,
    valid_folds: Names,
    test_folds: Names,
    reader: ClipReader | None = None,
    download: bool = False,
    labels: Sequence[str] | None = None,
    labels_per_clip: str = "one",
) -> SoundData:
    """Open a folder in ESC-50's layout; every contradiction is an error here.

    Arguments
    ---------
    data_folder : str or pathlib.Path
        Holds `audio/` and `meta/esc50.csv`, complete or a subset.
    train_folds, valid_folds, test_folds : sequence of int or str
        Numbers of those to train on, to choose the checkpoint by (none, if
        nothing is chosen), and held out for the result (none, if nothing is
        measured); each stands once.
    reader : ClipReader
        Reads the files; 16 kHz and 5 s if None.
    download : bool
        Fetch ESC-50 into the folder if it is not there.
    labels : sequence of str
        The classes in a trained model's order; the order of first appearance
        in the training folds if None.
    labels_per_clip : str
        `several`: the clips have one label, but each class is a question of its
        own. See `focalaudio.decisions`.

    Raises
    ------
    DataError
        If the folder contradicts itself, the folds or the labels; or if a
        category has a semicolon in it, and `labels_per_clip` is `several`.
    """
    if download:
        run_on_main(download_esc50, args=[data_folder])
    splits = Splits(train_folds, valid_folds, test_folds)
    manifests: Manifests = prepare_esc50(data_folder, splits)
    check_separable(manifests.labels, find_decision(labels_per_clip))
    return build_data(
        manifests, data_folder, reader, labels, labels_per_clip=labels_per_clip
    )


def build_data(
    manifests: Manifests,
    data_folder: str | Path,
    reader: ClipReader | None = None,
    labels: Sequence[str] | None = None,
    source: str = CSV_NAME,
    folds: pd.DataFrame | None = None,
    labels_per_clip: str = "one",
) -> SoundData:
    """Make the datasets of manifests that were checked.

    Arguments
    ---------
    manifests : Manifests
        Of the three splits, and the order of their labels.
    data_folder, reader, labels
        See `open_esc50`; the folder is named in errors only.
    source, folds
        See `SoundData`.
    labels_per_clip : str
        `one`, or `several` (labels between semicolons, or none).

    Returns
    -------
    SoundData
        `valid` and `test` are None if no clip validates or tests.

    Raises
    ------
    DataError
        If `labels` lack a class of the data.
    """
    labels = labels or manifests.labels
    unknown = sorted(set(manifests.labels) - set(labels))
    if unknown:
        raise DataError(
            f"data_folder={data_folder} has classes that the model does not "
            f"know: {', '.join(unknown)}; choose a folder with its classes."
        )
    encoder = encode_labels(labels, find_decision(labels_per_clip))
    reader = reader or ClipReader()
    train, valid, test = (
        None if part.empty else _build_dataset(part, reader, encoder)
        for part in (manifests.train, manifests.valid, manifests.test)
    )
    return SoundData(train, valid, test, encoder, source, folds, reader)


def _build_dataset(
    manifest: pd.DataFrame, reader: ClipReader, encoder: CategoricalEncoder
) -> DynamicItemDataset:
    """Make a dataset of a manifest's `clip_id`, `name`, `path`, `label`."""
    named = manifest.rename(columns={"filename": "name"})  # ESC-50's word
    columns = named.set_index("clip_id")[["name", "path", "label"]]
    items: dict[str, Any] = columns.to_dict("index")
    dataset = DynamicItemDataset(items)
    dataset.add_dynamic_item(reader, takes="path", provides="sig")
    dataset.add_dynamic_item(
        encoder.encode_label, takes="label", provides="target"
    )
    dataset.set_output_keys(["id", "sig", "label", "target"])
    return dataset
