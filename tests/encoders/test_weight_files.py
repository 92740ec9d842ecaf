"""Weights are read, damage is named, and code in a file is never run."""

import pickle
import random
import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from focalaudio.encoders.weight_files import digest_weights, read_state_dict
from focalaudio.errors import ModelError, UnsafeModelError

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's, on such files


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Malice:
    """Pickles as a call that leaves a canary."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return open, (self.canary, "w")


def write_torchscript(path, _canary):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)


def write_opcodes(template):
    def write(path, canary):
        path.write_bytes(template.replace(b"CANARY", str(canary).encode()))

    return write


MALICE = {
    **{
        f"pickle protocol {protocol}": (
            lambda path, canary, protocol=protocol: path.write_bytes(
                pickle.dumps({"model": Malice(canary)}, protocol)
            )
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    **{
        f"torch.save protocol {protocol}": (
            lambda path, canary, protocol=protocol: torch.save(
                {
                    "model": nn.Linear(2, 2).state_dict(),
                    "epoch": Malice(canary),
                },
                path,
                pickle_protocol=protocol,
            )
        )
        for protocol in (2, 4)
    },
    "torch.save legacy": lambda path, canary: torch.save(
        {"norm.weight": torch.ones(2), "x": Malice(canary)},
        path,
        _use_new_zipfile_serialization=False,
    ),
    "a module": lambda path, _canary: torch.save(nn.Linear(2, 2), path),
    "torchscript": write_torchscript,
    "through torch": write_opcodes(b"ctorch.os\nsystem\n(S'touch CANARY'\ntR."),
    "torch's own": write_opcodes(b"ctorch\nload\n(S'CANARY'\ntR."),
    "an instance": write_opcodes(b"(S'touch CANARY'\nios\nsystem\n."),
    "after weights": write_opcodes(
        b"\x80\x02}q\x00.\x80\x02cos\nsystem\nU\x0ctouch CANARY\x85R."
    ),
}


@pytest.mark.parametrize("name", MALICE)
@pytest.mark.parametrize("suffix", [".ckpt", ".bin"])
def test_code_is_refused_and_never_run(name, suffix, tmp_path):
    canary, path = tmp_path / "canary", tmp_path / f"weights{suffix}"
    MALICE[name](path, canary)
    with pytest.raises(UnsafeModelError, match="asks for code") as error:
        read_state_dict(path)
    assert str(path) in str(error.value)
    assert "weights_only" not in str(error.value)
    assert not canary.exists()


@pytest.mark.parametrize("name", MALICE)
def test_code_under_the_name_of_safetensors_is_never_run(name, tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "weights.safetensors"
    MALICE[name](path, canary)
    with pytest.raises(ModelError):
        read_state_dict(path)
    assert not canary.exists()


def test_the_canary_is_left_where_code_is_run(tmp_path):
    pickle.loads(pickle.dumps(Malice(tmp_path / "canary"))).close()
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt", ".pt", ".bin"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no weights at all",
        b"import os\nimport sys\n",
        b"<!DOCTYPE html><html></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        b"PK\x03\x04",
        b"\x80\x02.",
        b"\xff" * 1000,
        bytes(1000),
    ],
)
def test_garbage_is_no_weights(content, suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged") as error:
        read_state_dict(path)
    assert not isinstance(error.value, UnsafeModelError)
    assert f"{path} ({len(content)} bytes)" in str(error.value)


def write_weights(path, kind):
    weights = {f"blocks.{i}": torch.randn(3, 5) for i in range(4)}
    if kind == "safetensors":
        save_file(weights, path)
    else:
        zipped = kind == "zip"
        torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_a_truncated_file_is_damaged(kind, tmp_path):
    suffix = "safetensors" if kind == "safetensors" else "ckpt"
    path = tmp_path / f"weights.{suffix}"
    content = write_weights(path, kind)
    for length in range(0, len(content), 23):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError):
            read_state_dict(path)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_a_damaged_file_is_read_or_refused(kind, tmp_path):
    suffix = "safetensors" if kind == "safetensors" else "ckpt"
    path, generator = tmp_path / f"weights.{suffix}", random.Random(0)
    content = write_weights(path, kind)
    refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        damaged[generator.randrange(len(content))] ^= generator.randrange(
            1, 256
        )
        path.write_bytes(damaged)
        try:
            read_state_dict(path)
        except ModelError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("content", [[], torch.ones(2), 3, "text"])
def test_a_file_of_something_else_is_no_state_dict(content, tmp_path):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=f"not {type(content).__name__}"):
        read_state_dict(tmp_path / "a.pt")


def test_a_missing_file_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        read_state_dict("missing.ckpt")


def test_folders_and_other_files_are_refused(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({}))
    (tmp_path / "folder.pt").mkdir()
    for name in ("a.pkl", "folder.pt"):
        with pytest.raises(ModelError, match=r"must be a file: \.safetensors"):
            read_state_dict(tmp_path / name)


def test_weights_are_told_apart_by_value_name_and_shape():
    module = nn.Linear(2, 3)
    digests = {digest_weights(module)}
    nn.init.zeros_(module.weight)
    digests |= {digest_weights(nn.Sequential(module)), digest_weights(module)}
    module.weight = nn.Parameter(torch.zeros(2, 3))
    digests |= {digest_weights(module), digest_weights(nn.BatchNorm1d(2))}
    assert len(digests) == 5
