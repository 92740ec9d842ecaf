"""`boxes of a clip -> cells`: what a person marked, on a spectrogram's grid."""

from __future__ import annotations

import torch
from torch import Tensor

from focalaudio.spectrogram import Spectrogram, Spectrum

# the last digits of a table that `focalaudio.report.boxes` writes
EPS_SECONDS, EPS_HERTZ = 1e-6, 1e-3


def boxes_to_cells(
    boxes: Tensor,
    class_ids: Tensor,
    spectrum: Spectrum,
    spectrogram: Spectrogram,
) -> Tensor:
    """Say which cells are in a box of the explained class.

    A cell reaches half a hop and half a bin to either side of its center, and
    is in every box that it overlaps by more than a table's rounding: 1 us and
    1 mHz, or a third of the box if that is less.

    Arguments
    ---------
    boxes : torch.Tensor
        `[batch, n_boxes, 5]`, best in double: begin and end in s, lowest and
        highest frequency in Hz, class id. Boxes of no duration, such as
        padding, hold nothing.
    class_ids : torch.Tensor
        `[batch]`, int64, the classes that are explained.
    spectrum : Spectrum
        Of the clips.
    spectrogram : Spectrogram
        That made it.

    Returns
    -------
    torch.Tensor
        `[batch, time, freq]`, bool; False beyond each clip's end.

    Example
    -------
    >>> spectrogram = Spectrogram()
    >>> spectrum = spectrogram(torch.rand(1, 16000))
    >>> boxes = torch.tensor([[[0.25, 0.5, 1000.0, 2000.0, 3.0]]])
    >>> asked = spectrum, spectrogram
    >>> cells = boxes_to_cells(boxes, torch.tensor([3]), *asked)
    >>> cells.any(2).float().mean().round(decimals=2)  # a quarter of the time
    tensor(0.2500)
    """
    # in double: a box's end is often exactly a cell's
    edges = boxes.double().unsqueeze(-1)
    begin, end, low, high, owner = edges.unbind(2)
    of_class = (owner == class_ids[:, None, None]) & (end > begin)
    n_time, n_freq = spectrum.log_magnitude.shape[1:]
    hop = spectrogram.hop_samples / spectrogram.sample_rate  # s
    bin_width = spectrogram.sample_rate / spectrogram.n_fft  # Hz
    in_time = _overlaps(begin, end, n_time, hop, EPS_SECONDS) & of_class
    in_band = _overlaps(low, high, n_freq, bin_width, EPS_HERTZ)
    # a cell is in any box that has its time and its frequency
    covered = in_time.float().transpose(1, 2) @ in_band.float()
    return (covered > 0) & spectrum.own_frames[:, :, None]


def _overlaps(
    low: Tensor, high: Tensor, n_cells: int, width: float, least: float
) -> Tensor:
    """Say which cells, at multiples of a width, share enough of low..high."""
    cells = torch.arange(n_cells, device=low.device, dtype=low.dtype)
    edges = (cells - 0.5) * width
    shared = torch.minimum(high, edges + width) - torch.maximum(low, edges)
    # one of the two cells that a tiny box may lie in has half of it
    return shared > ((high - low) / 3).clamp(max=least)
