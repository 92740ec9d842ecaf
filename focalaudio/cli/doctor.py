"""`focalaudio doctor`: what is installed, what is wrong, and the way out.

What is needed is what the package itself requires. Everything else is imported
by name and in a try: an installation that is broken is what this is for.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from focalaudio.errors import FocalAudioError, escape_text
from focalaudio.version import __version__

EXAMPLES = """example:
  focalaudio doctor

Exit codes: 0 all is well, 1 something is wrong.
"""
_OLDEST_SNDFILE = (1, 1)  # reads mp3


@dataclass(frozen=True)
class _Finding:
    """One thing that was looked at, and what to do about it if anything."""

    text: str
    remedy: str = ""

    def __str__(self) -> str:
        text = escape_text(self.text)
        if not self.remedy:
            return f"ok     {text}"
        return f"WRONG  {text} -> {self.remedy}"


def add_doctor(commands: Any) -> None:
    """Add the parser of `focalaudio doctor` to argparse's subparsers."""
    parser = commands.add_parser(
        "doctor",
        help="what is installed, what is wrong, and the way out",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_report, saved="nothing was changed")


def _report(arguments: argparse.Namespace) -> int:
    findings = _examine(Path.cwd())
    for finding in findings:
        print(finding)
    wrong = sum(bool(finding.remedy) for finding in findings)
    print(f"{wrong} wrong." if wrong else "All is well.")
    return int(wrong > 0)


def _examine(folder: Path) -> list[_Finding]:
    """Look at the installation and at a folder, in the order to mend them."""
    python = sys.version.split()[0]
    torch = "torch torchaudio"
    return [
        _Finding(f"focalaudio {__version__}, Python {python}"),
        *_try("what is required is known", _judge_packages, "focalaudio"),
        *_try("torch and torchaudio work together", _load_pair, torch),
        *_try("sound files can be read", _load_sndfile, "soundfile"),
        *_try("devices are known", _list_devices, torch),
        *_try("the default model is whole", _judge_default, "focalaudio"),
        _judge_folder(folder),
        *_try("the cache can be found", _judge_cache, "huggingface_hub"),
    ]


def _try(
    text: str, look: Callable[[], list[_Finding]], packages: str
) -> list[_Finding]:
    """Return what was found, or why it could not be looked at."""
    try:
        return look()
    except (AttributeError, ImportError, OSError, RuntimeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        remedy = f"pip install --force-reinstall {packages}"
        return [_Finding(f"not so: {text} ({first})", remedy)]


def _judge_packages() -> list[_Finding]:
    """Compare what is installed with what the package requires."""
    parse = import_module("packaging.requirements").Requirement
    needed = [parse(line) for line in requires("focalaudio") or ()]
    wanted = [
        one for one in needed if one.marker is None or one.marker.evaluate()
    ]
    return [*map(_judge_package, wanted), *_judge_pair()]


def _judge_package(wanted: Any) -> _Finding:
    """Say whether a requirement is met."""
    remedy = f"pip install '{wanted}'"
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return _Finding(f"{wanted.name} is not installed", remedy)
    if not wanted.specifier.contains(found, prereleases=True):
        text = f"{wanted.name} {found} is not {wanted.specifier}"
        return _Finding(text, remedy)
    return _Finding(f"{wanted.name} {found}")


def _judge_pair() -> list[_Finding]:
    """Say whether torch and torchaudio are of one release."""
    try:
        torch, audio = version("torch"), version("torchaudio")
    except PackageNotFoundError:
        return []
    release = ".".join(torch.split(".")[:2])
    if audio.split(".")[:2] == release.split("."):
        return []
    text = f"torch {torch} and torchaudio {audio} are not of one release"
    return [_Finding(text, f"pip install 'torchaudio=={release}.0'")]


def _load_pair() -> list[_Finding]:
    """Import torch and torchaudio, which fails if they do not match."""
    functional = import_module("torchaudio.functional")
    wav = import_module("torch").zeros(1, 160)
    functional.resample(wav, 16000, 8000)
    return [_Finding("torch and torchaudio work together")]


def _load_sndfile() -> list[_Finding]:
    """Import soundfile, and ask libsndfile for its version."""
    found = import_module("soundfile").__libsndfile_version__
    if tuple(map(int, found.split(".")[:2])) < _OLDEST_SNDFILE:
        remedy = "pip install --upgrade soundfile, or apt install libsndfile1"
        return [_Finding(f"libsndfile {found} reads no MP3", remedy)]
    return [_Finding(f"libsndfile {found} reads and writes sound files")]


def _list_devices() -> list[_Finding]:
    """Say where models can run."""
    torch = import_module("torch")
    names = [f"cpu ({torch.get_num_threads()} threads)"]
    if torch.cuda.is_available():
        names += [
            f"cuda:{index} ({torch.cuda.get_device_name(index)})"
            for index in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [_Finding(f"devices: {', '.join(names)}")]


def _judge_default() -> list[_Finding]:
    """Read the model that comes with the package, sums and all."""
    try:
        models = import_module("focalaudio.models")
    except (AttributeError, ImportError, OSError, RuntimeError):
        return []  # whose fault that is stands above
    try:
        labels = models.load_model().labels
    except (FocalAudioError, OSError) as error:
        remedy = "pip install --force-reinstall focalaudio, or give --model"
        return [_Finding(f"the default model: {error}", remedy)]
    return [_Finding(f"default model is whole: {len(labels)} classes")]


def _judge_folder(folder: Path) -> _Finding:
    """Say whether files can be written into a folder."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"focalaudio")
    except OSError as error:
        remedy = "go to a folder of your own, or free some space"
        return _Finding(f"{folder} cannot be written: {error.strerror}", remedy)
    return _Finding(f"{folder.absolute()} can be written")


def _judge_cache() -> list[_Finding]:
    """Say whether models from a hub can be kept."""
    constants = import_module("huggingface_hub.constants")
    cache = Path(constants.HF_ASSETS_CACHE)
    # what is not there yet is made when it is needed
    there = next(part for part in (cache, *cache.parents) if part.is_dir())
    finding = _judge_folder(there)
    if finding.remedy:
        return [_Finding(finding.text, "set HF_HOME to a folder of your own")]
    return [_Finding(f"cache of models: {cache} can be written")]
