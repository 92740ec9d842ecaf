"""Who calls our weights what: `a published key -> our key`.

A layout is how one project names an encoder's weights; `LAYOUTS` lists those
of transformers (the keys of version 5 and of older versions), timm,
microsoft/FocalNet, SpeechBrain and ourselves. `checkpoints` applies them.
Queries, keys and values, which transformers keep apart, are called `q`, `k`
and `v` here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How somebody names an encoder's weights.

    Arguments
    ---------
    name : str
        Whose layout it is.
    marker : str
        Pattern that is found in a key of this layout and of no other.
    prefix : str
        Name of the encoder inside a larger model, with its dot.
    spare : tuple of str
        Layers that our encoder does not have, without `prefix`.
    renames : tuple of pairs
        Patterns and what replaces them, in this order.
    """

    name: str
    marker: str
    prefix: str = ""
    spare: tuple[str, ...] = ()
    renames: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = ()

    def rename(self, key: str) -> str:
        """Return our name of the weight that this layout calls `key`."""
        key = key.removeprefix(self.prefix)
        for pattern, replacement in self.renames:
            key = re.sub(pattern, replacement, key)
        return key

    def drops(self, key: str) -> bool:
        """Return whether `key` belongs to a layer that we do not have."""
        name = key.removeprefix(self.prefix)
        return any(name in (f"{n}.weight", f"{n}.bias") for n in self.spare)


def _next_stage(match: re.Match[str]) -> str:
    """Ours is the patch embedding before a stage, theirs is after one."""
    return f"stages.{int(match[1]) + 1}.embedding."


def _conv_stage(match: re.Match[str]) -> str:
    """Ours count from 0 and are the parts of a stage, theirs stand alone."""
    part = {"conv": "conv", "bn": "norm"}[match[1]]
    return f"stages.{int(match[2]) - 1}.{part}."


MLP = ((r"\.fc1\.", ".expand."), (r"\.fc2\.", ".reduce."))
FOCAL_BLOCK = (
    (r"\.norm1\.", ".norm_modulation."),
    (r"\.norm2\.", ".norm_mlp."),
    (r"\.focal_layers\.(\d+)\.0\.", r".levels.\1."),
    *MLP,
)
FOCAL_LAYER = (  # timm and microsoft
    (r"\.proj\.", ".projection."),
    (r"^layers\.(\d+)\.blocks\.", r"stages.\1.blocks."),
    (r"\.modulation\.f\.", ".modulation.project_in."),
    (r"\.modulation\.h\.", ".modulation.aggregate."),
    (r"\.modulation\.projection\.", ".modulation.project_out."),
    *FOCAL_BLOCK,
)
VIT_TRANSFORMERS = (
    (r"^embeddings\.cls_token", "cls_token"),
    (r"^embeddings\.position_embeddings", "positions"),
    (r"^embeddings\.patch_embeddings\.projection\.", "embedding."),
    (r"^layernorm\.", "norm."),
    (r"^(encoder\.layer|layers)\.(\d+)\.", r"blocks.\2."),
    (r"\.layernorm_before\.", ".norm_attention."),
    (r"\.layernorm_after\.", ".norm_mlp."),
    (r"\.attention\.attention\.", ".attention."),
    (r"\.([qkv])_proj\.", r".\1."),
    (r"\.(query|key|value)\.", lambda match: f".{match[1][0]}."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attention.project_out."),
    (r"\.intermediate\.dense\.", ".mlp.expand."),
    (r"^(blocks\.\d+)\.output\.dense\.", r"\1.mlp.reduce."),
    *MLP,
)
LAYOUTS = (
    Layout("focalaudio", r"\.project_in\.weight$|^stages\.0\.conv\."),
    Layout(
        "transformers FocalNet",
        r"\.modulation\.projection_in\.",
        prefix="focalnet.",
        spare=("layernorm", "classifier"),
        renames=(
            (r"^embeddings\.patch_embeddings\.", "stages.0.embedding."),
            (r"^embeddings\.norm\.", "stages.0.embedding.norm."),
            (r"^encoder\.stages\.(\d+)\.downsample\.", _next_stage),
            (r"^encoder\.stages\.(\d+)\.layers\.", r"stages.\1.blocks."),
            (r"\.projection_(in|out)\.", r".project_\1."),
            (r"\.projection_context\.", ".aggregate."),
            *FOCAL_BLOCK,
        ),
    ),
    Layout(
        "timm FocalNet",
        r"^stem\.",
        spare=("norm", "head.fc"),
        renames=(
            (r"^stem\.", "stages.0.embedding."),
            (r"^layers\.(\d+)\.downsample\.", r"stages.\1.embedding."),
            *FOCAL_LAYER,
        ),
    ),
    Layout(
        "microsoft FocalNet",
        r"\.modulation\.f\.",
        spare=("norm", "head"),
        renames=(
            (r"^patch_embed\.", "stages.0.embedding."),
            (r"^layers\.(\d+)\.downsample\.", _next_stage),
            *FOCAL_LAYER,
        ),
    ),
    Layout(
        "transformers ViT",
        r"\.attention\.(attention\.query|q_proj)\.",
        prefix="vit.",
        spare=("pooler.dense", "classifier"),
        renames=VIT_TRANSFORMERS,
    ),
    Layout(
        "timm ViT",
        r"^blocks\.\d+\.attn\.qkv\.",
        spare=("head",),
        renames=(
            (r"^pos_embed$", "positions"),
            (r"^patch_embed\.proj\.", "embedding."),
            (r"\.norm1\.", ".norm_attention."),
            (r"\.norm2\.", ".norm_mlp."),
            (r"\.attn\.qkv\.", ".attention.project_in."),
            (r"\.attn\.proj\.", ".attention.project_out."),
            *MLP,
        ),
    ),
    Layout(
        "SpeechBrain Conv2d",
        r"^resblock\.",
        renames=(
            (r"^(conv|bn)([1-4])\.", _conv_stage),
            (r"^resblock\.", "residual."),
        ),
    ),
)

OURS = (Layout("focalaudio", ""),)  # of any module, under its own names
