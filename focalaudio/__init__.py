"""What did a sound classifier listen to? A SpeechBrain plugin.

The package follows one line, `file -> waveform -> STFT -> log-magnitude ->
image -> encoder -> logits + maps -> saliency -> mask -> kept / removed ->
inverse STFT -> wav + picture + metrics -> report`; to find code, find its
arrow:

errors        what a user can meet, one line each
files         whole files or none
interrupts    Ctrl-C and SIGTERM, which are not lost
starting      Ctrl-C while a recipe is imported -> one line
memory        freed -> used again: large tensors without the kernel
processes     what each process has -> what all have, and the share of each
arguments     objects that remember how they were made
audio         file <-> waveform
sniffing      the bytes of a file -> what it is, whether all of it is there
repairs       the bytes of a damaged file -> those that a decoder reads
waveforms     waveform -> waveform: channels, rate, length, level
recordings    a file of any length -> windows, in flat memory
augment       what training does to waveforms and spectrograms
spectrogram   waveform <-> STFT <-> log-magnitude
mel           bins <-> bands that are even on the mel scale
image         log-magnitude <-> image, the grid that an encoder sees
encoders      image -> features + maps
evidence      known parts of a mixture -> what each cell should say
decisions     logits -> probabilities, answers, losses: one label or several
classifier    log-magnitude -> image -> encoder -> logits
contract      what is asked of a classifier, whoever made it
foreign       somebody else's classifier, asked as ours are
shares        cells + finer features -> what fine cells say of each class
saliency      several maps -> one
masks         saliency -> mask -> kept / removed
boxes         mask -> boxes in seconds and Hz
interpreters  the one pipeline from waveforms to an Interpretation
metrics       what an interpretation is worth
mixtures      two clips -> a mixture at a stated ratio
data          folder -> manifests -> datasets
brains        SpeechBrain's training and evaluation loops
pictures      tensors -> figures
report        rows -> CSV, JSON; Interpretation -> wav, png, HTML
overrides     argv -> SpeechBrain's options, and keys of a YAML file
values        a YAML file + what is given instead -> values of its kinds
experiment    argv -> hparams and folder: how a recipe starts
endings       a mistake, Ctrl-C -> one line: how it ends if not well
console       what of a run's log is shown
models        a run, a bundle or a hub <-> model
inference     a model -> explanations; long recordings
reproduction  the paper's table and figures, by the recipes
cli           the `focalaudio` command

Public names load when they are first used; importing has no side effects.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from focalaudio.version import __version__

_HOMES = {
    "Interpretation": "focalaudio.interpreters",
    "PIQInterpreter": "focalaudio.interpreters",
    "SoundClassifier": "focalaudio.classifier",
    "SoundInterpreter": "focalaudio.inference.interpreter",
    "Spectrogram": "focalaudio.spectrogram",
    "ThresholdInterpreter": "focalaudio.interpreters",
    "build_encoder": "focalaudio.encoders",
    "explain_files": "focalaudio.inference.folder",
    "list_encoders": "focalaudio.encoders",
}

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Import a public name from where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'focalaudio' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
