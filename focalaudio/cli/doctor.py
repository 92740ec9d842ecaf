"""What is installed, what is wrong with it, and the way out.

Everything is imported by name and in a try: an installation that is broken is
what this module is for.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from focalaudio.version import __version__

PACKAGES = (
    *("torch", "torchaudio", "speechbrain", "hyperpyyaml", "pandas"),
    *("soundfile", "safetensors", "huggingface_hub", "torchmetrics"),
    *("matplotlib", "jinja2"),
)
OLDEST, NEWEST = (2, 10), (2, 12)  # of torch; the newest is left out
OLDEST_SNDFILE = (1, 1)  # reads mp3
REINSTALL = "pip install 'torch>=2.10,<2.12' 'torchaudio>=2.10,<2.12'"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Arguments
    ---------
    text : str
        What it is.
    remedy : str
        What to do about it; empty if all is well.

    Example
    -------
    >>> Finding("torch is missing", "pip install torch").to_line()
    'WRONG  torch is missing -> pip install torch'
    """

    text: str
    remedy: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing is to be done."""
        return not self.remedy

    def to_line(self) -> str:
        """Return a line for people."""
        if self.is_well:
            return f"ok     {self.text}"
        return f"WRONG  {self.text} -> {self.remedy}"


def examine(folder: Path) -> list[Finding]:
    """Look at the installation and at a folder to work in.

    Arguments
    ---------
    folder : pathlib.Path
        Where results would be written.

    Returns
    -------
    list of Finding
        In the order in which to mend them.

    Example
    -------
    >>> examine(Path("."))[0].text.startswith("focalaudio")
    True
    """
    versions = {name: installed(name) for name in PACKAGES}
    return [
        Finding(f"focalaudio {__version__}, Python {sys.version.split()[0]}"),
        *(judge_package(name, found) for name, found in versions.items()),
        judge_pair(versions),
        judge_import("torch and torchaudio work together", load_pair),
        judge_import("sound files can be read", load_sndfile),
        judge_import("devices", list_devices),
        judge_folder(folder),
        judge_import("the cache can be found", judge_cache),
    ]


def installed(name: str) -> str | None:
    """Return the version of a package, None if it is not installed.

    Arguments
    ---------
    name : str
        Of the package.

    Returns
    -------
    str or None
        Its version.

    Example
    -------
    >>> installed("no-such-package") is None
    True
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def judge_package(name: str, found: str | None) -> Finding:
    """Say whether a package is there.

    Arguments
    ---------
    name : str
        Of the package.
    found : str or None
        Its version.

    Returns
    -------
    Finding
        With the way out.

    Example
    -------
    >>> judge_package("jinja2", None).remedy
    'pip install jinja2'
    """
    if found is None:
        return Finding(f"{name} is not installed", f"pip install {name}")
    return Finding(f"{name} {found}")


def judge_pair(versions: Mapping[str, str | None]) -> Finding:
    """Say whether torch and torchaudio are of one release, one that we know.

    Arguments
    ---------
    versions : mapping
        Of packages.

    Returns
    -------
    Finding
        With the way out.

    Example
    -------
    >>> judge_pair({"torch": "2.11.0+cpu", "torchaudio": "2.11.0"}).is_well
    True
    >>> judge_pair({"torch": "2.12.0", "torchaudio": "2.11.0"}).text
    'torch 2.12.0 and torchaudio 2.11.0 are not of one release'
    """
    torch, audio = versions["torch"], versions["torchaudio"]
    pair = f"torch {torch} and torchaudio {audio}"
    if torch is None or audio is None or release(torch) != release(audio):
        return Finding(f"{pair} are not of one release", REINSTALL)
    if not OLDEST <= release(torch) < NEWEST:
        return Finding(f"{pair} are not 2.10 or 2.11", REINSTALL)
    return Finding(f"{pair} are of one release")


def release(text: str) -> tuple[int, ...]:
    """Return the first two numbers of a version.

    Arguments
    ---------
    text : str
        A version.

    Returns
    -------
    tuple of int
        To be compared.

    Example
    -------
    >>> release("2.11.0+cu128")
    (2, 11)
    """
    parts = text.split("+")[0].split(".")[:2]
    return tuple(int(part) if part.isdigit() else 0 for part in parts)


def judge_import(text: str, load: Callable[[], Finding]) -> Finding:
    """Say whether something that has to be loaded can be.

    Arguments
    ---------
    text : str
        What could be done then.
    load : callable
        Loads it, and says what it found.

    Returns
    -------
    Finding
        What `load` found, or why it failed.

    Example
    -------
    >>> judge_import("x", lambda: Finding("y")).text
    'y'
    """
    try:
        return load()
    except (AttributeError, ImportError, OSError, RuntimeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return Finding(f"not so: {text} ({first})", REINSTALL)


def load_pair() -> Finding:
    """Import torch and torchaudio, which fails if they do not match.

    Returns
    -------
    Finding
        That it works.

    Example
    -------
    >>> load_pair().is_well
    True
    """
    functional = import_module("torchaudio.functional")
    wav = import_module("torch").zeros(1, 160)
    functional.resample(wav, 16000, 8000)
    return Finding("torch and torchaudio work together")


def load_sndfile() -> Finding:
    """Import soundfile, and ask libsndfile for its version.

    Returns
    -------
    Finding
        With the way out if it is too old for MP3.

    Example
    -------
    >>> load_sndfile().is_well
    True
    """
    found = import_module("soundfile").__libsndfile_version__
    if release(found) < OLDEST_SNDFILE:
        remedy = "pip install --upgrade soundfile, or apt install libsndfile1"
        return Finding(f"libsndfile {found} reads no MP3", remedy)
    return Finding(f"libsndfile {found} reads and writes sound files")


def list_devices() -> Finding:
    """Say where models can run.

    Returns
    -------
    Finding
        The devices.

    Example
    -------
    >>> "cpu" in list_devices().text
    True
    """
    torch = import_module("torch")
    names = [f"cpu ({torch.get_num_threads()} threads)"]
    if torch.cuda.is_available():
        names += [
            f"cuda:{index} ({torch.cuda.get_device_name(index)})"
            for index in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        names.append("mps")
    return Finding(f"devices: {', '.join(names)}")


def judge_folder(folder: Path) -> Finding:
    """Say whether files can be written into a folder.

    Arguments
    ---------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    Finding
        With the way out.

    Example
    -------
    >>> judge_folder(Path("no/such/folder")).is_well
    False
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"focalaudio")
    except OSError as error:
        remedy = "go to a folder of your own, or free some space"
        return Finding(f"{folder} cannot be written: {error.strerror}", remedy)
    return Finding(f"{folder.absolute()} can be written")


def judge_cache() -> Finding:
    """Say whether models from a hub can be kept.

    Returns
    -------
    Finding
        With the way out.

    Example
    -------
    >>> judge_cache().text.endswith("can be written")
    True
    """
    constants = import_module("huggingface_hub.constants")
    cache = Path(constants.HF_ASSETS_CACHE)
    # what is not there yet is made when it is needed
    there = next(part for part in (cache, *cache.parents) if part.is_dir())
    finding = judge_folder(there)
    if finding.is_well:
        return Finding(f"cache of models: {cache} can be written")
    return Finding(finding.text, "set HF_HOME to a folder of your own")
