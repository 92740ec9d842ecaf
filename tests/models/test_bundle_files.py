"""Laws of focalaudio.models.bundle_files."""

import hashlib
import os

import pytest

from focalaudio.errors import ModelError, UnsafeModelError
from focalaudio.models.bundle_files import (
    NEEDED,
    WEIGHT_FILES,
    check_sums,
    choose_files,
    is_bundle_file,
    list_files,
)


@pytest.mark.parametrize(
    "name",
    [*NEEDED, "decoder.safetensors", "README.md", "SHA256SUMS",
     "example.wav", "example_2.wav", "example.png", "trained_on.txt"],
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


SIZES = dict.fromkeys([*NEEDED, "example.wav"], 1) | {"x.bin": 10**9}


def test_chosen_is_what_a_bundle_has_and_only_that_counts():
    assert choose_files("a/b", SIZES, 4) == [*NEEDED, "example.wav"]
    with pytest.raises(ModelError, match="a/b has 4 bytes in 4 files.*=3 or"):
        choose_files("a/b", SIZES, 3)


def test_a_thousand_examples_are_too_many():
    examples = {f"example{index}.wav": 1 for index in range(1000)}
    with pytest.raises(ModelError, match="1004 files.* 64 files"):
        choose_files("a/b", SIZES | examples, 10**9)


def test_what_is_missing_is_named():
    with pytest.raises(ModelError, match="lacks model.safetensors: it is no"):
        choose_files("a/b", {NEEDED[0]: 1, NEEDED[2]: 1}, 10**9)


def test_links_and_devices_are_refused(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "README.md").touch()
    assert list(list_files(tmp_path)) == ["README.md", "sub"]
    (tmp_path / "example.wav").symlink_to(tmp_path / "README.md")
    with pytest.raises(UnsafeModelError, match="example.wav is a link"):
        list_files(tmp_path)
    (tmp_path / "example.wav").unlink()
    os.mkfifo(tmp_path / "example.wav")
    with pytest.raises(UnsafeModelError, match="no regular file"):
        list_files(tmp_path)


def test_a_crowded_folder_is_not_looked_through(tmp_path):
    for index in range(65):
        (tmp_path / f"{index}.txt").touch()
    with pytest.raises(ModelError, match="more than 64 files"):
        list_files(tmp_path)


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


LINE = "0" * 64 + "  README.md\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LINE, "does not have the digest"),
        (LINE * 2, "names a file twice"),
        (LINE * 65, "more than 64 lines"),
    ],
)
def test_each_file_is_named_once(tmp_path, text, words):
    (tmp_path / "SHA256SUMS").write_text(text)
    with pytest.raises(ModelError, match=words):
        check_sums(tmp_path)


@pytest.mark.parametrize(
    "name",
    [*NEEDED, *WEIGHT_FILES.values(), "folds.csv", "trained_on.txt",
     "README.md", "example.png", "example_2.wav"],
)  # fmt: skip
@pytest.mark.parametrize("known", [True, False])
def test_a_file_of_a_bundle_is_in_the_list(tmp_path, name, known):
    (tmp_path / "SHA256SUMS").touch()
    (tmp_path / "notes.txt").touch()  # is not a bundle's
    digests = {"SHA256SUMS": "0" * 64} if known else None
    check_sums(tmp_path, digests)
    (tmp_path / name).touch()
    with pytest.raises(ModelError, match=f"does not list {name}; "):
        check_sums(tmp_path, digests)


def test_a_list_without_end_is_not_read(tmp_path):
    with (tmp_path / "SHA256SUMS").open("wb") as file:
        file.truncate(6_000_000_000)  # takes no room on the disk
    with pytest.raises(ModelError, match="or 50000 bytes"):
        check_sums(tmp_path)


def test_digests_that_are_known_are_not_computed(tmp_path):
    (tmp_path / "SHA256SUMS").write_text(LINE)
    (tmp_path / "README.md").write_bytes(b"other")
    check_sums(tmp_path, {"README.md": "0" * 64})
    with pytest.raises(ModelError, match="README.md does not have"):
        check_sums(tmp_path, {"README.md": "1" * 64})
