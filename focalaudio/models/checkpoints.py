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

from speechbrain.utils.checkpoints import (
    METAFNAME,
    PARAMFILE_EXT,
    Checkpoint,
    Checkpointer,
)

from focalaudio.errors import ModelError, escape_text
from focalaudio.files import digest_file
from focalaudio.models.safe_yaml import is_number, read_plain

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
        return [_describe(folder) for folder in whole]


def _describe(folder: Path) -> Checkpoint:
    """Read what a whole checkpoint says of itself, and list its files."""
    found = folder.glob(f"*{PARAMFILE_EXT}")
    return Checkpoint(
        folder, read_plain(folder / METAFNAME), {p.stem: p for p in found}
    )


def seal(folder: Path) -> None:
    """Write down which files a checkpoint has."""
    files = sorted(path for path in folder.iterdir() if path.name != SEAL)
    digests = {path.name: digest_file(path) for path in files}
    (folder / SEAL).write_text(json.dumps(digests), encoding="utf-8")


def find_damage(folder: Path) -> str:
    """Say what is wrong with a checkpoint; nothing if it is whole.

    It must say when it was saved. One of an older version has no seal: that
    no file is empty must do.

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
        digests = {}
        for path in folder.iterdir():
            if not path.stat().st_size:
                return f"{path} is damaged"
    except (TypeError, ValueError):
        return f"{folder / SEAL} is damaged"
    for name, digest in digests.items():
        path = folder / str(name)
        if not path.is_file():
            return f"{path} is missing"
        if digest_file(path) != digest:
            return f"{path} is damaged"
    return "" if _says_when(folder) else f"{folder / METAFNAME} is damaged"


def _says_when(folder: Path) -> bool:
    try:
        return is_number(read_plain(folder / METAFNAME).get("unixtime"))
    except ModelError:
        return False
