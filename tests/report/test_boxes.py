"""Laws of tables of boxes: what is written is read back, by us and others."""

import csv
from dataclasses import replace

import pytest
import torch

from focalaudio.boxes import BoxRules, HeardBox, find_boxes
from focalaudio.data.annotations import encode_boxes, read_annotations
from focalaudio.metrics.boxes import boxes_to_cells
from focalaudio.report.boxes import (
    RAVEN_COLUMNS,
    segments_to_boxes,
    write_audacity_boxes,
    write_boxes,
    write_raven,
)
from focalaudio.report.timeline import Segment
from focalaudio.spectrogram import Spectrogram

BOXES = [
    HeardBox(0.5, 1.0, 200.0, 4000.0, 0.8, 3, "dog"),
    HeardBox(3600.25, 3600.75, 0.0, 8000.0, 0.1234, 1, "wind, strong"),
    HeardBox(1e-6, 2e-6, 15.625, 31.25, 1.0, 0, "Élan 雨 'a'"),
]
WRITERS = [write_raven, write_audacity_boxes]
ODD = ["tab\there", "new\nline", "a\u2028b", '"quoted', "\x1b[2J"]


@pytest.mark.parametrize("write", WRITERS)
def test_boxes_come_back_from_the_table(write, tmp_path):
    read = read_annotations(write(BOXES, tmp_path / "new" / "a.txt"))
    for box, own in zip(read, BOXES, strict=True):
        for limit in ("begin", "end", "low", "high"):
            wanted = pytest.approx(getattr(own, limit), abs=1e-3)
            assert getattr(box, limit) == wanted
        assert box.label == own.label


ANALYSES = [
    Spectrogram(),
    Spectrogram(44100, n_fft=2048, win_length=23.0, hop_length=5.0),
    Spectrogram(8000, n_fft=200, win_length=25.0, hop_length=5.0),
]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("spectrogram", ANALYSES, ids=["16", "44", "8"])
def test_boxes_that_are_written_are_the_same_cells_when_read(
    write, spectrogram, tmp_path
):
    n_samples = 2 * spectrogram.sample_rate
    spectrum = spectrogram(torch.rand(1, n_samples))
    n_times, n_bins = spectrum.log_magnitude.shape[1:]
    mask, size = torch.zeros(n_times, n_bins), 1
    for time in range(0, n_times - 5, 7):  # parts of 1 to 5 cells either way
        first = time % (n_bins - 5)
        mask[time : time + size, first : first + size] = 1
        size = 1 + size % 5
    mask[n_times - 1, n_bins - 1] = 1
    rules = BoxRules(0, 0, least_score=0, most=n_times)
    boxes = find_boxes(mask, mask, spectrogram, n_samples, rules)
    named = [replace(box, label="dog") for box in boxes]
    read = read_annotations(write(named, tmp_path / "a.txt"))
    rows = encode_boxes(read, {"dog": 0}, "")
    marked = torch.tensor([rows], dtype=torch.double)
    asked = torch.tensor([0]), spectrum, spectrogram
    assert torch.equal(boxes_to_cells(marked, *asked)[0].float(), mask)


@pytest.mark.parametrize("write", WRITERS)
def test_no_boxes_make_a_table_without_any(write, tmp_path):
    assert read_annotations(write([], tmp_path / "a.txt")) == []


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("label", ODD)
def test_odd_labels_stay_in_their_cell(write, label, tmp_path):
    path = write([replace(BOXES[0], label=label), BOXES[0]], tmp_path / "a.txt")
    odd, plain = read_annotations(path)
    assert odd.label.isprintable()
    assert plain.label == "dog"


def test_ravens_columns_are_those_of_its_manual(tmp_path):
    header, first, *_ = write_raven(BOXES, tmp_path / "a.txt").open()
    assert tuple(header.rstrip("\n").split("\t")) == RAVEN_COLUMNS
    assert RAVEN_COLUMNS[:7] == (
        "Selection",
        "View",
        "Channel",
        "Begin Time (s)",
        "End Time (s)",
        "Low Freq (Hz)",
        "High Freq (Hz)",
    )
    assert first.split("\t")[:3] == ["1", "Spectrogram 1", "1"]


def test_an_independent_reader_reads_ravens_table(tmp_path):
    bbox = pytest.importorskip("crowsetta").formats.bbox
    path = write_raven(BOXES, tmp_path / "a.Table.1.selections.txt")
    read = bbox.Raven.from_file(path, annot_col="Annotation").to_bbox()
    check(read)


def test_an_independent_reader_reads_audacitys_labels(tmp_path):
    bbox = pytest.importorskip("crowsetta").formats.bbox
    path = write_audacity_boxes(BOXES, tmp_path / "a.txt")
    check(bbox.AudBBox.from_file(path).to_bbox())


def check(read):
    for box, own in zip(read, BOXES, strict=True):
        assert box.onset == pytest.approx(own.begin, abs=1e-6)
        assert box.offset == pytest.approx(own.end, abs=1e-6)
        assert box.low_freq == pytest.approx(own.low, abs=1e-3)
        assert box.high_freq == pytest.approx(own.high, abs=1e-3)
        assert box.label == own.label


def test_the_boxes_of_all_clips_are_one_table(tmp_path):
    rows = [("a", BOXES[0]), ("b\udcff", BOXES[1])]
    path = write_boxes(iter(rows), tmp_path / "boxes.csv")
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        read = list(csv.DictReader(file))
    assert [row["clip_id"] for row in read] == ["a", "b\udcff"]
    assert [row["label"] for row in read] == ["dog", "wind, strong"]
    assert float(read[1]["begin_s"]) == 3600.25
    assert float(read[1]["score"]) == 0.1234


def test_segments_of_a_timeline_are_boxes_of_all_frequencies(tmp_path):
    segments = [Segment(0.0, 2.5, "a", 0.9), Segment(2.5, 4.0, "b", 0.4)]
    path = write_raven(segments_to_boxes(segments, 8000.0), tmp_path / "a.txt")
    read = read_annotations(path)
    assert [(b.begin, b.end, b.low, b.high, b.label) for b in read] == [
        (0.0, 2.5, 0.0, 8000.0, "a"),
        (2.5, 4.0, 0.0, 8000.0, "b"),
    ]
