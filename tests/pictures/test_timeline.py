"""Laws of the picture of a recording."""

import math

import pytest
from matplotlib.colors import to_rgba

from focalaudio.boxes import HeardBox
from focalaudio.pictures import draw_timeline, save_picture
from focalaudio.report.timeline import NO_EVIDENCE, Segment

SEGMENTS = [Segment(0.0, 2.5, "rain", 0.9), Segment(2.5, 60.0, "dog", 0.4)]
BOXES = [HeardBox(0.5, 1.0, 200.0, 4000.0, 0.8, 1, "rain")]


def find_rectangles(axes):
    """Left, bottom, right, top of each rectangle, and its color."""
    (drawn,) = axes.collections
    limits = [path.get_extents().extents for path in drawn.get_paths()]
    return limits, drawn.get_facecolors()


def test_boxes_lie_where_they_were_heard():
    where, when = draw_timeline(SEGMENTS, BOXES, 8000.0).axes
    ((box,), _) = find_rectangles(where)
    assert box == pytest.approx([0.5, 0.2, 1.0, 4.0])
    assert where.get_ylim() == (0, 8)
    assert when.get_xlim() == where.get_xlim() == (0, 60)


def test_bars_are_the_segments_and_a_class_has_one_color():
    where, when = draw_timeline(SEGMENTS, BOXES, 8000.0).axes
    bars, colors = find_rectangles(when)
    for bar, one in zip(bars, SEGMENTS, strict=True):
        assert bar == pytest.approx([one.start, 0, one.end, one.probability])
    rain, dog = map(tuple, colors[:, :3])
    _, (box,) = find_rectangles(where)
    assert tuple(box[:3]) == rain != dog


def test_many_classes_and_odd_labels_are_drawn(tmp_path):
    segments = [Segment(i, i + 1.0, f"$a_{i}\x1b$" * 9, 0.5) for i in range(40)]
    figure = draw_timeline(segments, [], 8000.0)
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[-1] == "31 others"
    _, colors = find_rectangles(figure.axes[1])
    assert tuple(colors[-1]) == to_rgba("0.6")
    assert save_picture(figure, tmp_path / "a.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("n_labels", "last"), [(9, "label 8"), (10, "label 9"), (11, "2 others")]
)
def test_one_class_alone_in_the_gray_has_a_name(n_labels, last):
    labels = [f"label {i}" for i in range(n_labels)]
    segments = [Segment(i, i + 1.0, n, 0.5) for i, n in enumerate(labels)]
    (legend,) = draw_timeline(segments, [], 8000.0).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[-1] == last
    assert texts[:9] == labels[:9]


@pytest.mark.parametrize("known", [SEGMENTS, []])
def test_where_there_is_no_evidence_nothing_is_drawn(known, tmp_path):
    segments = [*known, Segment(60.0, 80.0, NO_EVIDENCE, math.nan)]
    figure = draw_timeline(segments, [], 8000.0)
    bars, _ = find_rectangles(figure.axes[1])
    assert len(bars) == len(known)
    assert figure.axes[1].get_xlim() == (0, 80)
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert sorted(names) == sorted({one.label for one in known})
    assert save_picture(figure, tmp_path / "a.png").stat().st_size > 0


def test_nothing_cannot_be_drawn():
    with pytest.raises(ValueError, match="at least one segment"):
        draw_timeline([], [], 8000.0)
