"""`a run's save/ -> its checkpoints`: those that are whole.

A checkpoint says which files it has, and their digests, in `files.json`. A
disk that filled up, a copy that was cut or a hand that erred is seen before
anything is loaded.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import yaml
from speechbrain.utils.checkpoints import (
    METAFNAME,
    Checkpoint,
    Checkpointer,
)

from focalaudio.errors import ModelError, escape_text
from focalaudio.files import digest_file
from focalaudio.models.safe_yaml import PlainLoader

SEAL = "files.json"

logger = logging.getLogger(__name__)


class CheckedCheckpointer(Checkpointer):
    """SpeechBrain's checkpointer, which never gives a damaged checkpoint.

    A damaged one is named in the log and left where it is; the others are
    what there is. Without any other it is a `ModelError`.

    Arguments
    ---------
    checkpoints_dir, recoverables
        As in SpeechBrain.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> checkpointer = CheckedCheckpointer(folder)
    >>> path = checkpointer.save_checkpoint().path
    >>> seal(path)
    >>> len(checkpointer.list_checkpoints())
    1
    """

    def __init__(
        self,
        checkpoints_dir: str | Path,
        recoverables: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(checkpoints_dir, recoverables)
        # what is wrong with each, so that it is read through once
        self.damage: dict[Path, str] = {}

    def list_checkpoints(self) -> list[Checkpoint]:
        """See SpeechBrain's `Checkpointer.list_checkpoints`."""
        known = self.damage
        folders = self._list_checkpoint_dirs()
        for folder in folders:
            if folder not in known:
                known[folder] = find_damage(folder)
                if known[folder]:
                    logger.warning(
                        "%s; it is not used, but the checkpoint before it.",
                        escape_text(known[folder]),
                    )
        whole = [folder for folder in folders if not known[folder]]
        if folders and not whole:
            raise ModelError(
                f"{known[folders[0]]}, and {self.checkpoints_dir} holds no "
                "other that is whole; remove it to start again, or give "
                "another experiment_name."
            )
        return self._construct_checkpoint_objects(whole)


def seal(folder: Path) -> None:
    """Write down which files a checkpoint has."""
    files = sorted(path for path in folder.iterdir() if path.name != SEAL)
    digests = {path.name: digest_file(path) for path in files}
    (folder / SEAL).write_text(json.dumps(digests), encoding="utf-8")


def find_damage(folder: Path) -> str:
    """Say what is wrong with a checkpoint; nothing if it is whole.

    One of an older version has no seal: that it says when it was saved must
    do.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "CKPT.yaml").write_text("unixtime: 1.0")
    13
    >>> seal(folder)
    >>> find_damage(folder)
    ''
    >>> (folder / "CKPT.yaml").write_text("")
    0
    >>> find_damage(folder)
    '.../CKPT.yaml is damaged'
    """
    try:
        text = (folder / SEAL).read_text(encoding="utf-8")
        digests = dict(json.loads(text))
    except FileNotFoundError:
        return _find_damage_by_eye(folder)
    except (TypeError, ValueError):
        return f"{folder / SEAL} is damaged"
    for name, digest in digests.items():
        path = folder / str(name)
        if not path.is_file():
            return f"{path} is missing"
        if digest_file(path) != digest:
            return f"{path} is damaged"
    return ""


def _find_damage_by_eye(folder: Path) -> str:
    path = folder / METAFNAME
    try:
        text = path.read_text(encoding="utf-8")
        meta = yaml.load(text, Loader=PlainLoader)  # noqa: S506
    except (ValueError, yaml.YAMLError):
        meta = None
    when = meta.get("unixtime") if isinstance(meta, dict) else None
    empty = [file for file in folder.iterdir() if not file.stat().st_size]
    if isinstance(when, (int, float)) and not empty:
        return ""
    return f"{empty[0] if empty else path} is damaged"
