"""ViT: a vision transformer, the baseline that FocalNet is compared with.

`image [batch, channels, height, width] -> features, embeddings, maps`, as in
arXiv 2010.11929, without a head. With respect to the published code:

- the classifier reads the mean over all tokens, as in arXiv 2402.02754; so
  besides the attention of the CLS token there is a map of what the average
  token read;
- attention is fused; for the maps, only the rows that they need are computed
  once more;
- any image size: edges that do not fill a patch are padded, and the position
  embeddings are interpolated.
"""

from __future__ import annotations

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
from focalaudio.encoders.linear import Linear


def _received(query: Tensor, key: Tensor) -> Tensor:
    """`mean_hq softmax(q_hq k_h / sqrt(dim))`, `[batch, tokens]`."""
    scores = query * query.shape[-1] ** -0.5 @ key.mT
    return scores.softmax(-1).mean((1, 2))


def _received_by_head(query: Tensor, key: Tensor) -> Tensor:
    """The same, one head's matrix at a time."""
    heads = zip(query.split(1, dim=1), key.split(1, dim=1), strict=True)
    return torch.stack([_received(*head) for head in heads]).mean(0)


class _Attention(nn.Module):
    """Multi-head self-attention (arXiv 1706.03762); shares its queries."""

    def __init__(self, dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.project_in = Linear(dim, 3 * dim)
        self.project_out = Linear(dim, dim)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map `[batch, tokens, dim]`; queries, keys `[batch, heads, ...]`."""
        projected = self.project_in(hidden).unflatten(2, (3, self.n_heads, -1))
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(query, key, value)
        return self.project_out(read.transpose(1, 2).flatten(2)), query, key


class _TransformerBlock(nn.Module):
    """Attention and an MLP, each on a normalized residual branch."""

    def __init__(
        self,
        dim: int,
        n_heads: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        norm_eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim, norm_eps)
        self.attention = _Attention(dim, n_heads)
        self.norm_mlp = nn.LayerNorm(dim, norm_eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return new tokens, queries and keys, shaped as in `_Attention`."""
        update, query, key = self.attention(self.norm_attention(hidden))
        hidden = hidden + self.drop_path(update)
        update = self.mlp(self.norm_mlp(hidden))
        return hidden + self.drop_path(update), query, key


@remember_arguments
class ViT(nn.Module):
    """Vision transformer without a head (arXiv 2010.11929).

    `map_names` is `layer_1`, `layer_2` and so on, then `pooled`:

    - `layer_n`: attention from the CLS token to each patch in that layer,
      mean over heads. The last of them is the usual map of a ViT; but CLS is
      one of all the tokens that the embedding averages;
    - `pooled`: attention that each patch receives in the last layer, mean
      over heads and over all tokens: what the average token, hence the
      embedding, read there. On the residual path each token adds itself too,
      with the same weight everywhere, which no map shows.

    The attention that CLS receives is left out, so a map sums to at most 1.

    Arguments
    ---------
    dim : int
        Size of a token.
    depth : int
        Number of blocks.
    n_heads : int
        Number of attention heads; divides `dim`.
    patch_size : int
        Side of a patch, in pixels.
    in_channels : int
        Channels of the image.
    mlp_ratio : float
        Hidden size of the MLPs over `dim`.
    drop_path : float
        Rate of stochastic depth at the last block; it grows linearly.
    image_size : tuple of int
        Height and width that there are position embeddings for, in pixels;
        other sizes interpolate them.
    norm_eps : float
        Added to the variance by the layer norms: 1e-12 as in transformers;
        timm's weights are used with 1e-6.

    Raises
    ------
    ValueError
        If `n_heads` does not divide `dim`, or `drop_path` is outside 0 to 1.

    Example
    -------
    >>> encoder = ViT(dim=8, depth=1, n_heads=2, image_size=(32, 32))
    >>> output = encoder(torch.rand(2, 3, 32, 48))
    >>> output.features.shape, [tuple(m.shape) for m in output.maps]
    (torch.Size([2, 8, 2, 3]), [(2, 2, 3), (2, 2, 3)])
    >>> encoder.map_names
    ('layer_1', 'pooled')
    """

    def __init__(
        self,
        dim: int = 768,
        depth: int = 12,
        n_heads: int = 12,
        patch_size: int = 16,
        in_channels: int = 3,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        image_size: tuple[int, int] = (224, 224),
        norm_eps: float = 1e-12,
    ) -> None:
        super().__init__()
        if dim % n_heads:
            raise ValueError(f"n_heads={n_heads} must divide dim={dim}.")
        self.patch_size = patch_size
        self.strides = (patch_size,)
        self.in_channels = in_channels
        self.image_size = tuple(image_size)
        self.n_features = dim
        layers = (f"layer_{layer + 1}" for layer in range(depth))
        self.map_names = (*layers, "pooled")
        self.grid = tuple(-(-size // patch_size) for size in image_size)
        self.embedding = nn.Conv2d(in_channels, dim, patch_size, patch_size)
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim))
        self.positions = nn.Parameter(
            torch.empty(1, 1 + self.grid[0] * self.grid[1], dim)
        )
        self.blocks = nn.ModuleList(
            _TransformerBlock(dim, n_heads, mlp_ratio, rate, norm_eps)
            for rate in drop_path_rates(drop_path, depth)
        )
        self.norm = nn.LayerNorm(dim, norm_eps)
        self.apply(init_linear)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def _interpolate_positions(self, rows: int, cols: int) -> Tensor:
        """Embeddings `[1, 1 + rows * cols, dim]`, bicubic on another grid."""
        if (rows, cols) == self.grid:
            return self.positions
        patches = self.positions[:, 1:].mT.unflatten(2, self.grid)
        patches = F.interpolate(patches, (rows, cols), mode="bicubic")
        return torch.cat((self.positions[:, :1], patches.flatten(2).mT), 1)

    def forward(self, image: Tensor) -> EncoderOutput:
        """Encode images and say where each layer looked.

        `image` is `[batch, in_channels, height, width]`; features are
        `[batch, n_features, rows, cols]`, the patches' tokens after the last
        layer norm; embeddings their mean with the CLS token; the maps those of
        `map_names`.
        """
        patches = self.embedding(pad_to_patches(image, self.patch_size))
        rows, cols = patches.shape[2:]
        cls_token = self.cls_token.expand(len(image), -1, -1)
        # [batch, 1 + rows * cols, dim]
        hidden = torch.cat((cls_token, patches.flatten(2).mT), 1)
        hidden = hidden + self._interpolate_positions(rows, cols)
        received = []
        for block in self.blocks:
            hidden, query, key = block(hidden)
            received.append(_received(query[:, :, :1], key))
        received.append(_received_by_head(query, key))
        tokens = self.norm(hidden)
        features = tokens[:, 1:].mT.unflatten(2, (rows, cols))
        maps = (row[:, 1:].unflatten(1, (rows, cols)) for row in received)
        return EncoderOutput(features, tokens.mean(1), tuple(maps))
