"""`clips of a model's classes -> their scores`: what chooses a threshold.

A model hears the clips of its folds. Of one that has heard all clips, what
others of the same recipe said of clips that they had not heard is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from focalaudio.audio import load_wav
from focalaudio.errors import DataError
from focalaudio.inference.novelty_scores import (
    Rules,
    Scored,
    describe_sounds,
    score_sounds,
)
from focalaudio.inference.novelty_sounds import (
    TEST,
    VALID,
    Sounds,
    cut_loudest,
)
from focalaudio.metrics.novelty import EmbeddingSpace, calibrate_together
from focalaudio.metrics.spectral_shape import SpectralShape
from focalaudio.models.model import SoundModel
from focalaudio.models.novelty import OF_LOGITS, SPECTRUM

STEP = 0.02  # s between the pieces of which the loudest is taken


@dataclass(frozen=True)
class KnownClips:
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


def hear_known(sounds: Sounds) -> KnownClips:
    """Let the model hear the clips of its folds.

    Arguments
    ---------
    sounds : Sounds
        With clips of the model's classes in all its folds.

    Returns
    -------
    KnownClips
        With all scores: spectra and distances are of the training clips.

    Raises
    ------
    DataError, AudioError
        If the data or a sound will not do.
    """
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
    return KnownClips(groups, shape, space)


def recall_known(sounds: Sounds, needs_spectra: bool) -> KnownClips:
    """Take what others said of the clips that they had not heard.

    Arguments
    ---------
    sounds : Sounds
        With `held_out`.
    needs_spectra : bool
        Whether it is an error that the sounds of some clips are not there;
        else there is no score of spectra then.

    Returns
    -------
    KnownClips
        With the scores of logits and of spectra; `valid` is `test`.

    Raises
    ------
    DataError, AudioError
        If the runs, the data or a sound will not do.
    """
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
    return KnownClips({VALID: whole, TEST: whole}, shape, parts=several)


def _new_shape(model: SoundModel) -> SpectralShape:
    """Make what learns the spectra of a model's clips."""
    own = model.spectrogram
    n_classes = len(model.labels)
    shape = SpectralShape(own.sample_rate, own.n_fft, n_classes=n_classes)
    return shape.to(model.classifier.device)


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
