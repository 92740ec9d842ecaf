"""Laws of annotations: what tables mean, and what is wrong with them."""

import math

import pytest

from focalaudio.data.annotations import (
    Box,
    encode_boxes,
    find_annotations,
    read_annotations,
)
from focalaudio.errors import DataError

RAVEN = (
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\t"
    "High Freq (Hz)\tAnnotation\n"
)


@pytest.fixture
def read(tmp_path):
    """`read(text)`: the boxes of a file of that text."""

    def read(text):
        path = tmp_path / "dog.txt"
        path.write_text(text, encoding="utf-8", newline="")
        return read_annotations(path)

    return read


def test_a_selection_table_is_read_by_the_names_of_its_columns(read):
    lines = ("1\tSpectrogram 1\t1\t0.5\t1.25\t200\t4000.5\tdog\n",)
    wanted = [Box(0.5, 1.25, 200, 4000.5, "dog")]
    assert read(RAVEN + lines[0]) == wanted
    turned = "Species\tEnd Time (s)\tBegin Time (s)\nowl\t2\t1\n\t3\t2\n"
    assert read(turned) == [Box(1, 2, label="owl"), Box(2, 3)]


def test_a_selection_in_two_views_is_one_box(read):
    views = ("Waveform 1", "Spectrogram 1")
    lines = [f"1\t{view}\t1\t0.5\t1\t0\t99\tdog\n" for view in views]
    assert read(RAVEN + "".join(lines)) == [Box(0.5, 1, 0, 99, "dog")]


def test_a_label_track_has_frequencies_or_none(read):
    text = (
        "0.5\t1.0\tdog barks\n\\\t200.0\t4000.0\n"
        "1.0\t2.0\tcat\n"
        "2.0\t3.0\n"
        "3.0\t4.0\tfox\n\\\t-1.0\t-1.0\n"
    )
    assert read(text) == [
        Box(0.5, 1, 200, 4000, "dog barks"),
        Box(1, 2, label="cat"),
        Box(2, 3),
        Box(3, 4, label="fox"),
    ]


@pytest.mark.parametrize("text", ["", "\n \n", RAVEN])
def test_a_table_may_hold_nothing(read, text):
    assert read(text) == []


def test_line_ends_and_marks_of_windows_are_the_same(read):
    text = RAVEN + "1\tSpectrogram 1\t1\t0.5\t1\t0\t99\tdog\n"
    assert read("\ufeff" + text.replace("\n", "\r\n")) == read(text)
    assert read("0\t1\ta\r\n\\\t1\t2\r\n") == read("0\t1\ta\n\\\t1\t2\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RAVEN + "1\tS\t1\tx\t1\t0\t99\tdog\n", "line 2: 'x' is no number"),
        (RAVEN + "\n1\tS\t1\n", "line 3: '' is no number"),
        (RAVEN + "1\tS\t1\t1\t1\t0\t9\n", "line 2: from 1 to 1 s is no extent"),
        (RAVEN + "1\tS\t1\t1\t2\t9\t3\n", "line 2: from 9 to 3 Hz is no ext"),
        (RAVEN + "1\tS\t1\t1\t2\t0\t9\ta\tb\n", "line 2: has 9 cells, but"),
        ("Begin Time (s)\n1\n", r"line 1: has no column 'End Time \(s\)'"),
        (
            "Begin Time (s)\tEnd Time (s)\tLow Freq (Hz)\n1\t2\t3\n",
            "line 1: has one of the columns 'Low Freq",
        ),
        ("0.5\t1.0\ta\n0.7\n", "line 2: has 1 cells between tabs"),
        ("begin,end,label\n", "line 1: has 1 cells .* Raven's names"),
        ("1.0\t0.5\ta\n", "line 1: from 1 to 0.5 s is no extent"),
        ("-1\t0.5\ta\n", "line 1: from -1 to 0.5 s is no extent"),
        ("0\tinf\ta\n", "line 1: 'inf' is no number"),
        ("0\tnan\ta\n", "line 1: 'nan' is no number"),
        ("\\\t1\t2\n", "line 1: gives frequencies of no label"),
        ("0\t1\ta\n\\\t1\t2\n\\\t1\t2\n", "line 3: gives frequencies of no"),
        ("0\t1\ta\n\\\t1\n", "line 2: has 2 cells between tabs"),
        ("0\t1\ta\n\\\t1\tx\n", "line 2: 'x' is no number"),
        ("0\t1\ta\n\\\t5\t2\n", "line 2: from 5 to 2 Hz is no extent"),
    ],
)
def test_what_is_malformed_is_named_by_file_and_line(read, text, said):
    with pytest.raises(DataError, match=rf"dog\.txt, {said}"):
        read(text)


def test_what_is_no_text_is_an_error(tmp_path):
    path = tmp_path / "dog.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="dog.txt is no table"):
        read_annotations(path)
    with pytest.raises(DataError, match="cat.txt is no table"):
        read_annotations(tmp_path / "cat.txt")


@pytest.mark.parametrize("name", ["a.b.txt", "a.b.Table.1.selections.txt"])
def test_a_table_lies_beside_its_clip(tmp_path, name):
    with pytest.raises(DataError, match=r"a\.b\.txt is missing"):
        find_annotations(tmp_path / "a.b.wav")
    (tmp_path / name).write_text("")
    assert find_annotations(tmp_path / "a.b.wav") == tmp_path / name


def test_two_tables_of_a_clip_are_an_error(tmp_path):
    for suffix in (".txt", ".Table.1.selections.txt"):
        (tmp_path / f"dog{suffix}").write_text("")
    with pytest.raises(DataError, match="two tables .*; keep one"):
        find_annotations(tmp_path / "dog.wav")


def test_a_box_is_of_its_label_of_the_clips_or_of_none():
    boxes = [Box(0, 1, label="cat"), Box(0, 1), Box(0, 1, label="owl")]
    encoded = encode_boxes(boxes, {"dog": 0, "cat": 1}, "dog")
    assert [box[-1] for box in encoded] == [1, 0, -1]
    assert all(box[:4] == [0, 1, 0, math.inf] for box in encoded)
