"""File of weights -> state dict, without ever running code from the file.

Pickles go through torch's restricted reader only. What that refuses is looked
through, without executing anything, to tell a file that asks for code from
one that is merely damaged.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from focalaudio.errors import ModelError, UnsafeModelError

SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
PICKLE_BYTES = 1 << 26  # how much of a refused pickle is examined
NAMED = ("GLOBAL", "INST")  # opcodes that name a function or a class
HIDDEN = ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4")  # that take it elsewhere
# what a file of tensors has to name; whatever else a pickle names is code
TENSOR_GLOBALS = re.compile(
    r"collections OrderedDict|torch(\.storage)? \w*Storage"
    r"|torch\._utils _rebuild_\w+|torch\.nn\.parameter Parameter"
    r"|torch (Size|device|b?float\w+|u?int\d+|bool)"
)
BROKEN = (  # what is raised on a damaged file
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError,
    MemoryError, RuntimeError, SafetensorError, TypeError, ValueError,
    pickle.UnpicklingError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read_state_dict(path: str | Path) -> dict[str, Any]:
    """Read a file of weights without ever running code from it.

    Arguments
    ---------
    path : str or Path
        A `.safetensors` file, or a `.ckpt`, `.pt`, `.pth` or `.bin` file,
        which is read with `torch.load(..., weights_only=True)`.

    Returns
    -------
    dict
        Names and tensors, on the CPU, as they are in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnsafeModelError
        If the file asks for code to be run.
    ModelError
        If the file is damaged, or holds something else.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> torch.save({"bias": torch.zeros(2)}, folder / "head.ckpt")
    >>> read_state_dict(folder / "head.ckpt")
    {'bias': tensor([0., 0.])}
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path={path.absolute()} does not exist.")
    if not path.is_file() or path.suffix not in SUFFIXES:
        raise ModelError(f"path={path} must be a file: {', '.join(SUFFIXES)}.")
    try:
        content = _read(path)
    except PermissionError:
        raise
    except (OSError, *BROKEN):  # torch seeks before the start of a short file
        # torch's own message recommends to trust the file: it is not shown
        code = next(_code_in(path), None)
        if code is not None:
            raise UnsafeModelError(
                f"path={path} asks for code to be run ({code}) and is refused;"
                " ask its author for a .safetensors file."
            ) from None
        raise ModelError(
            f"path={path} ({path.stat().st_size} bytes) is damaged or holds "
            "no weights; fetch it again."
        ) from None
    if not isinstance(content, dict):
        raise ModelError(
            f"path={path} must hold a state dict, not {type(content).__name__}."
        )
    return content


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _code_in(path: Path) -> Iterator[str]:
    """Name what a refused file wanted to call."""
    if path.suffix == ".safetensors":
        return
    with path.open("rb") as file:
        yield from _code_in_pickle(file.read(PICKLE_BYTES))
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".pkl"):
                    with archive.open(name) as file:
                        yield from _code_in_pickle(file.read(PICKLE_BYTES))
    except (OSError, *BROKEN):  # no archive, or one that is damaged too
        return


def _code_in_pickle(pickled: bytes) -> Iterator[str]:
    """Name what pickles, one after the other, call; nothing is executed."""
    stream = io.BytesIO(pickled)
    try:
        while True:
            for opcode, argument, _ in pickletools.genops(stream):
                name = str(argument)
                if opcode.name in HIDDEN:
                    yield opcode.name
                elif opcode.name in NAMED and _is_code(name):
                    yield name.replace(" ", ".")
    except (ValueError, struct.error):  # the end, or no pickle at all
        return


def _is_code(name: str) -> bool:
    """`module name`, and not what tensors are made of; no prose either."""
    is_name = re.fullmatch(r"[\w.]+ [\w.]+", name)
    return bool(is_name) and not TENSOR_GLOBALS.fullmatch(name)


def write_weights(module: nn.Module, path: Path) -> None:
    """Write a module's weights as safetensors."""
    state = module.state_dict().items()
    tensors = {key: value.detach().cpu().clone() for key, value in state}
    # written by us, since save_file lets nobody but its owner read it
    path.write_bytes(save(tensors, metadata={"format": "pt"}))


def digest_weights(module: nn.Module) -> str:
    """Return the SHA-256 of all weights of a module, hexadecimal."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        flat = value.detach().cpu().contiguous().flatten()
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()
