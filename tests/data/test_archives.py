"""Laws of focalaudio.data.archives: what is unpacked, and what never is."""

import io
import stat
import zipfile
from contextlib import nullcontext

import numpy as np
import pytest

from focalaudio.data import archives
from focalaudio.data.archives import unpack_zip
from focalaudio.errors import DataError


def make_zip(files):
    """Name -> content, as the bytes of an archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_holds_what_the_archive_held(tmp_path):
    files = {"a/b.txt": b"text", "a/c/d.bin": bytes(range(256)), "e": b""}
    (tmp_path / "good.zip").write_bytes(make_zip(files))
    unpack_zip(tmp_path / "good.zip", tmp_path / "folder")
    paths = [p for p in (tmp_path / "folder").rglob("*") if p.is_file()]
    assert len(paths) == len(files)
    for name, data in files.items():
        assert (tmp_path / "folder" / name).read_bytes() == data


@pytest.mark.parametrize("data", [b"", b"<!DOCTYPE html><title>", b"PK"])
def test_what_is_no_archive_is_refused_with_its_first_bytes(tmp_path, data):
    (tmp_path / "page.zip").write_bytes(data)
    with pytest.raises(DataError) as caught:
        unpack_zip(tmp_path / "page.zip", tmp_path / "folder")
    assert f"begins with {data[:16]!r}" in str(caught.value)
    assert left_in(tmp_path) == ["page.zip"]


def special_member(kind):
    info = zipfile.ZipInfo("ESC-50-abc/special")
    info.create_system = 3  # Unix
    info.external_attr = (kind | 0o777) << 16
    return info


UNSAFE_MEMBERS = {
    "parent": "../evil.txt",
    "parent inside": "a/../../evil.txt",
    "parent at the end": "a/..",
    "absolute": "/tmp/evil.txt",
    "double slash": "//server/evil.txt",
    "dot": "a/./evil.txt",
    "backslash": "..\\evil.txt",
    "drive": "C:evil.txt",
    "drive absolute": "C:/evil.txt",
    "newline": "evil\n.txt",
    "link": special_member(stat.S_IFLNK),
    "device": special_member(stat.S_IFCHR),
    "pipe": special_member(stat.S_IFIFO),
}


@pytest.mark.parametrize("case", UNSAFE_MEMBERS)
def test_unsafe_members_are_refused_before_any_is_written(tmp_path, case):
    path = tmp_path / "outer" / "bad.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.txt", "good")
        archive.writestr(UNSAFE_MEMBERS[case], "/etc/passwd")
    with pytest.raises(DataError, match="do not use this archive"):
        unpack_zip(path, path.parent / "folder")
    assert left_in(path.parent) == ["bad.zip"]
    assert left_in(tmp_path) == ["outer"]


@pytest.mark.parametrize(
    "names", [("a", "a"), ("A.wav", "a.wav"), ("a", "a/b"), ("a/b", "a")]
)
def test_members_cannot_overwrite_each_other(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(names[0], "first")
        with pytest.warns() if names[0] == names[1] else nullcontext():
            archive.writestr(names[1], "second")
    with pytest.raises(DataError, match="one name"):
        unpack_zip(tmp_path / "bad.zip", tmp_path / "folder")


def test_bombs_are_refused_by_ratio(tmp_path):
    (tmp_path / "bomb.zip").write_bytes(make_zip({"a": bytes(1_000_000)}))
    with pytest.raises(DataError, match="over 50 times"):
        unpack_zip(tmp_path / "bomb.zip", tmp_path / "folder")
    assert left_in(tmp_path) == ["bomb.zip"]


@pytest.mark.parametrize(
    ("limit", "value"), [("_MAX_UNPACKED_BYTES", 1000), ("_MAX_MEMBERS", 3)]
)
def test_bombs_are_refused_by_size(tmp_path, monkeypatch, limit, value):
    monkeypatch.setattr(archives, limit, value)
    noise = np.random.default_rng(0).bytes(400)
    (tmp_path / "big.zip").write_bytes(make_zip(dict.fromkeys("abcd", noise)))
    with pytest.raises(DataError, match=f"exceed {value}"):
        unpack_zip(tmp_path / "big.zip", tmp_path / "folder")


def test_a_member_larger_than_it_says_is_refused(tmp_path):
    data = bytearray(make_zip({"a": b"0123456789" * 30}))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + offset
        data[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "liar.zip").write_bytes(data)
    with pytest.raises(DataError, match="not a whole zip"):
        unpack_zip(tmp_path / "liar.zip", tmp_path / "folder")


def test_encrypted_members_are_refused(tmp_path):
    data = bytearray(make_zip({"a": b"secret"}))
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        unpack_zip(tmp_path / "locked.zip", tmp_path / "folder")


def test_random_damage_never_escapes_as_another_error(tmp_path):
    rng = np.random.default_rng(5)
    small = make_zip({"a/b.txt": b"text " * 9, "a/c.txt": b"more"})
    for trial in range(300):
        data = bytearray(small)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        (tmp_path / "bad.zip").write_bytes(data)
        try:
            unpack_zip(tmp_path / "bad.zip", tmp_path / str(trial))
        except DataError:
            continue
