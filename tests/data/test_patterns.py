"""Laws of focalaudio.data.patterns: one reading, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focalaudio.data.patterns import NamePattern
from focalaudio.errors import DataError

word = st.text("abc01 -", min_size=1, max_size=4)


@given(label=word, group=word, index=word)
def test_a_name_that_is_written_is_read(label, group, index):
    pattern = NamePattern("{label}_{group}_{index}.wav")
    said = {"label": label, "group": group, "index": index}
    assert pattern.read(f"x/{pattern.pattern.format(**said)}") == said


@given(st.text("a_", min_size=3, max_size=7))
def test_a_reading_is_the_only_one(name):
    pattern = NamePattern("{label}_{x}_{y}")
    cuts = [i for i in range(len(name)) if name[i] == "_"]
    readings = {
        (name[:i], name[i + 1 : j], name[j + 1 :])
        for i in cuts
        for j in cuts
        if i > 0 and i + 1 < j and j + 1 < len(name)
    }
    if len(readings) > 1:
        with pytest.raises(DataError, match="several ways"):
            pattern.read(name)
    else:
        found = pattern.read(name)
        assert (tuple(found.values()) if found else None) == next(
            iter(readings), None
        )


@given(st.integers(0, 999), word.map(lambda text: f"{text}_x"))
def test_digits_leave_separators_to_others(index, label):
    read = NamePattern("{label}_{index:d}").read(f"{label}_{index}.FLAC")
    assert read == {"label": label, "index": str(index)}


def test_folders_count_as_far_as_the_pattern_names_them():
    pattern = NamePattern("{fold}/{label}/{label}-{index}.wav")
    read = pattern.read("all/one/dog/dog-1.WAV")
    assert read == {"fold": "one", "label": "dog", "index": "1"}
    assert pattern.read("one/dog/rain-1.wav") is None
    assert pattern.read("dog/dog-1.wav") is None
    assert pattern.read("one/dog/dog-1.flac") is None


@pytest.mark.parametrize(
    "pattern", ["{group}.wav", "", None, 7, "{label", "{label}{}", "{label:x}"]
)
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(DataError, match="pattern="):
        NamePattern(pattern)
