"""`Interpretation -> folder of wav + png`, named by clip id."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from torch import Tensor

from focalaudio.audio import write_wav
from focalaudio.errors import escape_text
from focalaudio.files import temporary_folder
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.metrics.columns import Sources
from focalaudio.pictures import draw_interpretation, save_picture
from focalaudio.report.boxes import write_audacity_boxes, write_raven
from focalaudio.report.tables import NumberTable
from focalaudio.spectrogram import Spectrogram
from focalaudio.waveforms import common_gain, loudness_gain

STAGED = "clip"  # of a clip's files until all of them are there
RAVEN, AUDACITY = ".Table.1.selections.txt", "_boxes.txt"


class InterpretationExporter:
    """Write what can be heard and seen of each interpreted clip.

    `<clip_id>_input.wav`, `_kept.wav` and `_removed.wav` share one gain, so
    that they add up and compare, as do `_source_1.wav` and `_source_2.wav` of a
    mixture whose sources are known; `<clip_id>.png` shows the first three. If
    wanted, `_listen.wav` is the kept part made as loud as the input, and
    `listening.csv` has the gain of each, in dB; and the boxes in which the
    class was heard are `.Table.1.selections.txt`, for Raven, and `_boxes.txt`,
    for Audacity. A clip's files appear when all of them are written.

    Arguments
    ---------
    folder : str or pathlib.Path
        Made when the first clip comes.
    spectrogram : Spectrogram
        The analysis of the interpretations.
    labels : sequence of str
        In the order of the class ids.
    match_loudness : bool
        Write `_listen.wav` and `listening.csv` too.
    media : bool
        Whether sounds and pictures are written.
    tables : bool
        Whether tables of boxes are written.

    Example
    -------
    >>> import torch
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.interpreters import ThresholdInterpreter
    >>> spectrogram = Spectrogram()
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> interpreter = ThresholdInterpreter(classifier, spectrogram)
    >>> folder = getfixture("tmp_path")
    >>> exporter = InterpretationExporter(folder, spectrogram, ["dog", "rain"])
    >>> exporter(interpreter(torch.rand(1, 8000)), ["a"], ["dog"])
    >>> sorted(path.name for path in folder.iterdir())
    ['a.png', 'a_input.wav', 'a_kept.wav', 'a_removed.wav']
    """

    def __init__(
        self,
        folder: str | Path,
        spectrogram: Spectrogram,
        labels: Sequence[str],
        match_loudness: bool = False,
        media: bool = True,
        tables: bool = False,
    ) -> None:
        self.match_loudness = match_loudness
        self.media = media
        self.tables = tables
        self.folder = Path(folder)
        self.spectrogram = spectrogram
        self.labels = list(labels)

    def __call__(
        self,
        interpretation: Interpretation,
        clip_ids: Sequence[str],
        clip_labels: Sequence[str | None],
        sources: Sources | None = None,
        rows: Sequence[int] | None = None,
    ) -> None:
        """Write a batch, or some rows of it.

        Arguments
        ---------
        interpretation : Interpretation
            Of the batch.
        clip_ids : sequence of str
            One per clip.
        clip_labels : sequence of str
            The true label of each; None where it is not known.
        sources : Sources
            Of the batch, if they are known.
        rows : sequence of int
            Which clips of the batch are written, from 0; None is all.
        """
        for row in range(len(clip_ids)) if rows is None else rows:
            with temporary_folder(self.folder / STAGED) as staged:
                stem = staged / clip_ids[row]
                if self.media:
                    self._write_sound(interpretation, row, stem, sources)
                    self._write_picture(
                        interpretation, row, stem, clip_labels[row]
                    )
                if self.tables:
                    write_tables(interpretation, row, stem)
                for path in staged.iterdir():
                    os.replace(path, self.folder / path.name)

    @property
    def listening(self) -> Path:
        """Where the gains are written."""
        return self.folder / "listening.csv"

    @cached_property
    def _gains(self) -> NumberTable:
        return NumberTable(self.listening, ("clip_id", "gain_db"))

    def _write_sound(
        self,
        interpretation: Interpretation,
        row: int,
        stem: Path,
        sources: Sources | None,
    ) -> None:
        """Write the wavs of one clip."""
        kept, removed = interpretation.wavs, interpretation.removed_wavs
        wavs = {"input": kept + removed, "kept": kept, "removed": removed}
        if sources is not None:
            wavs |= {"source_1": sources.first, "source_2": sources.second}
        length = int(interpretation.spectrum.n_samples[row])
        own = {name: wav[row, :length].cpu() for name, wav in wavs.items()}
        gain, rate = common_gain(*own.values()), self.spectrogram.sample_rate
        for name, wav in own.items():
            write_wav(_add(stem, f"_{name}.wav"), wav, rate, gain=gain)
        if self.match_loudness:
            self._write_listening(stem, gain * own["kept"], gain * own["input"])

    def _write_listening(self, stem: Path, kept: Tensor, whole: Tensor) -> None:
        """Write the kept part as loud as the whole clip, and its gain."""
        rate = self.spectrogram.sample_rate
        decibels = loudness_gain(kept, whole, rate)
        path = _add(stem, "_listen.wav")
        write_wav(path, 10 ** (decibels / 20) * kept, rate)
        self._gains.put(stem.name, decibels)

    def _write_picture(
        self,
        interpretation: Interpretation,
        row: int,
        stem: Path,
        label: str | None,
    ) -> None:
        """Write the picture of one clip."""
        figure = draw_interpretation(
            interpretation,
            row,
            spectrogram=self.spectrogram,
            labels=self.labels,
            title=escape_text(stem.name),
            target_label=label,
        )
        save_picture(figure, _add(stem, ".png"))


def _add(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)


def write_tables(interpretation: Interpretation, row: int, stem: Path) -> None:
    """Write where a clip's class was heard, for Raven and for Audacity.

    `row` is the clip's, of the batch; the files begin with `stem`.
    """
    boxes = [box for box in interpretation.boxes() if box.clip == row]
    write_raven(boxes, _add(stem, RAVEN))
    write_audacity_boxes(boxes, _add(stem, AUDACITY))
