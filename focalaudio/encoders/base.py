"""What every encoder returns: an image in, features, embeddings and maps out.

The contract of `image -> encoder -> features + maps` (no sound words here). An
encoder is a `torch.nn.Module` that maps `[batch, in_channels, height, width]`
to an `EncoderOutput`, with the attributes

- `n_features`: channels of its features
- `map_names`: what each map shows, the most telling one last; may be empty
- `in_channels`: of its images
- `image_size`: height and width it was designed for; others must work too
- `n_embedding`, only if the embedding is no mean over the features: its size.
  What each cell says of a class, and Grad-CAM, are not offered then
- `n_fine`, only if it returns early features: their channels
- `strides`, only if its cells may reach beyond the image, or leave a rest of it
  out, when an image's side is no multiple of them: the pixels along a side of
  a cell, for each grid that it returns. Without it, cells cover the image
- `takes_one_size`, only if it stretches other images to `image_size`

`check_encoder` says in one line what an encoder of one's own gets wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from focalaudio.encoders.linear import Linear, linear
from focalaudio.errors import name_type

ATTRIBUTES = ("n_features", "map_names", "in_channels", "image_size")


@dataclass(frozen=True)
class EncoderOutput:
    """Features of a batch of images, with the maps that explain them.

    Arguments
    ---------
    features : torch.Tensor
        `[batch, channels, rows, cols]`, the last feature map.
    embeddings : torch.Tensor
        `[batch, channels]`, what a classifier's head reads. A convolutional
        encoder pools `features`; a transformer pools its tokens.
    maps : tuple of torch.Tensor
        One `[batch, rows, cols]` per name in the encoder's `map_names`,
        non-negative: where the encoder looked.
    fine : torch.Tensor
        `[batch, n_fine, more rows, more cols]`, the feature map of an early
        stage; None if the encoder has none.
    """

    features: Tensor
    embeddings: Tensor
    maps: tuple[Tensor, ...]
    fine: Tensor | None = None


def check_encoder(encoder: Any) -> None:
    """Refuse an encoder that does not keep the contract of this module.

    Its attributes are looked at; one that is not of this package is shown two
    blank images, too.

    Arguments
    ---------
    encoder : torch.nn.Module
        Stays as it is.

    Raises
    ------
    TypeError
        If it is no module, lacks an attribute, or returns another thing.
    ValueError
        If an attribute or what it returns has another size.

    Example
    -------
    >>> check_encoder(nn.Linear(1, 8))
    Traceback (most recent call last):
    TypeError: encoder Linear has no n_features, map_names, in_channels,
    image_size; focalaudio.encoders.base says what they are.
    """
    name = f"encoder {type(encoder).__name__}"
    if not callable(getattr(encoder, "parameters", None)):
        raise TypeError(f"{name} must be a torch.nn.Module.")
    missing = [each for each in ATTRIBUTES if not hasattr(encoder, each)]
    if missing:
        raise TypeError(
            f"{name} has no {', '.join(missing)}; focalaudio.encoders.base "
            "says what they are."
        )
    if not type(encoder).__module__.startswith("focalaudio."):
        probe_encoder(encoder, type(encoder).__name__)


def probe_encoder(encoder: Any, name: str) -> None:
    """Show an encoder two blank images, and check what it returns.

    `name` is what errors call it; they are those of `check_encoder`. Weights
    that take no memory (torch's device `meta`) are not asked.
    """
    with _in_evaluation(encoder), torch.no_grad():
        weights = next(encoder.parameters(), torch.empty(0))
        if weights.is_meta:
            return
        height, width = encoder.image_size
        blank = torch.zeros(2, encoder.in_channels, height, width)
        output = encoder(blank.to(weights.device))
    if not isinstance(output, EncoderOutput):
        raise TypeError(
            f"encoder {name} returned {name_type(output)}; it must "
            "return a focalaudio.encoders.EncoderOutput."
        )
    for fault in _find_faults(encoder, output):
        raise ValueError(f"encoder {name}: {fault}")


def _find_faults(encoder: Any, output: EncoderOutput) -> Iterator[str]:
    """Yield what is wrong with the output for two images."""
    features, embeddings = output.features, output.embeddings
    own = getattr(encoder, "n_embedding", None)
    n_embedding = encoder.n_features if own is None else own
    if features.shape[:2] != (2, encoder.n_features) or features.dim() != 4:
        yield (
            f"features have shape {tuple(features.shape)} for two images, not "
            f"(2, n_features={encoder.n_features}, rows, cols)."
        )
    if embeddings.shape != (2, n_embedding):
        yield (
            f"embeddings have shape {tuple(embeddings.shape)} for two images, "
            f"not (2, {n_embedding}); if they are no mean over the features, "
            "give the encoder n_embedding, their size."
        )
    if len(output.maps) != len(encoder.map_names):
        yield (
            f"it returned {len(output.maps)} maps, but map_names has "
            f"{len(encoder.map_names)}."
        )
    if any(each.dim() != 3 or len(each) != 2 for each in output.maps):
        shapes = [tuple(each.shape) for each in output.maps]
        yield f"maps have shapes {shapes}, not (2, rows, cols)."


@contextmanager
def _in_evaluation(module: nn.Module) -> Iterator[None]:
    """Set a module, and all within, to evaluation mode for a while."""
    modes = [(each, each.training) for each in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for each, mode in modes:
            each.training = mode


class DropPath(nn.Module):
    """Drop a residual branch for whole samples of a batch while training.

    Stochastic depth (arXiv 1603.09382) at a rate from 0 to 1 (excluded): the
    kept samples are scaled so that the expectation stays the same.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"rate={rate} must be at least 0 and below 1.")
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Return `branch` `[batch, ...]` with whole samples set to zero."""
        if not self.training or self.rate == 0:
            return branch
        shape = (len(branch),) + (1,) * (branch.dim() - 1)
        kept = torch.rand(shape, device=branch.device) >= self.rate
        return branch * kept.to(branch.dtype) / (1 - self.rate)


class Mlp(nn.Module):
    """Two linear maps with a GELU between them, over the last dimension."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.expand = Linear(dim, hidden_dim)
        self.reduce = Linear(hidden_dim, dim)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map `[..., dim]` to the same shape."""
        expand = self.expand
        return self.reduce(
            linear(hidden, expand.weight, expand.bias, gelu=True)
        )


def drop_path_rates(last: float, depth: int) -> list[float]:
    """Spread rates of stochastic depth over blocks, from 0 to `last`."""
    return [last * block / max(1, depth - 1) for block in range(depth)]


def find_strides(encoder: Any, size: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of an encoder's grids over images of a size, pixels.

    None where the encoder does not say, and where it stretches the images.
    """
    stretched = tuple(size) != tuple(encoder.image_size)
    if stretched and getattr(encoder, "takes_one_size", False):
        return ()
    return tuple(getattr(encoder, "strides", ()))


def pad_to_patches(grid: Tensor, patch_size: int) -> Tensor:
    """Pad `[batch, channels, rows, cols]` with zeros to whole patches.

    Up to `patch_size - 1` rows and columns, at the bottom and on the right.
    """
    bottom, right = (-size % patch_size for size in grid.shape[2:])
    return F.pad(grid, (0, right, 0, bottom)) if bottom or right else grid


def init_linear(module: nn.Module) -> None:
    """Initialize a linear layer as vision transformers do (std 0.02).

    Other modules are left as they are, for `torch.nn.Module.apply`.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
