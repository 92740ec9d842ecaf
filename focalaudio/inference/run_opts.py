"""`run_opts -> device, precision, compile`: how a loaded model is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
DEFAULTS = {"device": "cpu", "precision": "fp32", "compile": False}


def check_run_opts(run_opts: Mapping[str, Any]) -> dict[str, Any]:
    """Check and complete `run_opts`, or raise a `ValueError`."""
    unknown = sorted(set(run_opts) - set(DEFAULTS))
    if unknown:
        raise ValueError(
            f"run_opts has {', '.join(unknown)}; it may have "
            f"{', '.join(DEFAULTS)}."
        )
    options: dict[str, Any] = {**DEFAULTS, **run_opts}
    if options["precision"] not in PRECISIONS:
        raise ValueError(
            f"precision={options['precision']!r} must be one of "
            f"{', '.join(PRECISIONS)}."
        )
    try:
        options["device"] = torch.device(options["device"])
        torch.empty(0, device=options["device"])
    except (AssertionError, RuntimeError) as error:
        raise ValueError(
            f"device={str(options['device'])!r} is not there: "
            f"{str(error).splitlines()[0]} `focalaudio doctor` lists devices."
        ) from error
    return options
