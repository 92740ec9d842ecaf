"""Laws of focalaudio.report.timeline."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focalaudio.report.timeline import (
    Segment,
    merge_windows,
    write_audacity_labels,
    write_windows,
)

ODD = ["rain", "wind, strong", 'a "b"', "tab\there", "new\nline", "Élan 雨", ""]
LABELS = st.lists(st.sampled_from("ab"), min_size=1, max_size=12)


def overlapping(labels, overlap=1.0):
    return [
        Segment(index * 2.0, index * 2.0 + 2.0 + overlap, label, 0.5)
        for index, label in enumerate(labels)
    ]


@given(LABELS, st.sampled_from([0.0, 1.0, 2.0]))
def test_segments_cover_the_windows_without_gap_or_overlap(labels, overlap):
    windows = overlapping(labels, overlap)
    segments = [*merge_windows(windows)]
    assert segments[0].start == windows[0].start
    assert segments[-1].end == windows[-1].end
    for one, next_one in zip(segments[:-1], segments[1:], strict=True):
        assert one.end == next_one.start
        assert one.start < one.end
        assert one.label != next_one.label
    assert sum(segment.n_windows for segment in segments) == len(windows)


@given(LABELS)
def test_each_window_s_middle_is_in_a_segment_of_its_label(labels):
    windows = overlapping(labels)
    segments = [*merge_windows(windows)]
    for window in windows:
        middle = (window.start + window.end) / 2
        own = [s.label for s in segments if s.start <= middle < s.end]
        assert own == [window.label]


def test_probabilities_are_means_over_windows():
    windows = [Segment(i, i + 1, "a", p) for i, p in enumerate((0.1, 0.4, 1))]
    assert [*merge_windows(windows)][0].probability == pytest.approx(0.5)


def test_no_windows_make_no_segments():
    assert [*merge_windows([])] == []


def test_windows_come_back_from_the_file(tmp_path):
    windows = [
        Segment(i / 3, i + 1.0, label, 0.25) for i, label in enumerate(ODD)
    ]
    path = write_windows(windows, tmp_path / "new" / "a.csv")
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["start_s", "end_s", "label", "probability"]
    assert [row[2] for row in rows] == ODD
    for row, window in zip(rows, windows, strict=True):
        numbers = [float(row[i]) for i in (0, 1, 3)]
        own = [window.start, window.end, window.probability]
        assert numbers == pytest.approx(own, abs=1e-6)


def test_a_label_track_has_three_columns_whatever_the_labels(tmp_path):
    segments = [Segment(i, i + 1, label, 0.5) for i, label in enumerate(ODD)]
    path = write_audacity_labels(segments, tmp_path / "new" / "a.txt")
    rows = path.read_text("utf-8").split("\n")[:-1]
    assert len(rows) == len(ODD)
    assert all(len(row.split("\t")) == 3 for row in rows)
    assert rows[3] == "3.000000\t4.000000\ttab here (0.50)"
