"""`features -> mask logits`: the decoders of PIQ and of L-MAC.

PIQ's have a quantizer within: `paper` are the published architectures (arXiv
2303.12659, arXiv 2402.02754), whose weights load; `light` is ours: its channels
shrink as the map grows, and it fits any encoder. So does L-MAC's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from focalaudio.arguments import remember_arguments
from focalaudio.encoders.conv2d import ResidualBlock
from focalaudio.interpreters.quantizer import Quantized, Quantizer


@dataclass(frozen=True)
class Drawn:
    """What any decoder draws of a batch of feature maps.

    Arguments
    ---------
    mask_logits : torch.Tensor
        `[batch, rows, cols]`, before the sigmoid, on the decoder's own grid:
        time and frequency at its resolution.
    cells : tuple of int
        Rows and columns of the features that this grid was made of, and stands
        for the same part of the image as; the whole image if None.

    Example
    -------
    >>> import torch
    >>> decoder = LMACDecoder(8, n_classes=2)
    >>> decoder(torch.rand(1, 8, 7, 9), torch.tensor([1])).mask_logits.shape
    torch.Size([1, 56, 72])
    """

    mask_logits: Tensor
    cells: tuple[int, int] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Decoded(Drawn):
    """What a decoder of PIQ makes of a batch of feature maps.

    Arguments
    ---------
    mask_logits, cells
        See `Drawn`.
    latents : torch.Tensor
        `[batch, code_dim, rows, cols]`, before quantization.
    quantized : Quantized
        The same, quantized.
    """

    latents: Tensor
    quantized: Quantized


Size = int | tuple[int, int]
Layers = tuple[tuple[Size, Size], ...]
# kernel, stride of the transposed convolutions, rows and columns apart; what
# follows each but the last is a ReLU and a batch norm
CONV2D_LAYERS: Layers = ((3, 2), (4, 2), (4, 2), (4, 2), (12, 1))
SQUARE_LAYERS: Layers = (
    (3, (4, 5)),
    ((4, 1), 2),
    ((4, 1), 2),
    ((4, 2), 2),
    ((10, 8), 1),
)
# layout -> transposed convolutions, enlargement of the encoder's features, and
# how many of the 431 frames of 5 s the output lacks
LAYOUTS: dict[str, tuple[Layers, int, int]] = {
    "conv2d": (CONV2D_LAYERS, 1, 14),
    "focalnet": (SQUARE_LAYERS, 2, 0),
    "vit": (SQUARE_LAYERS, 1, 0),
}


@remember_arguments
class PaperDecoder(nn.Module):
    """The published decoders; all channels as wide as the features.

    Arguments
    ---------
    n_features : int
        Channels of the encoder's features.
    n_classes, n_codes, n_shared : int
        See `Quantizer`.
    layout : str
        `conv2d`, `focalnet` or `vit`: whose features they decode. For
        features of 26 x 32, 7 x 7 and 14 x 14 they give 431 x 513; the
        published conv2d decoder stops 14 frames short, and its last frame is
        repeated.

    Raises
    ------
    ValueError
        If there is no such layout.

    Example
    -------
    >>> import torch
    >>> decoder = PaperDecoder(4, n_classes=2, n_codes=8, layout="vit")
    >>> decoder(torch.rand(1, 4, 14, 14), torch.tensor([1])).mask_logits.shape
    torch.Size([1, 431, 513])
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        n_codes: int = 1024,
        n_shared: int = 0,
        layout: str = "focalnet",
    ) -> None:
        super().__init__()
        if layout not in LAYOUTS:
            raise ValueError(
                f"layout={layout!r} must be one of {', '.join(LAYOUTS)}."
            )
        layers, self.enlargement, self.missing_frames = LAYOUTS[layout]
        self.quantizer = Quantizer(n_codes, n_features, n_classes, n_shared)
        self.adapter = ResidualBlock(n_features)
        self.down = nn.Conv2d(n_features, n_features, 4, 2, 1)
        self.up = nn.ConvTranspose2d(n_features, n_features, 4, 2, 1)
        steps: list[nn.Module] = []
        for kernel, stride in layers[:-1]:
            steps += [
                nn.ConvTranspose2d(n_features, n_features, kernel, stride, 1),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(n_features),
            ]
        kernel, stride = layers[-1]
        last = nn.ConvTranspose2d(n_features, 1, kernel, stride, 1)
        self.decoder = nn.Sequential(*steps, last)
        self.apply(_init_convolution)

    def forward(self, features: Tensor, class_ids: Tensor) -> Decoded:
        """Decode `[batch, n_features, rows, cols]` for classes `[batch]`."""
        if self.enlargement > 1:
            features = F.interpolate(
                features,
                scale_factor=self.enlargement,
                mode="bilinear",
                antialias=True,
            )
        latents = self.down(self.adapter(features))
        quantized = self.quantizer(latents, class_ids)
        grid = self.decoder(self.up(quantized.straight))
        grid = F.pad(grid, (0, 0, 0, self.missing_frames), mode="replicate")
        return Decoded(grid[:, 0], latents, quantized)


def _init_convolution(module: nn.Module) -> None:
    """Initialize a convolution as published: Xavier weights, zero bias."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@remember_arguments
class LightDecoder(nn.Module):
    """A decoder whose channels shrink as its map grows.

    The same stages as the published one (adapter, stride-2 convolution,
    quantizer, enlargement to a mask); each doubling of the map halves the
    channels, so that every level costs about the same.

    Arguments
    ---------
    n_features, n_classes, n_codes, n_shared : int
        As in `PaperDecoder`.
    width : int
        Channels of the codes and of the coarsest level, at least 16.
    n_doublings : int
        How often the encoder's grid is doubled.

    Example
    -------
    >>> import torch
    >>> decoder = LightDecoder(8, n_classes=2, n_codes=16)
    >>> decoder(torch.rand(1, 8, 7, 9), torch.tensor([1])).mask_logits.shape
    torch.Size([1, 56, 72])
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        n_codes: int = 1024,
        n_shared: int = 0,
        width: int = 64,
        n_doublings: int = 3,
    ) -> None:
        super().__init__()
        self.quantizer = Quantizer(n_codes, width, n_classes, n_shared)
        self.adapter = nn.Sequential(
            nn.Conv2d(n_features, width, 1), ResidualBlock(width)
        )
        self.down = nn.Conv2d(width, width, 4, 2, 1)
        self.up = nn.Sequential(
            _Enlarge(width, width), *_doublings(width, n_doublings)
        )
        self.to_mask = nn.Conv2d(_narrowed(width, n_doublings), 1, 3, padding=1)

    def forward(self, features: Tensor, class_ids: Tensor) -> Decoded:
        """Decode `[batch, n_features, rows, cols]` for classes `[batch]`."""
        rows, cols = features.shape[2:]
        # an even grid survives the stride of two
        padded = F.pad(features, (0, cols % 2, 0, rows % 2), mode="replicate")
        latents = self.down(self.adapter(padded))
        quantized = self.quantizer(latents, class_ids)
        mask_logits = self.to_mask(self.up(quantized.straight))[:, 0]
        scale = 2 ** (len(self.up) - 1)
        mask_logits = mask_logits[:, : rows * scale, : cols * scale]
        return Decoded(mask_logits, latents, quantized, cells=(rows, cols))


class _Enlarge(nn.Sequential):
    """Double a map and refine it."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


def _narrowed(width: int, n_doublings: int) -> int:
    """Return the channels that are left when a map was doubled so often."""
    for _ in range(n_doublings):
        width = max(width // 2, 8)
    return width


def _doublings(width: int, n_doublings: int) -> Iterator[_Enlarge]:
    """Yield steps that double the map and halve the channels, to 8."""
    for step in range(n_doublings):
        yield _Enlarge(_narrowed(width, step), _narrowed(width, step + 1))


@remember_arguments
class LMACDecoder(nn.Module):
    """L-MAC's decoder: from the classifier's features to a mask for a class.

    The paper's decoder (arXiv 2403.13086) is a U-Net on several layers of a
    CNN14 and sees no class. This one reads the last features only, so that it
    fits any encoder, and each doubling of the map halves the channels. What it
    adds is the class: every class has a gain for each channel, learnt with the
    rest, so that another `target` draws another mask. It was taught by the
    predicted classes only.

    Arguments
    ---------
    n_features : int
        Channels of the encoder's features.
    n_classes : int
        Classes that may be explained.
    width : int
        Channels of the coarsest level.
    n_doublings : int
        How often the encoder's grid is doubled.

    Example
    -------
    >>> import torch
    >>> decoder = LMACDecoder(8, n_classes=3, n_doublings=1).eval()
    >>> features = torch.rand(1, 8, 7, 9).expand(2, -1, -1, -1)
    >>> one, other = decoder(features, torch.tensor([0, 2])).mask_logits
    >>> one.shape, torch.equal(one, other)
    (torch.Size([14, 18]), False)
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        width: int = 64,
        n_doublings: int = 3,
    ) -> None:
        super().__init__()
        self.adapter = nn.Sequential(
            nn.Conv2d(n_features, width, 1), ResidualBlock(width)
        )
        self.gains = nn.Embedding(n_classes, width)
        nn.init.normal_(self.gains.weight, 1.0, 0.5)
        self.up = nn.Sequential(*_doublings(width, n_doublings))
        self.to_mask = nn.Conv2d(_narrowed(width, n_doublings), 1, 3, padding=1)

    def forward(self, features: Tensor, class_ids: Tensor) -> Drawn:
        """Draw `[batch, n_features, rows, cols]` for classes `[batch]`."""
        gains = self.gains(class_ids)[:, :, None, None]
        drawn = self.to_mask(self.up(self.adapter(features) * gains))[:, 0]
        rows, cols = features.shape[2:]
        return Drawn(drawn, cells=(rows, cols))


@remember_arguments
class SpectrogramDecoder(nn.Module):
    """L-MAC's decoder for a classifier whose features nobody knows.

    It reads the spectrogram as an image, halves it with strided convolutions,
    and draws the mask from that as `LMACDecoder` does from features.

    Arguments
    ---------
    n_classes : int
        Classes that may be explained.
    width : int
        Channels of the coarsest level.
    n_doublings : int
        How often the image is halved, and doubled again.

    Example
    -------
    >>> import torch
    >>> decoder = SpectrogramDecoder(n_classes=3, width=16, n_doublings=2)
    >>> image, class_ids = torch.rand(2, 1, 24, 16), torch.tensor([0, 2])
    >>> decoder(image, class_ids).mask_logits.shape
    torch.Size([2, 24, 16])
    """

    def __init__(
        self, n_classes: int, width: int = 64, n_doublings: int = 3
    ) -> None:
        super().__init__()
        widths = [_narrowed(width, n) for n in range(n_doublings, -1, -1)]
        self.halve = nn.Sequential(
            nn.Conv2d(1, widths[0], 3, padding=1),
            *(_Halve(*pair) for pair in pairwise(widths)),
        )
        self.draw = LMACDecoder(width, n_classes, width, n_doublings)

    def forward(self, features: Tensor, class_ids: Tensor) -> Drawn:
        """Draw images `[batch, 1, height, width]` for classes `[batch]`."""
        drawn = self.draw(self.halve(features), class_ids)
        # halves are rounded up, so that what was doubled may be larger
        height, width = features.shape[2:]
        own = drawn.mask_logits[:, :height, :width]
        return replace(drawn, mask_logits=own, cells=None)


class _Halve(nn.Sequential):
    """Halve a map and refine it."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, 2, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


DECODERS = {"light": LightDecoder, "paper": PaperDecoder}
