"""`source -> model`: a bundle, a finished run, or a name on the hub.

A path is a path: `./name`, an absolute path, a `Path`, or text with more than
one slash or none. Text of the form `owner/name` is a name on the hub, never a
folder that happens to be called so; `owner/name@revision` pins a revision.
"""

from __future__ import annotations

from pathlib import Path

from focalaudio.errors import HubError
from focalaudio.models.bundle import Bundle, is_bundle, read_bundle
from focalaudio.models.fetching import fetch_bundle, parse_source
from focalaudio.models.run import (
    CLASSIFIER_KEYS,
    SoundModel,
    default_interpretation,
    existing,
    load_run,
    read_values,
)


def load_model(source: str | Path) -> SoundModel:
    """Load a trained classifier with everything that belongs to it.

    Arguments
    ---------
    source : str or pathlib.Path
        A finished run's folder, a bundle's, or a name on the hub.

    Returns
    -------
    SoundModel
        On the CPU.

    Raises
    ------
    FileNotFoundError
        If the folder, or a file that belongs there, is not there.
    ModelError
        If the files are damaged, unsafe, or do not fit each other.
    """
    return open_source(source).model


def open_source(
    source: str | Path,
    savedir: str | Path | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    trust_remote_yaml: bool = False,
) -> Bundle:
    """Find a model, fetch it if need be, and read it.

    Arguments
    ---------
    source : str or pathlib.Path
        A finished run's folder, a bundle's, or a name on the hub.
    savedir : str or pathlib.Path
        Where what is fetched is kept; the cache if None.
    revision : str
        Of a name on the hub; its latest if None.
    local_files_only : bool
        Use what was fetched before, and no network.
    trust_remote_yaml : bool
        Run the code that a bundle's `hyperparams.yaml` names.

    Returns
    -------
    Bundle
        On the CPU.

    Raises
    ------
    FileNotFoundError
        If the folder, or a file that belongs there, is not there.
    ModelError
        If the files are damaged, unsafe, or do not fit each other.
    """
    folder = locate(source, savedir, revision, local_files_only)
    if is_bundle(existing(folder)):
        return read_bundle(folder, trust_remote_yaml)
    values = read_values(folder / "hyperparams.yaml", CLASSIFIER_KEYS)
    return Bundle(load_run(folder), default_interpretation(values))


def locate(
    source: str | Path,
    savedir: str | Path | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> Path:
    """Return the folder of a source, fetched if it is a name on the hub.

    Arguments
    ---------
    source, savedir, revision, local_files_only
        See `open_source`.

    Returns
    -------
    pathlib.Path
        A path that was given is not copied.

    Raises
    ------
    ValueError
        If a revision is given for a path, or two for a name.

    Example
    -------
    >>> locate("./owner/name").as_posix()
    'owner/name'
    """
    parsed = parse_source(source, revision)
    if isinstance(parsed, Path):
        return parsed
    try:
        return fetch_bundle(source, savedir, revision, local_files_only)
    except HubError as error:
        if Path(source).exists():
            raise HubError(
                f"{error} For the folder, write ./{source}"
            ) from error
        raise
