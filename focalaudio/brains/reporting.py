"""`batches of interpretations -> report.html`, while a Brain evaluates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.distributed import if_main_process
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from focalaudio.audio import load_wav
from focalaudio.boxes import find_boxes
from focalaudio.brains.checks import Look
from focalaudio.contract import ClassifierOutput
from focalaudio.data.pipelines import ClipReader
from focalaudio.inference.reporting import look_further
from focalaudio.interpreters.base import Interpreter
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.metrics.neighbors import EmbeddingIndex
from focalaudio.processes import gather, meet, share
from focalaudio.report.overview import split_name
from focalaudio.report.page import (
    Neighbor,
    Page,
    PageClip,
    Rows,
    View,
    choose_classes,
    make_clip,
    make_view,
)
from focalaudio.report.writer import PageWriter
from focalaudio.spectrogram import Spectrum
from focalaudio.waveforms import is_silent

BATCH = 16  # clips of the index in one pass
Found = Mapping[str, Mapping[str, Sequence[Any]]]


class Reporter:
    """Write the listening report of an evaluation, batch by batch.

    No clip is classified again: other quantiles and other classes are cut from
    what the classifier said once, of methods that need no pass for it.

    Arguments
    ---------
    path : str or pathlib.Path
        The page.
    interpreter : Interpreter
        The first one; others come with the batches.
    labels : sequence of str
        In the order of the class ids.
    wanted : bool
        Whether there is to be a page at all.
    train_data : DynamicItemDataset
        Where the nearest clips come from: rows of `path` and `label`. Each is
        classified once, when the first clip comes.
    reader : ClipReader
        Reads them as the classifier wants them.
    n_neighbors : int
        How many of the predicted class, and of the true one if it is another.
    listening_test : bool
        Whether the page asks which method is better, instead of saying it.
    is_known : callable
        From spectrum and classifier output to `[batch]`, bool: which clips are
        like any class, as `SoundModel.is_known` says; None for all.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.interpreters import ThresholdInterpreter
    >>> from focalaudio.spectrogram import Spectrogram
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2)
    >>> parts = ThresholdInterpreter(classifier, Spectrogram()), ["dog", "rain"]
    >>> reporter = Reporter(getfixture("tmp_path") / "report.html", *parts)
    >>> rows = [{"clip_id": "a", "label": "dog", "predicted": "dog"}]
    >>> reporter.finish({"stage_2": rows}, {}).name
    'report.html'
    """

    def __init__(
        self,
        path: str | Path,
        interpreter: Interpreter,
        labels: Sequence[str],
        wanted: bool = True,
        train_data: DynamicItemDataset | None = None,
        reader: ClipReader | None = None,
        n_neighbors: int = 0,
        listening_test: bool = False,
        is_known: Callable[[Spectrum, ClassifierOutput], Tensor] | None = None,
    ) -> None:
        self.writer = PageWriter(path, interpreter.spectrogram)
        self.interpreter = interpreter
        self.labels = list(labels)
        self.wanted = wanted
        self.train_data = train_data
        self.reader = reader or ClipReader()
        self.n_neighbors = n_neighbors
        self.listening_test = listening_test
        self.is_known = is_known

    def __call__(
        self,
        look: Look,
        interpretations: Mapping[str, Interpretation],
        found: Found,
        clip_labels: Sequence[str],
        rows: Sequence[int] | None = None,
    ) -> None:
        """Add a batch, or some rows of it.

        Arguments
        ---------
        look : Look
            The clips, and what the classifier says of them.
        interpretations : mapping
            By the interpreters' names, the first one first.
        found : mapping
            From such a name to its columns.
        clip_labels : sequence of str
            The true label of each clip.
        rows : sequence of int
            Which clips of the batch are added, from 0; None is all.
        """
        if not self.wanted:
            return
        interpretations = self._judge(look, interpretations)
        further = self._look_further(look, interpretations, clip_labels)
        for row in range(len(look.clip_ids)) if rows is None else rows:
            self.writer.add(
                self._make_clip(
                    row, look, interpretations, found, further, clip_labels[row]
                )
            )

    def _judge(
        self, look: Look, interpretations: Mapping[str, Interpretation]
    ) -> dict[str, Interpretation]:
        """Say which clips there is evidence for any class in."""
        known = torch.tensor([not is_silent(wav) for wav in look.wavs.cpu()])
        if self.is_known is not None:
            known &= self.is_known(look.spectrum, look.output).cpu()
        return {
            name: replace(each, is_known=known)
            for name, each in interpretations.items()
        }

    def _look_further(
        self,
        look: Look,
        interpretations: Mapping[str, Interpretation],
        clip_labels: Sequence[str],
    ) -> list[tuple[str, Interpretation]]:
        """Cut other quantiles, and the other class, from the same pass."""
        if self.listening_test:
            return []
        first = next(iter(interpretations.values()))
        best = first.logits.argmax(1).tolist()
        targets = [
            self._find_missed(label, self.labels[predicted])
            for label, predicted in zip(clip_labels, best, strict=True)
        ]
        _, other = choose_classes(first, targets)

        def explain(way: Interpreter, ids: Tensor | None) -> Interpretation:
            return way.interpret(look.spectrum, look.output, ids)

        return [
            (one.name, found)
            for one, found in look_further(self.interpreter, explain, [other])
        ]

    def _find_missed(self, label: str, predicted: str) -> int | None:
        """Return a true class other than the predicted, if there is one."""
        others = self._split_label(label, predicted)
        return self.labels.index(others[0]) if others else None

    def _split_label(self, label: str, predicted: str) -> list[str]:
        """Return the true labels of a clip but for the predicted."""
        named = self.interpreter.classifier.decision.split(label)
        return [x for x in named if x in self.labels and x != predicted]

    def _make_clip(
        self,
        row: int,
        look: Look,
        interpretations: Mapping[str, Interpretation],
        found: Found,
        further: Sequence[tuple[str, Interpretation]],
        label: str,
    ) -> PageClip:
        """Fill the record of one clip."""
        views = [
            self._make_view(each, row, name, _row_of(found.get(name, {}), row))
            for name, each in interpretations.items()
        ]
        for name, each in further:
            view = self._make_view(each, row, name, {})
            if not _is_shown(view, views):
                views.append(view)
        first = next(iter(interpretations.values()))
        predicted = self.labels[int(first.logits[row].argmax())]
        return make_clip(
            first,
            row,
            self.labels,
            look.clip_ids[row],
            views,
            label,
            self._find_neighbors(look.output.embeddings[row], predicted, label),
        )

    def _make_view(
        self,
        interpretation: Interpretation,
        row: int,
        name: str,
        scores: Mapping[str, Any],
    ) -> View:
        label = self.labels[int(interpretation.class_ids[row])]
        spectrum = interpretation.spectrum
        own = (row, slice(int(spectrum.n_frames[row])))
        boxes = find_boxes(
            interpretation.mask[own],
            interpretation.saliency[own],
            interpretation.synthesis,
            int(spectrum.n_samples[row]),
        )
        named = [replace(box, label=label) for box in boxes]
        return make_view(
            interpretation, row, self.labels, *split_name(name), scores, named
        )

    def _find_neighbors(
        self, embedding: Tensor, predicted: str, label: str
    ) -> list[Neighbor]:
        """Return the nearest training clips of the classes in question."""
        if self._index is None:
            return []
        relations = [("predicted", predicted)]
        missed = self._split_label(label, predicted)
        relations += [("true", name) for name in missed]
        return [
            Neighbor(relation, name, distance, path)
            for relation, name in relations
            for path, distance in self._index.find(
                embedding, name, self.n_neighbors
            )
        ]

    def start(self) -> None:
        """Embed the training clips; all processes together, once."""
        if self.wanted:
            _ = self._index

    @cached_property
    def _index(self) -> EmbeddingIndex | None:
        if self.train_data is None or self.n_neighbors < 1:
            return None
        return index_clips(self.train_data, self.interpreter, self.reader)

    def finish(
        self, rows: Mapping[str, Rows], settings: Mapping[str, Any]
    ) -> Path:
        """Write the page; one of a run that had nothing left to do stays.

        Arguments
        ---------
        rows : mapping
            From an interpreter's name to its rows.
        settings : mapping
            What the page lists under "How it was made".

        Returns
        -------
        pathlib.Path
            Where the page is.
        """
        path = self.writer.path
        meet()  # every process has added its clips
        is_old = path.exists() and not self.writer.waits
        if self.wanted and if_main_process() and not is_old:
            run = "/".join(path.absolute().parent.parts[-2:])
            title = f"What the classifier listened to: {run}"
            self.writer.finish(
                Page(
                    title,
                    self.labels,
                    rows,
                    settings,
                    self.listening_test,
                    decision=self.interpreter.classifier.decision,
                )
            )
        meet()  # no process leaves before the page is there
        return path


def _row_of(columns: Mapping[str, Sequence[Any]], row: int) -> dict[str, float]:
    """Return the numbers of one clip."""
    return {
        name: column[row]
        for name, column in columns.items()
        if isinstance(column[row], (int, float))
    }


def _is_shown(view: View, views: Sequence[View]) -> bool:
    """Whether a view shows what another one does, for whichever class."""
    return any(
        each.mask.shape == view.mask.shape and torch.equal(each.mask, view.mask)
        for each in views
    )


@torch.no_grad()
def index_clips(
    dataset: DynamicItemDataset, interpreter: Interpreter, reader: ClipReader
) -> EmbeddingIndex:
    """Embed every clip of a data set by an interpreter's classifier.

    Of several processes, which all have to ask, each embeds its share.

    Arguments
    ---------
    dataset : DynamicItemDataset
        Its rows have `path` and `label`.
    interpreter : Interpreter
        Its classifier is asked, in one pass for each clip.
    reader : ClipReader
        Prepares the clips; they do not stay in memory.

    Returns
    -------
    EmbeddingIndex
        In the order of the data set.
    """
    device = interpreter.classifier.device
    rows = [dataset.data[key] for key in dataset.data_ids]
    paths = [Path(row["path"]) for row in rows]
    own = share(range(len(paths)))
    embeddings = []
    for start in range(0, len(own), BATCH):
        wavs = [
            reader.prepare(load_wav(paths[place], reader.sample_rate))
            for place in own[start : start + BATCH]
        ]
        lengths = torch.tensor([len(wav) for wav in wavs]).double()
        _, output = interpreter.look(
            pad_sequence(wavs, batch_first=True).to(device),
            (lengths / lengths.max()).to(device),
        )
        embeddings.append(output.embeddings.cpu())
    found = dict(zip(own, chain(*embeddings), strict=True))
    for others in gather(found):
        found |= others
    split = interpreter.classifier.decision.split
    places, labels = [], []  # a clip stands there once for each of its labels
    for place, row in enumerate(rows):
        for label in split(row["label"]):
            places.append(place)
            labels.append(label)
    return EmbeddingIndex(
        torch.stack([found[i] for i in places]),
        labels,
        [paths[i] for i in places],
    )
