"""Published weights -> a decoder: `state dict or file -> PIQ's decoders`.

The reader, the checks and the report are those of
`focalaudio.encoders.checkpoints`; here is only what decoders are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from focalaudio.encoders.checkpoints import LoadReport, load_weights
from focalaudio.encoders.layouts import Layout

DECODER_LAYOUTS = (
    Layout("focalaudio", r"^quantizer\.codebook$"),
    Layout(
        "SpeechBrain PIQ",
        r"^codebook\.embedding\.weight$",
        renames=((r"^codebook\.embedding\.weight$", "quantizer.codebook"),),
    ),
)


def load_decoder_weights(
    decoder: nn.Module, source: Mapping[str, Any] | str | Path
) -> LoadReport:
    """Load published weights into a decoder, all of them or none.

    Read are the weights of SpeechBrain's `VectorQuantizedPSI_Audio`,
    `VectorQuantizedPSIFocalNet_Audio` and `VectorQuantizedPSIViT_Audio`, for a
    `PaperDecoder` of layout `conv2d`, `focalnet` and `vit`, and our own. How
    many classes share out the codes, and which are for all, is not in the
    weights: it is as the decoder was built.

    `decoder` is one of `focalaudio.interpreters.decoders`; `source`, the report
    and the errors are those of `focalaudio.encoders.checkpoints.load_weights`.

    Example
    -------
    >>> from focalaudio.interpreters.decoders import PaperDecoder
    >>> trained = PaperDecoder(4, n_classes=2, n_codes=8)
    >>> decoder = PaperDecoder(4, n_classes=2, n_codes=8)
    >>> load_decoder_weights(decoder, trained.state_dict()).layout
    'focalaudio'
    """
    return load_weights(decoder, source, DECODER_LAYOUTS)
