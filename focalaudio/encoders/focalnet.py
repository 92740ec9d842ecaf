"""FocalNet: an image encoder whose modulators show where it looked.

`image [batch, channels, height, width] -> features, embeddings, maps`.
Focal modulation networks (arXiv 2203.11926) replace self-attention by focal
modulation; the norm of the modulators explains the network without any other
model (arXiv 2402.02754). With respect to the published code:

- the modulators are returned, not fished out by hooks;
- any image size: edges that do not fill a patch are padded, as transformers
  does;
- an optional top-down path gives a last feature map with fine cells;
- activations stay `[batch, rows, cols, channels]`; convolutions see them
  through a permuted view, so nothing is copied between layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from focalaudio.arguments import remember_arguments
from focalaudio.encoders.base import (
    DropPath,
    EncoderOutput,
    Mlp,
    drop_path_rates,
    init_linear,
    pad_to_patches,
)
from focalaudio.encoders.depthwise import DepthwiseConv2d
from focalaudio.encoders.linear import Linear, linear
from focalaudio.image import enlarge


class FocalModulation(nn.Module):
    """Aggregate context at several ranges, then modulate each position.

    `y_i = q(x_i) * h(sum_l g_il z_il)`, followed by a linear map (arXiv
    2203.11926, equations 5 to 8; here the published order of the projections).

    Arguments
    ---------
    dim : int
        Channels.
    focal_window : int
        Kernel size of the first level, odd; each level adds 2.
    focal_levels : int
        How many depthwise convolutions, before the global level.
    """

    def __init__(self, dim: int, focal_window: int, focal_levels: int) -> None:
        super().__init__()
        self.sizes = [dim, dim, focal_levels + 1]
        self.project_in = Linear(dim, sum(self.sizes))
        self.levels = nn.ModuleList(
            DepthwiseConv2d(dim, size)
            for size in range(focal_window, focal_window + 2 * focal_levels, 2)
        )
        self.aggregate = nn.Conv2d(dim, dim, 1)
        self.project_out = Linear(dim, dim)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Modulate a map `[batch, rows, cols, channels]`.

        Returns that, and the modulator `[batch, channels, rows, cols]`.
        """
        # one product for each, so that every part lies dense in memory
        query, context, gates = (
            linear(hidden, weight, bias)
            for weight, bias in zip(
                self.project_in.weight.split(self.sizes),
                self.project_in.bias.split(self.sizes),
                strict=True,
            )
        )
        gathered = torch.zeros_like(query)
        for level, convolution in enumerate(self.levels):
            context = convolution(context.permute(0, 3, 1, 2))
            context = F.gelu(context).permute(0, 2, 3, 1)
            gate = gates[..., level : level + 1]
            gathered = torch.addcmul(gathered, context, gate)
        # seen with the channels last, so that gradients lie that way too
        everywhere = F.gelu(context.mean((1, 2), keepdim=True))
        gathered = torch.addcmul(gathered, everywhere, gates[..., -1:])
        # a convolution of 1 x 1 is a linear map of the channels
        modulator = linear(
            gathered, self.aggregate.weight.flatten(1), self.aggregate.bias
        )
        output = self.project_out(query * modulator)
        return output, modulator.permute(0, 3, 1, 2)


class _FocalBlock(nn.Module):
    """Focal modulation and an MLP, each on a normalized residual branch."""

    def __init__(
        self,
        dim: int,
        focal_window: int,
        focal_levels: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm_modulation = nn.LayerNorm(dim)
        self.modulation = FocalModulation(dim, focal_window, focal_levels)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return a map and its modulator, shaped as in `FocalModulation`."""
        update, modulator = self.modulation(self.norm_modulation(hidden))
        hidden = hidden + self.drop_path(update)
        update = self.mlp(self.norm_mlp(hidden))
        return hidden + self.drop_path(update), modulator


class _PatchEmbedding(nn.Module):
    """Cut a map into patches, project each, normalize."""

    def __init__(
        self, in_channels: int, out_channels: int, patch_size: int
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.projection = nn.Conv2d(
            in_channels, out_channels, patch_size, patch_size
        )
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, grid: Tensor) -> Tensor:
        """Map `[batch, channels, rows, cols]` to a coarse channels-last map."""
        grid = pad_to_patches(grid, self.patch_size)
        return self.norm(self._project_patches(grid))

    def _project_patches(self, grid: Tensor) -> Tensor:
        """Convolve `grid` by steps of a patch: one product with all patches."""
        sides = (-1, self.patch_size)
        patches = grid.unflatten(2, sides).unflatten(4, sides)
        patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(3)
        weight = self.projection.weight.flatten(1)
        return linear(patches, weight, self.projection.bias)


class _FocalStage(nn.Module):
    """A patch embedding and the blocks that work at its resolution."""

    def __init__(
        self, embedding: _PatchEmbedding, blocks: Sequence[_FocalBlock]
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.blocks = nn.ModuleList(blocks)

    def forward(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Return map and last modulator, `[batch, channels, rows, cols]`."""
        hidden = self.embedding(grid)
        for block in self.blocks:
            hidden, modulator = block(hidden)
        return hidden.permute(0, 3, 1, 2), modulator


class _Lateral(nn.Module):
    """Normalize a stage's map and bring it to the pyramid's channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(in_channels)
        self.projection = Linear(in_channels, out_channels)

    def forward(self, grid: Tensor) -> Tensor:
        """Map `[batch, channels, rows, cols]` to the pyramid's channels."""
        grid = self.projection(self.norm(grid.permute(0, 2, 3, 1)))
        return grid.permute(0, 3, 1, 2)


class _TopDown(nn.Module):
    """Merge coarse stages at the resolution of the first (see `FocalNet`)."""

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        focal_window: int,
        focal_levels: int,
    ) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            _Lateral(each, width) for each in channels
        )
        self.block = _FocalBlock(width, focal_window, focal_levels)

    def forward(self, grids: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return features and modulator, `[batch, width, rows, cols]`."""
        finest = grids[0].shape[2:]
        merged = torch.zeros_like(grids[0][:, :1])
        for lateral, grid in zip(self.laterals, grids, strict=True):
            merged = merged + enlarge(lateral(grid), finest)
        hidden, modulator = self.block(merged.permute(0, 2, 3, 1))
        return hidden.permute(0, 3, 1, 2), modulator


@remember_arguments
class FocalNet(nn.Module):
    """Focal modulation network without a head (arXiv 2203.11926).

    Arguments
    ---------
    dim : int
        Channels of the first stage; each stage doubles them.
    depths : sequence of int
        Blocks per stage.
    focal_window, focal_levels : int
        See `FocalModulation`; the same in all stages.
    patch_size : int
        Side of the first stage's patches, in pixels.
    in_channels : int
        Channels of the image.
    mlp_ratio : float
        Hidden size of the MLPs over their input size.
    drop_path : float
        Rate of stochastic depth at the last block; it grows linearly.
    image_size : tuple of int
        Height and width that inputs are resized to by default, in pixels.
    finest : int
        Bring coarser stages back to the resolution of this one, 1 for the
        first: the top-down path of feature pyramids (arXiv 1612.03144), with
        one more block of focal modulation where the stages meet. Its modulator
        gives one more map, `top_down`. None, as published, for no such path.
    width : int
        Channels of the features after a top-down path.

    Raises
    ------
    ValueError
        If `focal_window` is even, `drop_path` is outside 0 to 1, or there is
        no stage `finest`.

    Example
    -------
    >>> encoder = FocalNet(dim=8, depths=(1, 1), in_channels=1)
    >>> output = encoder(torch.rand(2, 1, 32, 48))
    >>> output.features.shape, [tuple(m.shape) for m in output.maps]
    (torch.Size([2, 16, 4, 6]), [(2, 8, 12), (2, 4, 6)])
    """

    def __init__(
        self,
        dim: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        focal_window: int = 3,
        focal_levels: int = 2,
        patch_size: int = 4,
        in_channels: int = 3,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        image_size: tuple[int, int] = (224, 224),
        finest: int | None = None,
        width: int = 64,
    ) -> None:
        super().__init__()
        if focal_window % 2 == 0:
            raise ValueError(f"focal_window={focal_window} must be odd.")
        if finest is not None and not 1 <= finest <= len(depths):
            raise ValueError(
                f"finest={finest} must be a stage, 1 to {len(depths)}."
            )
        self.in_channels = in_channels
        self.image_size = tuple(image_size)
        self.n_fine = dim  # channels of the first stage
        self.n_features = dim * 2 ** (len(depths) - 1)
        self.map_names = tuple(
            f"stage_{stage + 1}" for stage in range(len(depths))
        )
        self.strides = tuple(
            patch_size * 2**stage for stage in range(len(depths))
        )
        rates = iter(drop_path_rates(drop_path, sum(depths)))
        channels, stages = in_channels, []
        for stage, depth in enumerate(depths):
            wider = dim * 2**stage
            embedding = _PatchEmbedding(
                channels, wider, 2 if stage else patch_size
            )
            blocks = [
                _FocalBlock(
                    wider, focal_window, focal_levels, mlp_ratio, next(rates)
                )
                for _ in range(depth)
            ]
            stages.append(_FocalStage(embedding, blocks))
            channels = wider
        self.stages = nn.ModuleList(stages)
        self.finest = finest
        if finest is not None:
            widths = [dim * 2**stage for stage in range(len(depths))]
            self.top_down = _TopDown(
                widths[finest - 1 :], width, focal_window, focal_levels
            )
            self.n_features = width
            self.map_names = (*self.map_names, "top_down")
        self.apply(init_linear)

    def forward(self, image: Tensor) -> EncoderOutput:
        """Encode images and say where each stage looked.

        The maps are the L2 norms over channels of the modulators in the last
        block of each stage (arXiv 2402.02754, section 2); the embedding is
        the mean of the last feature map over its cells.

        `image` is `[batch, in_channels, height, width]`; features are
        `[batch, n_features, rows, cols]`, with one map per stage.
        """
        grids, maps = self._run_stages(image)
        features = grids[-1]
        if self.finest is not None:
            features, modulator = self.top_down(grids[self.finest - 1 :])
            maps.append(modulator.float().norm(dim=1))
        return EncoderOutput(
            features, features.mean((2, 3)), tuple(maps), grids[0]
        )

    def _run_stages(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return every stage's feature map, and where it looked."""
        grid, grids, maps = image, [], []
        for stage in self.stages:
            grid, modulator = stage(grid)
            grids.append(grid)
            # in full precision: low precision ties whole regions of a map
            maps.append(modulator.float().norm(dim=1))
        return grids, maps
