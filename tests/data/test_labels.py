"""Laws of focalaudio.data.labels: text stays what it is, or is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from speechbrain.dataio.encoder import CategoricalEncoder

from focalaudio.data.labels import (
    encode_labels,
    label_problems,
    load_labels,
    show_label,
)
from focalaudio.errors import DataError

ODD = [
    "007",
    "NA",
    "nan",
    "None",
    "True",
    "1e5",
    "a b",
    "a, b",
    "a/b",
    "'",
    '"',
]
ODD += ["\U0001f426", "\u0635\u0648\u062a", "x => y", " => ", "====", "#", "\\"]
ODD += ["=" * 16, " => => ", "a\\x20=> b", "<unk>", "0", "[1]", "{a: b}", "-"]
text = st.text(st.sampled_from("ab =>'\"\\\U0001f426\u00e4"), min_size=1)


def read_both(path):
    """What SpeechBrain's own reader says, and ours."""
    encoder = CategoricalEncoder.from_saved(str(path))
    return list(encoder.lab2ind), list(load_labels(path))


def test_odd_labels_survive_their_file(tmp_path):
    path = tmp_path / "label_encoder.txt"
    encode_labels(ODD).save(str(path))
    assert read_both(path) == (ODD, ODD)


@given(st.lists(text, min_size=1, unique=True))
def test_any_label_survives_its_file(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("t") / "label_encoder.txt"
    encode_labels(labels).save(str(path))
    assert read_both(path) == (labels, labels)


@pytest.mark.parametrize(
    "content",
    [
        b"dog\n",
        b"'dog' => one\n",
        b"__import__('os') => 0\n",
        b"'dog' => 1\n",
        b"\xff\xfe\x00",
        b"\x00",
    ],
)
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(DataError, match="labels.txt must have lines like"):
        load_labels(tmp_path / "labels.txt")


def test_plain_labels_are_written_as_speechbrain_does(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    encode_labels(["dog", "rain"]).save(str(ours))
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(["dog", "rain"])
    encoder.save(str(theirs))
    assert ours.read_bytes() == theirs.read_bytes()


def found(*labels):
    return [name for _, names, _ in label_problems(labels) for name in names]


def test_odd_labels_are_no_problem():
    assert found(*ODD, *ODD) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dog", "Dog"),
        ("b\u00e4r", "ba\u0308r"),
        ("\u2764", "\u2764\ufe0f"),
        ("a b", "a  b"),
        ("stra\u00dfe", "STRASSE"),
    ],
)
def test_twins_are_shown_with_what_differs(one, other):
    (said,) = found(one, "rain", other)
    assert said == f"{ascii(one)} and {ascii(other)}"
    assert said.isascii()
    assert show_label(one, [one, other]) == ascii(one)
    assert show_label(one, [one, "rain"]) == one


@pytest.mark.parametrize("sign", ["\u200b", "\u202e", "\n", "\x1b", "\ud800"])
def test_what_cannot_be_seen_is_escaped(sign):
    said = found(f"do{sign}g", "rain")
    assert said == [ascii(f"do{sign}g")]
    assert len(found("dog", f"do{sign}g")) == 2  # hidden, and a twin


@pytest.mark.parametrize("label", ["", " ", "a" * 201])
def test_nothing_and_too_much_are_no_labels(label):
    assert len(found(label, "dog")) == 1
