"""`bundle -> the same answers in a fresh process`, bit for bit, or an error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from focalaudio.errors import ModelError
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models.bundle import Bundle, read_bundle

CHILD = (
    "import sys; from focalaudio.models.parity import answer_file; "
    "answer_file(*sys.argv[1:])"
)
NOISE_LEVEL = 0.1


def answers_of(bundle: Bundle, wavs: Tensor) -> dict[str, Tensor]:
    """Return all that a model says of clips.

    Arguments
    ---------
    bundle : Bundle
        The model.
    wavs : torch.Tensor
        `[batch, samples]`.

    Returns
    -------
    dict
        Logits `[batch, classes]`, and the mask of each method.
    """
    interpreter = SoundInterpreter(bundle)
    methods = ["by_design"] + ["piq"] * (bundle.decoder is not None)
    found = {m: interpreter.explain_batch(wavs, method=m) for m in methods}
    answers = {f"mask {m}": found[m].mask.float() for m in methods}
    return answers | {"logits": found["by_design"].logits}


def answer_file(folder: str, wavs: str, answers: str, n_threads: str) -> None:
    """Read a bundle and clips, write what it says of them.

    Arguments
    ---------
    folder : str
        The bundle.
    wavs, answers : str
        Files of tensors, read and written.
    n_threads : str
        As many as the process has that compares: sums depend on it.
    """
    torch.set_num_threads(int(n_threads))
    said = answers_of(read_bundle(Path(folder)), load_file(wavs)["wavs"])
    save_file({k: v.contiguous() for k, v in said.items()}, answers)


def check_parity(folder: Path, bundle: Bundle, wav: Tensor) -> None:
    """Load a bundle in a fresh process; compare its answers with the model's.

    Arguments
    ---------
    folder : pathlib.Path
        The bundle.
    bundle : Bundle
        The model that it was made of.
    wav : torch.Tensor
        `[samples]`, a clip; noise is compared too.

    Raises
    ------
    ModelError
        If the bundle cannot be read, or one bit of an answer differs.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(len(wav), generator=generator) * NOISE_LEVEL
    wavs = torch.stack((wav, noise))
    with TemporaryDirectory() as temporary:
        files = [str(Path(temporary) / name) for name in ("wavs", "answers")]
        save_file({"wavs": wavs}, files[0])
        run_child([str(folder.absolute()), *files])
        compare(answers_of(bundle, wavs), load_file(files[1]))


def run_child(arguments: list[str]) -> None:
    """Run `answer_file` in a fresh process.

    Arguments
    ---------
    arguments : list of str
        The bundle's folder, and two files of tensors.

    Raises
    ------
    ModelError
        If it fails; says why.
    """
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments, str(torch.get_num_threads())],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise ModelError(
            f"The bundle cannot be read in a fresh process: {said[-1]} "
            "Nothing was written."
        )


def compare(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    """Compare answers bit for bit.

    Arguments
    ---------
    ours, theirs : mapping
        Names and tensors.

    Raises
    ------
    ModelError
        If they differ.

    Example
    -------
    >>> compare({"logits": torch.ones(1)}, {"logits": torch.zeros(1)})
    Traceback (most recent call last):
    focalaudio.errors.ModelError: logits of the bundle differ by up to 1 ...
    """
    for name, tensor in ours.items():
        if not torch.equal(tensor, theirs[name]):
            most = (tensor - theirs[name]).abs().max().item()
            raise ModelError(
                f"{name} of the bundle differ by up to {most:.3g} from the "
                "run's own; nothing was written. Please report this."
            )
