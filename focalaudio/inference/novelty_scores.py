"""`model + sounds -> all scores of each`: how much like any class it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from focalaudio.inference.clips import prepare_clips
from focalaudio.metrics.novelty import SCORES, EmbeddingSpace, NoveltyRule
from focalaudio.metrics.spectral_shape import SpectralShape
from focalaudio.models.model import SoundModel
from focalaudio.models.novelty import SPECTRUM, score_clips, storable_scores
from focalaudio.spectrogram import Spectrum

BATCH_SIZE = 16
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
