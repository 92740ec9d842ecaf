"""`Interpretation -> HTML`: what a notebook shows of it."""

from __future__ import annotations

import html
import tempfile
from pathlib import Path

from focalaudio.audio import write_wav
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.pictures import draw_interpretation, save_picture
from focalaudio.report.encoded import PNG, to_uri
from focalaudio.waveforms import common_gain

MOST_SHOWN = 3  # clips; a notebook keeps all that it shows
DPI = 80


def show_interpretation(interpretation: Interpretation) -> str:
    """Return a picture and a player of the kept part of the first clips.

    Arguments
    ---------
    interpretation : Interpretation
        Of a batch.

    Returns
    -------
    str
        HTML that needs no other file; every label in it is escaped.

    Example
    -------
    >>> import torch
    >>> from focalaudio.spectrogram import Spectrogram
    >>> spectrogram = Spectrogram()
    >>> spectrum = spectrogram(torch.rand(1, 1000))
    >>> cells = torch.rand(spectrum.log_magnitude.shape)
    >>> parts = torch.zeros(1, 2), torch.tensor([1]), cells, cells > 0.5
    >>> found = Interpretation(*parts, spectrum, spectrogram)
    >>> show_interpretation(found).count("<audio controls")
    1
    """
    n_clips = len(interpretation.class_ids)
    shown = range(min(n_clips, MOST_SHOWN))
    parts = [_show_clip(interpretation, row) for row in shown]
    if n_clips > MOST_SHOWN:
        parts.append(f"<p>and {n_clips - MOST_SHOWN} more clips</p>")
    return f"<div>{''.join(parts)}</div>"


def _show_clip(interpretation: Interpretation, row: int) -> str:
    """Return a line, a picture and a player."""
    n_classes = interpretation.logits.shape[1]
    figure = draw_interpretation(
        interpretation,
        row,
        spectrogram=interpretation.synthesis,
        labels=[interpretation.label_of(index) for index in range(n_classes)],
    )
    length = int(interpretation.spectrum.n_samples[row])
    kept = interpretation.wavs[row, :length].detach().cpu()
    with tempfile.TemporaryDirectory() as folder:
        picture = save_picture(figure, Path(folder) / "a.png", dpi=DPI)
        rate, gain = interpretation.synthesis.sample_rate, common_gain(kept)
        sound = write_wav(Path(folder) / "a.wav", kept, rate, gain=gain)
        image = to_uri(picture.read_bytes(), PNG)
        player = to_uri(sound.read_bytes(), "audio/wav")
    line = html.escape(interpretation.describe(row))
    return (
        f"<p>{line}; what was kept:</p>"
        f'<audio controls src="{player}"></audio>'
        f'<img alt="{line}" style="max-width: 100%" src="{image}">'
    )
