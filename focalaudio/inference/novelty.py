"""`model + sounds -> which rules tell known from unknown`: none of these.

Thresholds are chosen so that a share of the validation clips is known; then
sounds of other kinds are tried on every score: what of them gets an answer that
should get none? Chosen and tried on one model, this says how a rule works on
it, not how a score works in general. Of a model that has heard all clips, what
others of the same recipe said of clips that they had not heard chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from focalaudio.audio import list_sounds, load_wav
from focalaudio.data.folders import read_clips
from focalaudio.data.manifests import Manifest
from focalaudio.data.splits import Names, Splits
from focalaudio.encoders.weight_files import digest_weights
from focalaudio.errors import DataError
from focalaudio.inference.clips import prepare_clips
from focalaudio.metrics.novelty import (
    SCORES,
    EmbeddingSpace,
    NoveltyRule,
    calibrate_together,
)
from focalaudio.metrics.spectral_shape import SpectralShape
from focalaudio.models.model import SoundModel
from focalaudio.models.novelty import (
    OF_LOGITS,
    SPECTRUM,
    Novelty,
    score_clips,
    storable_scores,
)
from focalaudio.report.held_out import Answers, read_held_out
from focalaudio.report.novelty import AND
from focalaudio.spectrogram import Spectrum

BATCH_SIZE = 16
SECONDS = 5.0  # of what is synthesized
STEP = 0.02  # s between the pieces of which the loudest is taken
VALID, TEST, LEFT_OUT, SILENCE = "valid", "test", "left_out", "silence"
Rules = Sequence[NoveltyRule]


@dataclass(frozen=True)
class Scored:
    """A group of clips and all its scores.

    Arguments
    ---------
    scores : mapping
        From a score's name to `[n_clips]`, float32.
    silent : torch.Tensor
        `[n_clips]`, bool, whether nothing is to be heard.
    correct : torch.Tensor
        `[n_clips]`, bool, whether the class is right; it never is where the
        model has none for a clip.
    """

    scores: Mapping[str, Tensor]
    silent: Tensor
    correct: Tensor

    def known(self, rules: Rules) -> Tensor:
        """Return which clips get an answer, `[n_clips]`, bool."""
        found = ~self.silent
        for rule in rules:
            found = found & rule.is_known(self.scores[rule.score])
        return found


@dataclass(frozen=True)
class Sounds:
    """Clips of a data set as a model sees them, and sounds of no class.

    Arguments
    ---------
    model : SoundModel
        What is known is what it was trained on.
    data_folder : str or pathlib.Path
        See `focalaudio.data.folders.read_clips`. Classes that the model does
        not know are no error: they are the group `left_out`.
    train_folds, valid_folds, test_folds : sequence of int or str
        Those of the model.
    others : str or pathlib.Path
        A folder of sounds of no class, such as speech; none if None.
    max_others : int
        So many of them, evenly spread over the sorted names.
    noise_levels : sequence of float
        dB, peaks of white noise.
    n_noises : int
        Clips of each level.
    piece_seconds : sequence of float
        s: the loudest pieces of so long of the test clips are groups of their
        own, `test_<seconds>_s`. A rule should not refuse what is short.
    manifest, columns, pattern, n_folds, fold_seed
        As `data_folder`.
    classifier : str or pathlib.Path
        The model's folder: its made folds are used.
    held_out : sequence of str, or str
        Of a model that has heard all clips: the folders of runs of the same
        recipe that each left some out, or a pattern of them, such as
        `results/reproduce/4-1/1234/fold_*/focalnet/classifier`. Their test
        clips stand for those of the validation folds.

    Raises
    ------
    DataError
        If the data contradicts itself, or a folder has no sounds.
    """

    model: SoundModel
    data_folder: str | Path
    train_folds: Names
    valid_folds: Names
    test_folds: Names
    others: str | Path | None = None
    max_others: int = 300
    noise_levels: Sequence[float] = (0, -20, -40, -60)
    n_noises: int = 50
    piece_seconds: Sequence[float] = (1.0,)
    manifest: Manifest | None = None
    columns: Mapping[str, str | None] | None = None
    pattern: str | None = None
    n_folds: int = 5
    fold_seed: int = 0
    classifier: str | Path | None = None
    held_out: Sequence[str | Path] | str = ()

    @cached_property
    def answers(self) -> list[Answers]:
        """What the runs of `held_out` said, each of its own clips."""
        runs = self.held_out
        if isinstance(runs, str):
            runs = sorted(glob(runs))
            if not runs:
                raise DataError(f"held_out={self.held_out} finds no folder.")
        if runs and (self.valid_folds or self.test_folds):
            raise DataError(
                "held_out is of a model that all clips trained: valid_folds="
                f"{self.valid_folds} and test_folds={self.test_folds} must be "
                "[] then."
            )
        decision = self.model.classifier.decision
        return read_held_out(runs, self.model.labels, decision)

    @cached_property
    def clips(self) -> Any:
        """All clips, a table: `clip_id`, `path`, `fold`, and `class_id`.

        The latter is -1 of a class that is none of the model's.
        """
        if self.model.classifier.decision.is_several:
            raise DataError(
                "novelty.py asks whether a clip is of its one class; a model "
                "of several labels says of each whether it is there."
            )
        table, _ = read_clips(
            self.data_folder,
            self.manifest,
            self.columns,
            self.pattern,
            self.n_folds,
            self.fold_seed,
            [Path(self.classifier)] if self.classifier else [],
        )
        ids = {label: place for place, label in enumerate(self.model.labels)}
        table["class_id"] = table["label"].map(lambda label: ids.get(label, -1))
        return table

    @cached_property
    def rows(self) -> dict[str, list[tuple[str, int]]]:
        """Paths and class ids, split by split."""
        splits = Splits(self.train_folds, self.valid_folds, self.test_folds)
        folds, table = splits.parts, self.clips
        # what is of no class was not trained on, in whatever fold it is
        shown = folds[TEST] or tuple(table["fold"].unique())
        known = table[table["class_id"] >= 0]
        parts = {
            "train": known[known["fold"].isin(folds["train"])],
            VALID: known[known["fold"].isin(folds[VALID])],
            TEST: known[known["fold"].isin(folds[TEST])],
            LEFT_OUT: table[
                (table["class_id"] < 0) & table["fold"].isin(shown)
            ],
        }
        rows = {
            name: list(zip(part["path"], part["class_id"], strict=True))
            for name, part in parts.items()
        }
        needed = ("train",) if self.held_out else ("train", VALID, TEST)
        empty = [name for name in needed if not rows[name]]
        if empty:
            raise DataError(
                f"data_folder={self.data_folder} has no clip of the model's "
                f"classes in the folds of {', '.join(empty)}."
            )
        return rows

    @property
    def tested(self) -> dict[str, str]:
        """The label of each clip that a threshold is chosen or tried by."""
        splits = Splits(self.train_folds, self.valid_folds, self.test_folds)
        folds = (*splits.parts[VALID], *splits.parts[TEST])
        own = self.clips[self.clips["fold"].isin(folds)]
        return dict(zip(own["name"], own["label"], strict=True))

    def unknown(self) -> Iterator[tuple[str, Iterable[Tensor]]]:
        """Yield groups of waveforms that are like no class: name, clips."""
        rate = self.model.reader.sample_rate
        length = round(SECONDS * rate)
        for level in self.noise_levels:
            yield (
                f"noise_{level:g}_db",
                _make_noise(length, 10 ** (level / 20), self.n_noises),
            )
        offset = torch.full((length,), 0.1)
        yield SILENCE, [torch.zeros(length), offset]
        if self.others is not None:
            paths = _list_sounds(Path(self.others), self.max_others)
            yield "others", (load_wav(path, rate) for path in paths)
        left_out = [path for path, _ in self.rows[LEFT_OUT]]
        if left_out:
            yield LEFT_OUT, (load_wav(path, rate) for path in left_out)


def cut_loudest(wav: Tensor, n_samples: int, step: int = 1) -> Tensor:
    """Return the piece of a waveform that has the most energy.

    Arguments
    ---------
    wav : torch.Tensor
        `[samples]`.
    n_samples : int
        Of the piece; a shorter waveform is returned whole.
    step : int
        Samples from piece to piece.

    Returns
    -------
    torch.Tensor
        `[n_samples]` at the most.

    Example
    -------
    >>> cut_loudest(torch.tensor([0.0, 2.0, -2.0, 1.0]), 2)
    tensor([ 2., -2.])
    """
    energy = wav.double().square().unfold(0, min(n_samples, len(wav)), step)
    start = step * int(energy.sum(1).argmax())
    return wav[start : start + n_samples]


def _make_noise(length: int, peak: float, n_clips: int) -> Iterator[Tensor]:
    """Yield white noise, the same every time."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(n_clips):
        wav = torch.randn(length, generator=generator)
        yield wav * (peak / wav.abs().max())


def _list_sounds(folder: Path, most: int) -> list[Path]:
    """Return at most so many sounds of a folder, evenly spread."""
    found = list_sounds(folder, "others")
    step = max(1.0, len(found) / most)
    return [found[int(place * step)] for place in range(min(most, len(found)))]


@torch.no_grad()
def score_sounds(
    model: SoundModel,
    wavs: Iterable[Tensor],
    space: EmbeddingSpace | None = None,
    *,
    shape: SpectralShape | None = None,
    targets: Sequence[int] | None = None,
) -> tuple[Scored, Tensor]:
    """Give every score to sounds.

    Arguments
    ---------
    model : SoundModel
        In evaluation mode.
    wavs : iterable of torch.Tensor
        `[samples]` each, at the model's rate; at least one.
    space : EmbeddingSpace
        Of the training clips; without it, there are no scores of distance.
    shape : SpectralShape
        Of the training clips; without it, there is no score of spectra.
    targets : sequence of int
        The class ids; of no class if None.

    Returns
    -------
    tuple
        The `Scored`, and the embeddings `[n_clips, n_features]`.

    Example
    -------
    >>> from focalaudio.classifier import SoundClassifier
    >>> from focalaudio.data.pipelines import ClipReader
    >>> from focalaudio.encoders import build_encoder
    >>> from focalaudio.spectrogram import Spectrogram
    >>> classifier = SoundClassifier(build_encoder("focalnet_test"), 2).eval()
    >>> parts = (classifier, Spectrogram(), ClipReader(16000, 0.5))
    >>> model = SoundModel(*parts, ["dog", "rain"])
    >>> scored, _ = score_sounds(model, [torch.zeros(9), torch.rand(9)])
    >>> scored.silent
    tensor([ True, False])
    """
    names = [
        name
        for name in storable_scores(model.classifier)
        if name != SPECTRUM or shape is not None
    ]
    found: list[dict[str, Tensor]] = []
    for silent, spectrum in _look(model, wavs):
        output = model.classifier(spectrum.log_magnitude, spectrum.n_frames)
        seen = model.classifier, spectrum, output, shape
        columns = {name: score_clips(name, *seen) for name in names}
        columns |= space.score(output.embeddings.cpu()) if space else {}
        columns |= {
            "silent": silent,
            "class_ids": output.class_ids,
            "embeddings": output.embeddings,
        }
        found.append({name: each.cpu() for name, each in columns.items()})
    joined = {
        name: torch.cat([one[name] for one in found]) for name in found[0]
    }
    ids = joined["class_ids"]
    own = torch.full_like(ids, -1) if targets is None else torch.tensor(targets)
    scores = {name: joined[name] for name in SCORES if name in joined}
    return Scored(scores, joined["silent"], ids == own), joined["embeddings"]


@torch.no_grad()
def describe_sounds(
    model: SoundModel, wavs: Iterable[Tensor], shape: SpectralShape
) -> Tensor:
    """Return `shape.describe` of sounds, as `score_sounds` takes them."""
    return torch.cat(
        [shape.describe(spectrum).cpu() for _, spectrum in _look(model, wavs)]
    )


def _look(
    model: SoundModel, wavs: Iterable[Tensor]
) -> Iterator[tuple[Tensor, Spectrum]]:
    """Yield batches of sounds as the classifier gets them; who is silent."""
    device = model.classifier.device
    rest = iter(wavs)
    while batch := list(islice(rest, BATCH_SIZE)):
        sizes = torch.tensor([len(wav) for wav in batch])
        padded = pad_sequence(batch, batch_first=True).to(device)
        clips = prepare_clips(padded, sizes / padded.shape[1], model.reader)
        yield clips.silent, model.spectrogram(clips.wavs, clips.lens)


def measure_novelty(
    sounds: Sounds,
    keep: float = 0.9,
    score: str | Sequence[str] = ("energy", SPECTRUM),
) -> tuple[dict[str, Any], Novelty]:
    """Measure what every score lets through, and choose rules.

    Arguments
    ---------
    sounds : Sounds
        Known and unknown ones, with their model.
    keep : float
        Share of the validation clips that are to be known, 0 to 1.
    score : str or sequence of str
        Of the rules that are chosen, all of which must say that a sound is
        known: of `focalaudio.models.novelty.storable_scores`; where runs are
        held out, of those that need no more than logits and spectra.

    Returns
    -------
    tuple
        What was measured, and the chosen rules. The former is a dict:
        `novelty`, the rules, each a `score` and a `threshold`;
        `spectral_shape`, how what they need is made; `keep`;
        `n_clips`, of each group; `classifier_digest`; and `rows`, one for each
        score, and one for the rules if they are several: `score`, `threshold`,
        the share of each group that gets an answer, `test_accuracy` (of all
        test clips) and `test_known_accuracy` (of those that get one), and
        `silence_by_score`, what the score alone would let through of silence.
        Where runs are held out, `test` is their clips again, each by the
        thresholds that the others choose, if there are any.

    Raises
    ------
    DataError, AudioError
        If the data or a sound will not do.
    ValueError
        If `keep` is out of range, no model can hold a rule of a score, or one
        is named twice.
    """
    model = sounds.model
    wanted = (score,) if isinstance(score, str) else tuple(score)
    possible = storable_scores(model.classifier)
    if sounds.answers:
        possible = (*OF_LOGITS, SPECTRUM)
    for name in wanted:
        if name not in possible:
            raise ValueError(
                f"score={name!r} must be one of {', '.join(possible)}, "
                "which are all that can be chosen here."
            )
    if not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(f"score={list(wanted)} must be scores that differ.")
    if sounds.answers:
        known = _recall_known(sounds, SPECTRUM in wanted)
    else:
        known = _read_known(sounds)
    groups = known.groups | {
        name: score_sounds(model, wavs, known.space, shape=known.shape)[0]
        for name, wavs in sounds.unknown()
    }
    scores = groups[VALID].scores
    tried = [(name,) for name in scores] + [wanted] * (len(wanted) > 1)
    rules = {
        names: calibrate_together({n: scores[n] for n in names}, keep)
        for names in tried
    }
    shape = known.shape if SPECTRUM in wanted else None
    chosen = Novelty(rules[wanted], shape)
    measured = {
        **chosen.describe(),
        "keep": keep,
        "n_clips": {name: len(group.silent) for name, group in groups.items()},
        "classifier_digest": digest_weights(model.classifier),
        "rows": [
            _judge(own, groups, known.answered(own, keep))
            for own in rules.values()
        ],
    }
    return measured, chosen


@dataclass(frozen=True)
class _Known:
    """Scored clips of the model's classes.

    Arguments
    ---------
    groups : dict
        `valid`, `test`, and the latter's pieces.
    shape : SpectralShape
        Of the training clips; None if there is no score of spectra.
    space : EmbeddingSpace
        Of the training clips; None if there are no scores of distance.
    parts : sequence of Scored
        Those of which `test` is made, if each is judged by the others.
    """

    groups: dict[str, Scored]
    shape: SpectralShape | None = None
    space: EmbeddingSpace | None = None
    parts: Sequence[Scored] = ()

    def answered(self, rules: Rules, keep: float) -> Tensor:
        """Return which test clips get an answer, `[n_clips]`, bool."""
        if not self.parts:
            return self.groups[TEST].known(rules)
        found = []
        for place, part in enumerate(self.parts):
            others = [*self.parts[:place], *self.parts[place + 1 :]]
            values = {
                rule.score: torch.cat(
                    [one.scores[rule.score] for one in others]
                )
                for rule in rules
            }
            found.append(part.known(calibrate_together(values, keep)))
        return torch.cat(found)


def _new_shape(model: SoundModel) -> SpectralShape:
    """Make what learns the spectra of a model's clips."""
    own = model.spectrogram
    n_classes = len(model.labels)
    shape = SpectralShape(own.sample_rate, own.n_fft, n_classes=n_classes)
    return shape.to(model.classifier.device)


def _read_known(sounds: Sounds) -> _Known:
    """Let the model hear the clips of its folds."""
    model = sounds.model
    rate = model.reader.sample_rate
    shape = _new_shape(model)

    def load(split: str, seconds: float | None = None) -> Iterator[Tensor]:
        wavs = (load_wav(path, rate) for path, _ in sounds.rows[split])
        if seconds is None:
            return wavs
        sizes = round(seconds * rate), round(STEP * rate)
        return (cut_loudest(wav, *sizes) for wav in wavs)

    def score(split: str, seconds: float | None = None) -> Scored:
        ids = [class_id for _, class_id in sounds.rows[split]]
        wavs = load(split, seconds)
        return score_sounds(model, wavs, space, shape=shape, targets=ids)[0]

    ids = torch.tensor([class_id for _, class_id in sounds.rows["train"]])
    shape.fit(describe_sounds(model, load("train"), shape), ids)
    space = EmbeddingSpace.fit(score_sounds(model, load("train"))[1], ids)
    groups = {split: score(split) for split in (VALID, TEST)}
    groups |= {
        f"{TEST}_{seconds:g}_s": score(TEST, seconds)
        for seconds in sounds.piece_seconds
    }
    return _Known(groups, shape, space)


def _recall_known(sounds: Sounds, needs_spectra: bool) -> _Known:
    """Take what others said of the clips that they had not heard."""
    described = _describe_held_out(sounds, needs_spectra)
    parts = []
    for each in sounds.answers:
        scores = {
            name: OF_LOGITS[name](each.logits, each.decision)
            for name in OF_LOGITS
        }
        if described:
            said = each.logits.argmax(1).tolist()
            places = [sounds.model.labels.index(each.labels[i]) for i in said]
            distances = _fit(sounds.model, described, each.clip_ids).distance(
                torch.stack([described[clip][0] for clip in each.clip_ids]),
                torch.tensor(places),
            )
            scores[SPECTRUM] = distances.to(each.logits)
        silent = torch.zeros_like(each.correct)
        parts.append(Scored(scores, silent, each.correct))
    whole = Scored(
        {
            name: torch.cat([part.scores[name] for part in parts])
            for name in parts[0].scores
        },
        torch.cat([part.silent for part in parts]),
        torch.cat([part.correct for part in parts]),
    )
    several = parts if len(parts) > 1 else ()
    shape = _fit(sounds.model, described) if described else None
    return _Known({VALID: whole, TEST: whole}, shape, parts=several)


def _describe_held_out(
    sounds: Sounds, is_needed: bool
) -> dict[str, tuple[Tensor, int]]:
    """Describe the spectra of the training clips: values, class id, by clip.

    Nothing, unless it is needed, where clips that were held out are not there.
    """
    known = {path for path, _ in sounds.rows["train"]}
    clips = sounds.clips[sounds.clips["path"].isin(known)]
    said = {clip for each in sounds.answers for clip in each.clip_ids}
    missing = sorted(said - set(clips["clip_id"]))
    if missing and is_needed:
        raise DataError(
            f"score=spectrum needs the sounds of the clips that were held out: "
            f"{len(missing)} are not in data_folder={sounds.data_folder}, such "
            f"as {missing[0]}."
        )
    if missing:
        return {}
    rate = sounds.model.reader.sample_rate
    wavs = (load_wav(path, rate) for path in clips["path"])
    values = describe_sounds(sounds.model, wavs, _new_shape(sounds.model))
    pairs = zip(values, clips["class_id"], strict=True)
    return dict(zip(clips["clip_id"], pairs, strict=True))


def _fit(
    model: SoundModel,
    described: Mapping[str, tuple[Tensor, int]],
    without: Sequence[str] = (),
) -> SpectralShape:
    """Learn what is usual from all clips but some."""
    left_out = set(without)
    rest = [row for clip, row in described.items() if clip not in left_out]
    if not rest:
        raise DataError(
            "held_out is one run that was tested on all clips; none is left to "
            "say which spectra are usual."
        )
    shape = _new_shape(model)
    values, ids = zip(*rest, strict=True)
    shape.fit(torch.stack(values), torch.tensor(ids))
    return shape


def _judge(
    rules: Rules, groups: Mapping[str, Scored], answered: Tensor
) -> dict[str, Any]:
    """Say what rules let through of each group, and of the test clips."""
    shares = {
        name: float(group.known(rules).float().mean())
        for name, group in groups.items()
    }
    right = groups[TEST].correct.float()
    silence = groups[SILENCE]
    alone = replace(silence, silent=torch.zeros_like(silence.silent))
    return {
        "score": AND.join(rule.score for rule in rules),
        # several have theirs in `novelty`
        "threshold": rules[0].threshold if len(rules) == 1 else None,
        **shares,
        TEST: float(answered.float().mean()),
        "test_accuracy": float(right.mean()),
        "test_known_accuracy": float(right[answered].mean()),
        "silence_by_score": float(alone.known(rules).float().mean()),
    }
