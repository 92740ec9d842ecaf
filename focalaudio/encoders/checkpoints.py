"""Published weights -> our keys: `state dict or file -> encoder`.

The layout of a state dict (`layouts`) is recognised from its keys. Read are
the weights of transformers (`FocalNetModel`, `FocalNetBackbone`,
`FocalNetForImageClassification`, `ViTModel`, `ViTForImageClassification`;
SpeechBrain's published `.ckpt` are of these), of timm, of microsoft/FocalNet,
of SpeechBrain's `Conv2dEncoder_v2`, and our own. Heads, poolers, and the layer
norm that precedes FocalNet's head, which our encoders do not have, are dropped
by name and reported; anything else that is missing or left over is an error,
and then nothing is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from focalaudio.encoders.layouts import LAYOUTS, Layout
from focalaudio.encoders.weight_files import read_state_dict
from focalaudio.errors import ModelError

WRAPPERS = ("model", "state_dict")  # keys that hold a file's weights
TRAINING_STATE = {  # what may lie beside the weights
    "args", "config", "epoch", "lr_scheduler", "max_accuracy", "model_ema",
    "optimizer", "scaler", "scheduler", "step",
}  # fmt: skip
PATCH_KERNELS = ("stages.0.embedding.projection.weight", "embedding.weight")
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LISTED = 3  # names that an error spells out per fault


@dataclass(frozen=True)
class LoadReport:
    """What `load_weights` found and did.

    Arguments
    ---------
    layout : str
        Whose keys the weights had.
    dropped : tuple of str
        Keys that were not needed: heads, poolers, the state of a training.
    summed_channels : bool
        Whether the patch kernel was summed over its input channels.
    """

    layout: str
    dropped: tuple[str, ...] = ()
    summed_channels: bool = False


def load_weights(
    encoder: nn.Module,
    source: Mapping[str, Any] | str | Path,
    layouts: Sequence[Layout] = LAYOUTS,
) -> LoadReport:
    """Load published weights into an encoder, all of them or none.

    If the encoder takes one channel and the weights take several, the patch
    kernel is summed over its input channels: the same as repeating the image.
    Floating-point weights of any precision become the encoder's.

    Arguments
    ---------
    encoder : torch.nn.Module
        Of the size that the weights are for; or any other module, with
        `layouts` of its own.
    source : mapping or str or Path
        A state dict, or a file of one: see `read_state_dict`.
    layouts : sequence of Layout
        Whose keys the weights may have; those of all encoders by default.

    Returns
    -------
    LoadReport
        The layout that was recognised, and what was dropped.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnsafeModelError
        If the file asks for code to be run.
    ModelError
        If the file is damaged or of another kind, or its weights are missing,
        left over, misshapen, no floating-point numbers, or not finite.

    Example
    -------
    >>> from focalaudio.encoders import build_encoder
    >>> trained = build_encoder("focalnet_test")
    >>> load_weights(build_encoder("focalnet_test"), trained.state_dict())
    LoadReport(layout='focalaudio', dropped=(), summed_channels=False)
    """
    if isinstance(source, Mapping):
        label, content = "source=state dict", source
    else:
        label, content = f"source={source}", read_state_dict(source)
    weights, beside = _unwrap(content)
    layout = _recognize(weights, layouts, label)
    heads = [key for key in weights if layout.drops(key)]
    wanted = encoder.state_dict()
    renamed, names = _rename(weights, layout)
    renamed = _join_attention(renamed, wanted)
    fitted = {key: _fit(renamed[key], wanted, key) for key in renamed}
    extra = [key for key in beside if key not in TRAINING_STATE]
    extra += [names.get(key, key) for key in fitted if key not in wanted]
    faults = {"left over": extra, **_faults(fitted, wanted)}
    if any(faults.values()):
        raise ModelError(
            f"{label} ({layout.name}) does not fit {type(encoder).__name__}: "
            f"{_list(faults)}. Build the encoder or decoder that the weights "
            "are for."
        )
    encoder.load_state_dict(fitted)
    kernels = [key for key in PATCH_KERNELS if key in fitted]
    summed = any(renamed[key].shape != fitted[key].shape for key in kernels)
    return LoadReport(layout.name, (*beside, *heads), summed)


def _unwrap(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the weights, and the keys of what lies beside them."""
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            beside = [str(key) for key in content if key != wrapper]
            return dict(content[wrapper]), beside
    return dict(content), []


def _recognize(
    weights: Mapping[str, Any], layouts: Sequence[Layout], label: str
) -> Layout:
    """Return the first layout whose marker is in a key."""
    others = [
        str(key)
        for key, weight in weights.items()
        if not (isinstance(key, str) and isinstance(weight, Tensor))
    ]
    if others:
        raise ModelError(f"{label} has {_list({'no tensors': others})}.")
    for layout in layouts:
        if any(re.search(layout.marker, key) for key in weights):
            return layout
    known = ", ".join(layout.name for layout in layouts)
    raise ModelError(
        f"{label} is of no known layout ({known}); it has "
        f"{_list({'keys': list(weights)}) or 'no keys'}."
    )


def _rename(
    weights: Mapping[str, Tensor], layout: Layout
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the weights under our names, and the names that they had."""
    renamed, names = {}, {}
    for key, weight in weights.items():
        if layout.drops(key):
            continue
        name = layout.rename(key)
        name = key if name in renamed else name  # a second one is left over
        renamed[name], names[name] = weight, key
    return renamed, names


def _join_attention(
    weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Stack queries, keys and values, where all three are there and fit."""
    joined = dict(weights)
    for name in weights:
        match = re.fullmatch(r"(.+\.attention)\.q\.(weight|bias)", name)
        if match is None:
            continue
        parts = [f"{match[1]}.{part}.{match[2]}" for part in "qkv"]
        tensors = [weights[part] for part in parts if part in weights]
        whole = f"{match[1]}.project_in.{match[2]}"
        free = whole in wanted and whole not in weights
        if free and _are_stackable(tensors, wanted[whole]):
            joined[whole] = torch.cat(tensors)
            for part in parts:
                del joined[part]
    return joined


def _are_stackable(tensors: Sequence[Tensor], ours: Tensor) -> bool:
    shape = (len(ours) // 3, *ours.shape[1:])
    return len(tensors) == 3 and all(
        tensor.shape == shape and _is_numeric(tensor) for tensor in tensors
    )


def _is_numeric(weight: Tensor, ours: Tensor | None = None) -> bool:
    """Whether floats, or counts if ours are, are in it in the usual order."""
    dense = weight.layout is torch.strided and not weight.is_meta
    counts = ours is not None and not ours.is_floating_point()
    return dense and weight.dtype in ((torch.int64,) if counts else DTYPES)


def _fit(weight: Tensor, wanted: Mapping[str, Tensor], key: str) -> Tensor:
    """Bring a weight to our precision, and to our shape if that is exact.

    One that stays of another shape is left as it is: it takes no memory.
    """
    ours = wanted.get(key)
    if ours is None or not _is_numeric(weight, ours):
        return weight
    if key in PATCH_KERNELS and _sums_to(weight, ours):
        weight = weight.sum(1, keepdim=True, dtype=ours.dtype)
    elif weight.dim() == 4 and weight.shape == (*ours.shape, 1, 1):
        weight = weight[..., 0, 0]  # a 1 x 1 convolution is a linear map
    return weight.to(ours.dtype) if weight.shape == ours.shape else weight


def _sums_to(weight: Tensor, ours: Tensor) -> bool:
    """Whether a kernel is ours of more channels, all of which it stores."""
    n_bytes = weight.numel() * weight.element_size()
    return (
        weight.dim() == 4
        and (weight.shape[0], 1, *weight.shape[2:]) == ours.shape
        and n_bytes <= weight.untyped_storage().nbytes()
    )


def _faults(
    fitted: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> dict[str, list[str]]:
    """Say what is wrong with weights that have our names."""
    both = {key: fitted[key] for key in wanted if key in fitted}
    others = [k for k, w in both.items() if not _is_numeric(w, wanted[k])]
    floats = {key for key in others if wanted[key].is_floating_point()}
    misshapen = [k for k, w in both.items() if w.shape != wanted[k].shape]
    return {
        "missing": [key for key in wanted if key not in fitted],
        "of another shape": [
            f"{key} {tuple(both[key].shape)} for {tuple(wanted[key].shape)}"
            for key in misshapen
        ],
        "no dense floats": [
            f"{key} {both[key].dtype}" for key in others if key in floats
        ],
        "no int64 counts": [
            f"{key} {both[key].dtype}" for key in others if key not in floats
        ],
        "not finite": [
            key
            for key, w in both.items()
            if key not in {*others, *misshapen} and not w.isfinite().all()
        ],
    }


def _list(faults: Mapping[str, list[str]]) -> str:
    """Count the names under each heading, and spell out the first few."""
    return "; ".join(
        f"{len(names)} {heading} ({', '.join(names[:LISTED])}"
        f"{', ...' if len(names) > LISTED else ''})"
        for heading, names in faults.items()
        if names
    )
