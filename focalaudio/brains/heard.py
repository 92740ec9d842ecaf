"""`data + models -> is a clip tested that one of them was trained on?`

A model says more of its training clips than it knows. Every recipe names folds,
and those of a model that was trained before must not be mixed with others.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from focalaudio.data.folds import FOLDS_CSV
from focalaudio.errors import DataError, ModelError, escape_text
from focalaudio.models.bundle_files import DECODERS
from focalaudio.models.hub import parse_source
from focalaudio.models.run import read_values

FOLDS = ("train_folds", "valid_folds", "test_folds")
# keys of YAML files that name a model
MODELS = ("classifier", "judge", "pretrained", *DECODERS)

logger = logging.getLogger(__name__)


def refuse_heard(hparams: Mapping[str, Any]) -> None:
    """Refuse to test clips that a model of the recipe was trained on.

    Only runs say what they were trained on; a bundle does not. Clips are the
    same if they have the same name, below the same data folder, and the same
    label; if the folder is another one, there is a warning.

    Arguments
    ---------
    hparams : mapping
        A recipe's: `data` or `sounds`, which say what is `tested`, without
        which there is nothing to refuse; `data_folder`; and those of `MODELS`
        that it has, in `compare`, too.

    Raises
    ------
    DataError
        If a clip of the test folds was trained on.
    """
    opened = hparams.get("data", hparams.get("sounds"))
    tested: Mapping[str, str] = getattr(opened, "tested", {})
    for key, run in _find_runs(hparams):
        trained = _read_trained(run)
        heard = [name for name in tested if trained.get(name) == tested[name]]
        if not heard:
            continue
        values = read_values(run / "hyperparams.yaml", ["data_folder", *FOLDS])
        folds = ", ".join(f"{name}={values[name]}" for name in FOLDS)
        if (run / FOLDS_CSV).exists():
            folds += f", as {run / FOLDS_CSV} has them"
        found = (
            f"{key}={run} was trained on {len(heard)} of the {len(tested)} "
            f"clips that are tested here, such as {heard[0]!r}"
        )
        if _resolve(values["data_folder"]) == _resolve(hparams["data_folder"]):
            raise DataError(
                f"{found}: what it says of them is no result. Its folds were "
                f"{folds}; keep to them."
            )
        said = f"{found}, if that is the data of {values['data_folder']}"
        logger.warning("%s", escape_text(f"{said}. Its folds were {folds}."))


def _find_runs(hparams: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Yield the runs that a recipe's keys name, and the keys."""
    for values in (hparams, *(hparams.get("compare") or ())):
        for key in MODELS:
            source = values.get(key)
            if isinstance(source, (str, Path)):
                place = parse_source(source)
                if isinstance(place, Path) and (place / "save").is_dir():
                    yield key, place


def _read_trained(run: Path) -> dict[str, str]:
    """Return the label of each clip that trained a run; none if unsaid."""
    records = sorted((run / "save").glob("CKPT+*/settings.ckpt"))
    if not records:
        return {}
    try:
        content = json.loads(records[-1].read_text(encoding="utf-8"))
        return dict(content.get("rows", {}).get("train", {}))
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{records[-1]} is damaged ({error!r}); remove its folder."
        ) from error


def _resolve(folder: str | Path) -> Path:
    return Path(folder).expanduser().resolve()
