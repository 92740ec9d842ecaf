"""`saliency, sounding frames -> one value per clip`: when a class is heard.

A map as one curve over time: a frame's saliency is the sum over its
frequencies. It is compared with the frames in which the source of the class
sounds. Pointing, IoU and F1 of frames are those that arXiv 2605.23293 compares
weak and strong supervision by; the rules for when a frame sounds and when it is
marked are ours, the same for every map.
"""

from __future__ import annotations

import torch
from torch import Tensor

from focalaudio.masks import CONSTANT_RANGE

# A source sounds in the frames that are at most this far below its loudest
# frame, dB of energy; where it is silent throughout, it sounds in none.
SOUNDS_WITHIN = 40.0


def find_sounding(energy: Tensor, own: Tensor) -> Tensor:
    """Say in which frames a source sounds, see `SOUNDS_WITHIN`.

    Arguments
    ---------
    energy : torch.Tensor
        `[batch, time, freq]`, of the source alone.
    own : torch.Tensor
        `[batch, time]`, bool, each clip's own frames.

    Returns
    -------
    torch.Tensor
        `[batch, time]`, bool.

    Example
    -------
    >>> energy = torch.tensor([[[1.0], [2e-4], [5e-5], [0.0]]])
    >>> find_sounding(energy, torch.ones(1, 4).bool())
    tensor([[ True,  True, False, False]])
    """
    frames = energy.sum(2) * own
    loudest = frames.amax(1, keepdim=True)
    return (frames > 0) & (frames >= loudest * 10 ** (-SOUNDS_WITHIN / 10))


def find_marked(saliency: Tensor, own: Tensor) -> Tensor:
    """Say which frames have more than the mean frame's saliency.

    A map that is the same in all frames marks none.

    Arguments
    ---------
    saliency : torch.Tensor
        `[batch, time, freq]`, any scale.
    own : torch.Tensor
        `[batch, time]`, bool, each clip's own frames.

    Returns
    -------
    torch.Tensor
        `[batch, time]`, bool.

    Example
    -------
    >>> saliency = torch.tensor([[[0.0, 3.0], [1.0, 1.0], [0.0, 1.0]]])
    >>> find_marked(saliency, torch.ones(1, 3).bool())
    tensor([[ True, False, False]])
    """
    frames = saliency.double().sum(2) * own
    mean = frames.sum(1, keepdim=True) / own.sum(1, keepdim=True)
    return (frames > mean + CONSTANT_RANGE * mean.abs()) & own


def time_pointing(saliency: Tensor, sounding: Tensor, own: Tensor) -> Tensor:
    """Say whether the source sounds in the most salient frame.

    Where several frames are the most salient, the share of them in which it
    does.

    Arguments
    ---------
    saliency : torch.Tensor
        `[batch, time, freq]`, any scale.
    sounding, own : torch.Tensor
        `[batch, time]`, bool; see `find_sounding`.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1; `nan` where the source is silent throughout. Higher
        is better; chance is `time_chance`.

    Example
    -------
    >>> saliency = torch.tensor([[[1.0, 1.0], [0.0, 2.0], [0.0, 1.0]]])
    >>> sounding = torch.tensor([[True, False, False]])
    >>> time_pointing(saliency, sounding, torch.ones(1, 3).bool())
    tensor([0.5000])
    """
    frames = saliency.double().sum(2).masked_fill(~own, -torch.inf)
    most = frames == frames.amax(1, keepdim=True)
    share = (most & sounding).sum(1) / most.sum(1)
    return _where_heard(share, sounding)


def time_iou(marked: Tensor, sounding: Tensor) -> Tensor:
    """Return the intersection over union of two sets of frames.

    Arguments
    ---------
    marked, sounding : torch.Tensor
        `[batch, time]`, bool.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1; `nan` where the source is silent throughout. Higher
        is better.

    Example
    -------
    >>> marked = torch.tensor([[True, True, False]])
    >>> time_iou(marked, torch.tensor([[False, True, False]]))
    tensor([0.5000])
    """
    common = (marked & sounding).sum(1)
    return _where_heard(common / (marked | sounding).sum(1), sounding)


def frame_f1(marked: Tensor, sounding: Tensor) -> Tensor:
    """Return the F1 score of marked frames: `2 |both| / (|marked| + |true|)`.

    Arguments
    ---------
    marked, sounding : torch.Tensor
        `[batch, time]`, bool.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1; `nan` where the source is silent throughout. Higher
        is better.

    Example
    -------
    >>> marked = torch.tensor([[True, True, False]])
    >>> frame_f1(marked, torch.tensor([[False, True, False]]))
    tensor([0.6667])
    """
    sizes = marked.sum(1) + sounding.sum(1)
    return _where_heard(2 * (marked & sounding).sum(1) / sizes, sounding)


def time_chance(sounding: Tensor, own: Tensor) -> Tensor:
    """Return the share of the frames in which the source sounds.

    What pointing at any frame gets. Near 1 there is nothing to find, and the
    scores above are high whatever the map.

    Arguments
    ---------
    sounding, own : torch.Tensor
        `[batch, time]`, bool; see `find_sounding`.

    Returns
    -------
    torch.Tensor
        `[batch]`, 0 to 1.

    Example
    -------
    >>> own = torch.ones(1, 4).bool()
    >>> time_chance(torch.tensor([[True, False, False, False]]), own)
    tensor([0.2500])
    """
    return sounding.sum(1) / own.sum(1)


def _where_heard(scores: Tensor, sounding: Tensor) -> Tensor:
    """Leave scores undefined where the source is silent throughout."""
    return scores.masked_fill(~sounding.any(1), torch.nan)
