"""`image -> any image model of timm -> features + map`.

Convolutions, transformers with and without windows: what comes out before the
pooling is brought to one grid of cells, and their mean is the embedding, so
what each cell says of a class is known, as of our own encoders.
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from focalaudio.arguments import remember_arguments
from focalaudio.encoders.base import EncoderOutput, probe_encoder
from focalaudio.encoders.layouts import Layout

PREFIX = "timm:"
# a model's own name and a tag, but no address: timm would fetch from that
PLAIN = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")


def import_timm() -> ModuleType:
    """Return `timm`, of an optional package, or raise `ImportError`."""
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            "This encoder needs timm, which is not installed: "
            "pip install 'focalaudio[timm]'."
        ) from error
    return timm


@remember_arguments
class TimmEncoder(nn.Module):
    """An image model of timm, with random weights.

    Models that take images of one size are shown the image stretched to it.
    The only map, `last`, is the L2 norm of the features over channels: it says
    which cells answered, to whatever class.

    Arguments
    ---------
    name : str
        Of `timm.list_models()`, such as `convnext_tiny`.
    in_channels : int
        Channels of the image.
    drop_path : float
        Rate of stochastic depth, for models that have it.
    image_size : tuple of int
        Height and width, pixels; the model's own if None.

    Raises
    ------
    ImportError
        If timm is not installed.
    ValueError
        If timm has no such model, it does not take the arguments, or its
        features are no grid of cells.

    Example
    -------
    >>> import torch
    >>> encoder = TimmEncoder("test_convnext", in_channels=1)
    >>> output = encoder.eval()(torch.rand(2, 1, 64, 96))
    >>> output.features.shape, output.maps[0].shape
    (torch.Size([2, 64, 2, 3]), torch.Size([2, 2, 3]))
    """

    map_names = ("last",)

    def __init__(
        self,
        name: str,
        in_channels: int = 3,
        drop_path: float = 0.0,
        image_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        timm = import_timm()
        if not PLAIN.fullmatch(name) or not timm.is_model(name):
            raise ValueError(
                f"timm has no model {name!r}; timm.list_models() lists them."
            )
        options: dict[str, Any] = {"in_chans": in_channels, "num_classes": 0}
        if drop_path:
            options["drop_path_rate"] = drop_path
        if image_size and _is_fixed(timm, name):
            options["img_size"] = tuple(image_size)
        try:
            network = timm.create_model(name, pretrained=False, **options)
        except (AssertionError, RuntimeError, TypeError) as error:
            raise ValueError(
                f"timm's {name} cannot be built with in_channels="
                f"{in_channels}, drop_path={drop_path}, image_size="
                f"{image_size}: {error}"
            ) from error
        self.network = network
        self.in_channels = in_channels
        self.n_features = int(network.num_features)
        own = tuple(network.default_cfg["input_size"][1:])
        self.image_size = tuple(image_size or own)
        stages = getattr(network, "feature_info", None)
        self.strides = (int(stages[-1]["reduction"]),) if stages else ()
        self.takes_one_size = _is_fixed(timm, name)
        probe_encoder(self, PREFIX + name)

    def forward(self, image: Tensor) -> EncoderOutput:
        """Encode images `[batch, in_channels, height, width]`."""
        if self.takes_one_size and tuple(image.shape[2:]) != self.image_size:
            image = F.interpolate(
                image, self.image_size, mode="bilinear", antialias=True
            )
        features = self._to_grid(self.network.forward_features(image))
        last = features.float().norm(dim=1)
        return EncoderOutput(features, features.mean((2, 3)), (last,))

    def _to_grid(self, features: Tensor) -> Tensor:
        """Bring features to `[batch, channels, rows, cols]`."""
        if features.dim() == 3:  # tokens, those of no place first
            prefix = getattr(self.network, "num_prefix_tokens", 0)
            patches = getattr(self.network, "patch_embed", None)
            grid = getattr(patches, "grid_size", None)
            if grid is None:
                raise ValueError(
                    f"timm's {type(self.network).__name__} returns tokens of "
                    "no grid; take a model whose features have rows and "
                    "columns."
                )
            return features[:, prefix:].mT.unflatten(2, tuple(grid))
        if getattr(self.network, "output_fmt", "NCHW") == "NHWC":
            return features.permute(0, 3, 1, 2)
        return features

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """How files of weights name them: as this module, or as timm."""
        heads = self.network.default_cfg.get("classifier") or ()
        spare = (heads,) if isinstance(heads, str) else tuple(heads)
        return (
            Layout("focalaudio", r"^network\."),
            Layout("timm", "", spare=spare, renames=((r"^", "network."),)),
        )


def _is_fixed(timm: Any, name: str) -> bool:
    """Whether a model takes images of one size only."""
    config = timm.models.get_pretrained_cfg(name)
    return bool(config is not None and config.fixed_input_size)
