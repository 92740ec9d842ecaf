"""Laws of focalaudio.models.bundle_files."""

import hashlib

import pytest

from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.models.bundle_files import (
    NEEDED,
    check_sums,
    choose_files,
    is_bundle_file,
)
from focalaudio.models.hub import HubFile


def listed(names, n_bytes=1):
    return [HubFile(name, n_bytes, None, "0" * 40) for name in names]


@pytest.mark.parametrize(
    "name",
    [*NEEDED, "decoder.safetensors", "README.md", "SHA256SUMS",
     "example.wav", "example_2.wav", "example.png"],
)  # fmt: skip
def test_the_names_of_a_bundle(name):
    assert is_bundle_file(name)


@pytest.mark.parametrize(
    "name",
    ["model.ckpt", "setup.py", "sub/README.md", "example/../x.wav", "",
     "example.wav\n", "Example.wav", "../example.wav", "example.wav.py"],
)  # fmt: skip
def test_other_names_are_not(name):
    assert not is_bundle_file(name)


def test_chosen_is_what_a_bundle_has_and_only_that_counts():
    files = listed([*NEEDED, "example.wav"]) + listed(["x.bin"], 10**9)
    assert choose_files("a/b", files, 4) == tuple(files[:4])
    with pytest.raises(ModelError, match="a/b has 4 bytes in 4 files.*=3 or"):
        choose_files("a/b", files, 3)


def test_a_thousand_examples_are_too_many():
    examples = [f"example{index}.wav" for index in range(1000)]
    with pytest.raises(ModelError, match="1003 files.* 64 files"):
        choose_files("a/b", listed([*NEEDED, *examples]), 10**9)


def test_what_is_missing_is_named():
    with pytest.raises(ModelError, match="lacks model.safetensors: it is no"):
        choose_files("a/b", listed(["hyperparams.yaml", NEEDED[2]]), 10**9)


def test_sums_of_sha256sum_hold_in_text_and_binary_form(tmp_path):
    (tmp_path / "README.md").write_bytes(b"# Dogs\n")
    digest = hashlib.sha256(b"# Dogs\n").hexdigest()
    for line in (f"{digest}  README.md", f"{digest.upper()} *README.md"):
        (tmp_path / "SHA256SUMS").write_text(line + "\n")
        check_sums(tmp_path)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("0" * 64 + "  ../model.safetensors", UnsafeModelError),
        ("0" * 64 + "  /etc/passwd", UnsafeModelError),
        ("0" * 64 + "  model.safetensors\0", None),
        ("0" * 63 + "  model.safetensors", ModelError),
        ("nonsense", ModelError),
        ("0" * 64 + "  decoder.safetensors", ModelError),  # not there
        ("0" * 64 + "  notes.txt", None),  # not a bundle's
    ],
)
def test_a_list_of_digests_names_its_own_folder_only(tmp_path, line, error):
    (tmp_path / "SHA256SUMS").write_text(line + "\n")
    if error is None:
        check_sums(tmp_path)
        return
    with pytest.raises(error, match="SHA256SUMS"):
        check_sums(tmp_path)
