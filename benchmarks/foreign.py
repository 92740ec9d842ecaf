"""How far a classifier that hears agrees with the same one that sees.

    python benchmarks/foreign.py [FILE ...]

The default model, and a copy of it that is a function of sound, are asked about
the same masks of the same clips; those that come with the package if no file is
given.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

import focalaudio
from focalaudio import SoundInterpreter
from focalaudio.audio import load_wav

METHODS = ("loudest", "saliency", "random")
EXAMPLES = Path(focalaudio.__file__).parent / "data" / "examples"


def copy_by_sound(own: SoundInterpreter) -> SoundInterpreter:
    """Make of a model of ours a foreign one, which only hears."""
    model = own.model

    def classify(wavs: Tensor) -> Tensor:
        spectrum = model.spectrogram(wavs)
        return model.classifier(spectrum.log_magnitude).logits

    return SoundInterpreter.from_classifier(
        classify,
        model.labels,
        own.sample_rate,
        clip_seconds=model.reader.clip_seconds,
        scale_peak=True,
    )


@torch.no_grad()
def compare(
    own: SoundInterpreter, copy: SoundInterpreter, method: str, wav: Tensor
) -> Tensor:
    """Return the difference of the class's probability: kept, removed."""
    found = own.explain_batch(wav, method=method)
    sides = [
        torch.cat(each.model.interpreter(method).classify_parts(found))
        for each in (own, copy)
    ]
    ours, theirs = (
        logits.softmax(-1)[:, found.class_ids[0]] for logits in sides
    )
    return (ours - theirs).abs()


def main() -> None:
    """Print a table: mean difference of kept and of removed parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    files = parser.parse_args().files or sorted(EXAMPLES.glob("*.flac"))
    own = SoundInterpreter.from_hparams()
    copy = copy_by_sound(own)
    wavs = [load_wav(path, own.sample_rate) for path in files]
    print(f"| mask ({len(wavs)} clips) | kept | removed |\n|---|---|---|")
    for method in METHODS:
        rows = [compare(own, copy, method, wav) for wav in wavs]
        kept, removed = torch.stack(rows).mean(0).tolist()
        print(f"| `{method}` | {kept:.2f} | {removed:.2f} |")


if __name__ == "__main__":
    main()
