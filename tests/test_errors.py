"""Laws of what errors show."""

import re

import pytest

from focalaudio.errors import AudioError, DataError, HubError, escape_text

ODD = [
    "a\x1b[31m.wav",  # a color
    "a\x1b]0;owned\x07.wav",  # a title
    "a\rb.wav",
    "a\nfocalaudio: all is well.wav",
    "a\u202egpj.wav",  # written from the right
    "a\u200b.wav",  # of no width
    "a\x9b2J.wav",
    "a\udcff.wav",  # bytes that are no UTF-8
]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("kind", [AudioError, HubError])
def test_no_name_reaches_a_terminal_raw(name, kind):
    said = str(kind(f"{name} cannot be read."))
    assert said.isprintable()
    assert said.endswith(".wav cannot be read.")
    assert re.search(r"\\(x|n|r|u)", said)


@pytest.mark.parametrize(
    "name", ["a b.wav", "Zürich 東京 🐕.wav", "a\\b.wav", ""]
)
def test_names_that_can_be_shown_are_shown_as_they_are(name):
    assert escape_text(name) == name
    assert str(AudioError(name)) == name


def test_several_problems_of_a_data_set_stand_on_lines_of_their_own():
    assert str(DataError("a.csv:\n- b\x1b")) == "a.csv:\n- b\\x1b"
