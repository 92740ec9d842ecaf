"""`image -> encoder -> features + maps`: the registry of image encoders.

base          what every encoder returns
focalnet      focal modulation networks, interpretable by design
vit           vision transformers, the baseline
timm_models   any image model of timm, by the name timm:NAME
conv2d        strided convolutions, the encoder of PIQ's published weights
checkpoints   published weights -> an encoder
layouts       a published key -> our key
configs       transformers' config.json -> class and arguments of an encoder
weight_files  file -> state dict, without running code from it
linear        linear maps, by the faster library that torch has
depthwise     depthwise convolutions whose weights learn quickly on a CPU

A variant is a class and the arguments that differ from its defaults. Sizes
and names of the published variants follow timm; `nano` (for a laptop) and
`test` (under 100k parameters) are ours, and so is `pyramid`.
"""

from __future__ import annotations

import difflib
from typing import Any

from torch import nn

from focalaudio.encoders.base import EncoderOutput
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.conv2d import Conv2dEncoder
from focalaudio.encoders.focalnet import FocalNet
from focalaudio.encoders.timm_models import PREFIX, TimmEncoder
from focalaudio.encoders.vit import ViT

__all__ = ["ENCODERS", "EncoderOutput", "build_encoder", "list_encoders"]

SRF = {"focal_levels": 2}  # small receptive field: kernels 3, 5
LRF = {"focal_levels": 3}  # large receptive field: kernels 3, 5, 7
NANO = {"dim": 32, "depths": (1, 1, 3)}
TINY = {"dim": 96, "depths": (2, 2, 6, 2)}
SMALL = {"dim": 96, "depths": (2, 2, 18, 2)}
BASE = {"dim": 128, "depths": (2, 2, 18, 2)}

ENCODERS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "focalnet_test": (
        FocalNet,
        {"dim": 16, "depths": (1, 1), "patch_size": 8, "image_size": (64, 64)},
    ),
    "focalnet_nano_srf": (FocalNet, NANO | SRF),
    "focalnet_nano_lrf": (FocalNet, NANO | LRF),
    "focalnet_tiny_srf": (FocalNet, TINY | SRF),
    "focalnet_tiny_lrf": (FocalNet, TINY | LRF),
    "focalnet_small_srf": (FocalNet, SMALL | SRF),
    "focalnet_small_lrf": (FocalNet, SMALL | LRF),
    "focalnet_base_srf": (FocalNet, BASE | SRF),
    "focalnet_base_lrf": (FocalNet, BASE | LRF),
    "focalnet_test_pyramid": (
        FocalNet,
        {
            "dim": 16,
            "depths": (1, 1),
            "patch_size": 8,
            "image_size": (64, 64),
            "finest": 1,
            "width": 16,
        },
    ),
    "focalnet_nano_pyramid": (FocalNet, NANO | SRF | {"finest": 2}),
    "vit_test": (
        ViT,
        {
            "dim": 32,
            "depth": 2,
            "n_heads": 2,
            "patch_size": 8,
            "image_size": (64, 64),
        },
    ),
    "vit_nano_patch16": (ViT, {"dim": 96, "depth": 6, "n_heads": 3}),
    "vit_tiny_patch16": (ViT, {"dim": 192, "depth": 12, "n_heads": 3}),
    "vit_small_patch16": (ViT, {"dim": 384, "depth": 12, "n_heads": 6}),
    "vit_base_patch16": (ViT, {"dim": 768, "depth": 12, "n_heads": 12}),
    "conv2d_piq": (Conv2dEncoder, {}),
}


def list_encoders() -> list[str]:
    """Return the names that `build_encoder` knows, family by family.

    Example
    -------
    >>> "focalnet_base_srf" in list_encoders()
    True
    """
    return list(ENCODERS)


def resolve_name(name: str) -> str:
    """Return the full name of a variant; one of timm's is as it is.

    What follows the size may be left out: `focalnet_nano` is
    `focalnet_nano_srf`, `vit_nano` is `vit_nano_patch16`. A `ValueError` if
    there is no such variant.

    Example
    -------
    >>> resolve_name("vit_nano")
    'vit_nano_patch16'
    """
    if name.startswith(PREFIX):
        return name
    endings = ("", "_srf", "_patch16")
    key = next((name + e for e in endings if name + e in ENCODERS), None)
    if key is None:
        close = difflib.get_close_matches(name, ENCODERS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"name={name!r} is not an encoder.{hint} "
            f"Available: {', '.join(ENCODERS)}; and {PREFIX}NAME, any image "
            "model of timm."
        )
    return key


def build_encoder(
    name: str, pretrained: str | None = None, **overrides: Any
) -> nn.Module:
    """Build an encoder, with random weights or published ones.

    Arguments
    ---------
    name : str
        A variant, see `resolve_name`; or `timm:NAME`, see
        `focalaudio.encoders.timm_models`.
    pretrained : str
        File of weights from transformers, timm, microsoft/FocalNet or this
        package, see `checkpoints.load_weights`; None leaves them random.
    **overrides : object
        Arguments of the encoder's class that replace the variant's own.

    Returns
    -------
    torch.nn.Module
        Maps an image to an `EncoderOutput`.

    Raises
    ------
    ValueError
        If there is no such variant, an argument does not suit it, or the
        weights are for more channels.
    FileNotFoundError, ModelError
        If the file is not there, damaged, or of another encoder.

    Example
    -------
    >>> build_encoder("focalnet_tiny_srf", in_channels=1).n_features
    768
    >>> build_encoder("focalnet_bass_srf")
    Traceback (most recent call last):
    ValueError: name='focalnet_bass_srf' is not an encoder. Did you mean
    'focalnet_base_srf'? Available: focalnet_test, ...
    """
    if name.startswith(PREFIX):
        own = TimmEncoder(name.removeprefix(PREFIX), **overrides)
        if pretrained is not None:
            load_weights(own, pretrained, own.layouts)
        return own
    kind, arguments = ENCODERS[resolve_name(name)]
    encoder = kind(**arguments | overrides)
    if pretrained is not None:
        report = load_weights(encoder, pretrained)
        if report.summed_channels:
            raise ValueError(
                f"in_channels={encoder.in_channels} does not fit "
                f"pretrained={pretrained}, whose images have three channels; "
                "give in_channels: 3 (the spectrogram is repeated)."
            )
    return encoder
