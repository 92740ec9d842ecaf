"""`transformers' config.json -> class and arguments of an encoder`.

Of any size. What our encoders cannot do is refused, so that a model either
says what transformers' says or is not built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from focalaudio.encoders.focalnet import FocalNet
from focalaudio.encoders.vit import ViT
from focalaudio.errors import ModelError

# what must be so, or not be said; transformers' own defaults
FOCALNET_FIXED = {
    "use_conv_embed": False,
    "use_layerscale": False,
    "use_post_layernorm": False,
    "use_post_layernorm_in_modulation": False,
    "normalize_modulator": False,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
}
VIT_FIXED = {"hidden_act": "gelu", "qkv_bias": True}
FOCALNET_DEFAULTS = {
    "embed_dim": 96,
    "depths": [2, 2, 6, 2],
    "focal_levels": [2, 2, 2, 2],
    "focal_windows": [3, 3, 3, 3],
    "patch_size": 4,
    "num_channels": 3,
    "mlp_ratio": 4.0,
    "image_size": 224,
}
VIT_DEFAULTS = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "patch_size": 16,
    "num_channels": 3,
    "image_size": 224,
    "layer_norm_eps": 1e-12,
}


def read_config(path: str | Path) -> tuple[type[nn.Module], dict[str, Any]]:
    """Read transformers' `config.json` of a FocalNet or a ViT.

    Returns the encoder's class, and its arguments.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelError
        If it is of another model, or asks for what our encoders cannot do.

    Example
    -------
    >>> path = getfixture("tmp_path") / "config.json"
    >>> _ = path.write_text('{"model_type": "focalnet", "embed_dim": 128}')
    >>> read_config(path)[1]["dim"]
    128
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"config={path.absolute()} does not exist.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return _convert(config)
    except ModelError as error:
        raise ModelError(f"config={path}: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"config={path} is no configuration of transformers: {error!r}"
        ) from error


def _convert(
    config: Mapping[str, Any],
) -> tuple[type[nn.Module], dict[str, Any]]:
    """Turn transformers' configuration into an encoder's arguments."""
    kind = config.get("model_type")
    if kind == "focalnet":
        _refuse_others(config, FOCALNET_FIXED)
        return FocalNet, _focalnet_arguments(FOCALNET_DEFAULTS | dict(config))
    if kind == "vit":
        _refuse_others(config, VIT_FIXED)
        return ViT, _vit_arguments(VIT_DEFAULTS | dict(config))
    raise ModelError(f"model_type={kind!r} must be 'focalnet' or 'vit'.")


def _refuse_others(config: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
    others = [
        f"{key}={config[key]!r} (must be {value!r})"
        for key, value in fixed.items()
        if config.get(key, value) != value
    ]
    if others:
        raise ModelError(f"{', '.join(others)}: not supported.")


def _focalnet_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dim": int(config["embed_dim"]),
        "depths": [int(depth) for depth in config["depths"]],
        "focal_window": _same(config, "focal_windows"),
        "focal_levels": _same(config, "focal_levels"),
        **_image_arguments(config),
        "mlp_ratio": float(config["mlp_ratio"]),
    }


def _vit_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dim": int(config["hidden_size"]),
        "depth": int(config["num_hidden_layers"]),
        "n_heads": int(config["num_attention_heads"]),
        **_image_arguments(config),
        "mlp_ratio": config["intermediate_size"] / config["hidden_size"],
        "norm_eps": float(config["layer_norm_eps"]),
    }


def _image_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    size = config["image_size"]
    height, width = size if isinstance(size, list) else (size, size)
    return {
        "patch_size": int(config["patch_size"]),
        "in_channels": int(config["num_channels"]),
        "image_size": [int(height), int(width)],
    }


def _same(config: Mapping[str, Any], key: str) -> int:
    """Return what all stages have; ours have no other."""
    used = config[key][: len(config["depths"])]
    if len(set(used)) != 1:
        raise ModelError(f"{key}={config[key]} must be the same in all stages.")
    return int(used[0])
