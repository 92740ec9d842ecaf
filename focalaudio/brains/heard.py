"""`data + models -> is a clip tested that one of them was trained on?`

A model says more of its training clips than it knows. Every recipe names folds,
and those of a model that was trained before must not be mixed with others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from focalaudio.data.folds import FOLDS_CSV
from focalaudio.errors import DataError, escape_text
from focalaudio.models.bundle_files import DECODERS
from focalaudio.models.hub import find_local
from focalaudio.models.run import read_values
from focalaudio.models.trained_on import find_heard, read_trained_on

FOLDS = ("train_folds", "valid_folds", "test_folds")
# keys of YAML files that name a model
MODELS = ("classifier", "judge", "pretrained", *DECODERS)

logger = logging.getLogger(__name__)


def refuse_heard(hparams: Mapping[str, Any]) -> None:
    """Refuse to test clips that a model of the recipe was trained on.

    Clips are the same if they have the same name, below the data folder or
    its `audio/`, and the same label. What is no run of the same data folder
    may mean others of these names: then there is a warning. A bundle that does
    not say what it was trained on (`trained_on.txt`) is not asked.

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
    if not tested:
        return
    for key, source in _find_models(hparams):
        trained = read_trained_on(source)
        own = find_heard(tested, trained.by_run)
        heard = own or find_heard(tested, trained.before)
        if not heard:
            continue
        found = (
            f"{key}={source} was trained on {len(heard)} of the {len(tested)} "
            f"clips that are tested here, such as {heard[0]!r}"
        )
        place = find_local(source)
        if not own or place is None:
            said = f"{found}, by name and label: what it says of them is no "
            logger.warning("%s", escape_text(f"{said}result."))
            continue
        values = read_values(
            place / "hyperparams.yaml", ["data_folder", *FOLDS]
        )
        folds = ", ".join(f"{name}={values[name]}" for name in FOLDS)
        if (place / FOLDS_CSV).exists():
            folds += f", as {place / FOLDS_CSV} has them"
        if _resolve(values["data_folder"]) == _resolve(hparams["data_folder"]):
            raise DataError(
                f"{found}: what it says of them is no result. Its folds were "
                f"{folds}; keep to them."
            )
        said = f"{found}, if that is the data of {values['data_folder']}"
        logger.warning("%s", escape_text(f"{said}. Its folds were {folds}."))


def _find_models(
    hparams: Mapping[str, Any],
) -> Iterator[tuple[str, str | Path]]:
    """Yield the models that a recipe's keys name: key and source."""
    for values in (hparams, *(hparams.get("compare") or ())):
        for key in MODELS if isinstance(values, Mapping) else ():
            source = values.get(key)
            if isinstance(source, (str, Path)):
                yield key, source


def _resolve(folder: str | Path) -> Path:
    return Path(folder).expanduser().resolve()
