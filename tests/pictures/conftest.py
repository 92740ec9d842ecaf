"""No warning goes unnoticed; words are looked at as they are drawn."""

import warnings

import numpy as np
import pytest
from matplotlib.text import Text


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def written(figure):
    """Boxes in pixels of all words that are drawn and level."""
    unseen = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            unseen |= {
                tick.label1
                for tick in axis.get_major_ticks()
                if not low <= tick.get_loc() <= high
            }
    return [
        (text, text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text() and text not in unseen
    ]


@pytest.fixture
def check_words():
    """Fail if a figure cuts off a word or lays one over another."""

    def check(figure):
        figure.draw_without_rendering()
        words = written(figure)
        assert words
        for text, box in words:
            assert box.x0 >= 0, text
            assert box.y0 >= 0, text
            assert box.x1 <= figure.bbox.x1, text
            assert box.y1 <= figure.bbox.y1, text
        # the boxes of slanted words overlap where the words do not
        level = [
            (box.x0, box.y0, box.x1, box.y1)
            for text, box in words
            if text.get_rotation() in (0, 90)
        ]
        x0, y0, x1, y1 = np.array(level).T
        inside = (x0[:, None] < x1 - 1) & (y0[:, None] < y1 - 1)
        # each with itself only
        assert (inside & inside.T).sum() == len(level)

    return check
