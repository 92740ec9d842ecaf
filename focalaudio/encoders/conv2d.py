"""Conv2dEncoder: four strided convolutions, PIQ's own encoder.

`image [batch, channels, height, width] -> features, embeddings, maps`: the
encoder that arXiv 2303.12659 interprets, for images of one channel at their
full resolution. It has no maps of its own; what stands in for them is how
strongly each cell of the last feature map answers.
"""

from __future__ import annotations

from torch import Tensor, nn

from focalaudio.arguments import remember_arguments
from focalaudio.encoders.base import DropPath, EncoderOutput


class ResidualBlock(nn.Module):
    """A residual block of a 3 x 3 and a 1 x 1 convolution of `dim` channels.

    `drop_path` is its rate of stochastic depth, 0 to 1 (excluded).
    """

    def __init__(self, dim: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, 3, padding=1),
            nn.BatchNorm2d(dim),
            nn.ReLU(),
            nn.Conv2d(dim, dim, 1),
            nn.BatchNorm2d(dim),
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, features: Tensor) -> Tensor:
        """Map `[batch, dim, rows, cols]` to the same shape."""
        return features + self.drop_path(self.block(features))


class _ConvStage(nn.Sequential):
    """Halve a map: a convolution, a batch norm, a ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 4, 2, 1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.activation = nn.ReLU()


@remember_arguments
class Conv2dEncoder(nn.Module):
    """Four stages that halve the image, and a residual block.

    Arguments
    ---------
    dim : int
        Channels of every stage.
    in_channels : int
        Channels of the image.
    drop_path : float
        Rate of stochastic depth at the residual block.
    image_size : tuple of int
        Height and width that inputs are resized to by default, in pixels.

    Raises
    ------
    ValueError
        If `drop_path` is outside 0 to 1.

    Example
    -------
    >>> import torch
    >>> output = Conv2dEncoder(dim=8)(torch.rand(2, 1, 431, 513))
    >>> output.features.shape, output.embeddings.shape
    (torch.Size([2, 8, 26, 32]), torch.Size([2, 8]))
    """

    map_names = ("last",)
    strides = (16,)

    def __init__(
        self,
        dim: int = 256,
        in_channels: int = 1,
        drop_path: float = 0.0,
        image_size: tuple[int, int] = (431, 513),
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.image_size = tuple(image_size)
        self.n_features = dim
        self.stages = nn.Sequential(
            _ConvStage(in_channels, dim),
            *(_ConvStage(dim, dim) for _ in range(3)),
        )
        self.residual = ResidualBlock(dim, drop_path)

    def forward(self, image: Tensor) -> EncoderOutput:
        """Encode images, and say which cells answered.

        The only map, `last`, is the L2 norm over channels of the features; the
        embedding is their mean over cells.

        `image` is `[batch, in_channels, height, width]`, each side at least 16;
        features are `[batch, n_features, height // 16, width // 16]`.
        """
        features = self.residual(self.stages(image))
        return EncoderOutput(
            features, features.mean((2, 3)), (features.norm(dim=1),)
        )
