"""`run_opts -> device, precision, compile`: how a loaded model is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from speechbrain.utils.run_opts import RunOptions

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
DEFAULTS = {"device": "cpu", "precision": "fp32", "compile": False}
# SpeechBrain's, that would change what is run, and here do not
MEANINGFUL = {
    "auto_mix_prec", "bfloat16_mix_prec", "compile_mode", "compile_module_keys",
    "compile_using_dynamic_shape_tracing", "compile_using_fullgraph",
    "data_parallel_backend", "distributed_launch", "jit", "jit_module_keys",
}  # fmt: skip


def check_run_opts(run_opts: Mapping[str, Any]) -> dict[str, Any]:
    """Check and complete `run_opts`, or raise a `ValueError`.

    SpeechBrain's keys are taken: `eval_precision` is the precision of a loaded
    model; what steers training, logging or debugging changes nothing here; what
    would change how a model is run is refused unless it is switched off.
    """
    given = dict(run_opts)
    given.setdefault("precision", given.pop("eval_precision", "fp32"))
    standard = RunOptions().as_dict()
    unknown = sorted(
        name
        for name, value in given.items()
        if name not in DEFAULTS
        and (name not in standard or name in MEANINGFUL)
        and not (name in standard and value == standard[name])
    )
    if unknown:
        raise ValueError(
            f"run_opts has {', '.join(unknown)}; of what changes how a model "
            f"is run it may have {', '.join(DEFAULTS)}."
        )
    options: dict[str, Any] = {
        name: given.get(name) or default for name, default in DEFAULTS.items()
    }
    if options["precision"] not in PRECISIONS:
        raise ValueError(
            f"precision={options['precision']!r} must be one of "
            f"{', '.join(PRECISIONS)}."
        )
    options["device"] = find_device(options["device"])
    return options


def find_device(name: str | torch.device) -> torch.device:
    """Return the device of a name, or raise a `ValueError` if it is not there.

    Example
    -------
    >>> find_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (AssertionError, ImportError, RuntimeError) as error:
        # a backend that was not built lists all others, in a second sentence
        why = str(error).splitlines()[0].split(". ")[0].rstrip(".")
        raise ValueError(
            f"device={str(name)!r} is not there: {why}. `focalaudio doctor` "
            "lists devices."
        ) from error
    return device


# SpeechBrain's keywords of `from_hparams`, and what there is here instead
INSTEAD = {
    "hparams_file": "a model's description is data and always called "
    "hyperparams.yaml; a model of SpeechBrain's own is loaded by SpeechBrain "
    "and given to SoundInterpreter.from_speechbrain",
    "overrides": "how a model is explained is chosen by arguments of "
    "explain_batch; its parts can be changed in SoundInterpreter.model",
    "overrides_must_match": "there are no overrides",
    "pymodule_file": "no code comes with a model; a class of one's own goes "
    "to SoundInterpreter.from_classifier",
    "use_auth_token": "huggingface_hub finds the token that `hf auth login` "
    "stored",
    "download_only": "focalaudio.models.fetch_bundle only fetches",
    "huggingface_cache_dir": "savedir says where what is fetched is kept",
    "local_strategy": "a folder is opened where it is, never linked",
    "fetch_config": "savedir, revision and local_files_only say how a model "
    "is fetched",
}


def refuse_keywords(keywords: Mapping[str, Any]) -> None:
    """Refuse other keywords of SpeechBrain's, and say what to do instead.

    Example
    -------
    >>> refuse_keywords({"overrides": {"device": "cpu"}})
    Traceback (most recent call last):
    ValueError: overrides: how a model is explained is chosen by arguments ...
    >>> refuse_keywords({"color": "red"})
    Traceback (most recent call last):
    ValueError: color: from_hparams has no such keyword.
    """
    for name in keywords:
        hint = INSTEAD.get(name, "from_hparams has no such keyword")
        raise ValueError(f"{name}: {hint}.")
