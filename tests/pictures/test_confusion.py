from functools import cache

import numpy as np
import pytest
import torch

from focalaudio.pictures import draw_confusion, save_picture

LABELS = ["dog", "rain", "sea_waves"]
SIZES = {3: 28, 10: 123456, 50: 400}  # of classes: clips in each cell


@cache
def drawn(n_classes):
    names = [f"washing_machine_{index}" for index in range(n_classes)]
    counts = torch.full((n_classes, n_classes), SIZES[n_classes])
    figure = draw_confusion(counts, names)
    figure.draw_without_rendering()
    return figure


def test_confusion_writes_counts_with_true_classes_in_rows():
    counts = torch.tensor([[5, 2, 0], [0, 12345, 1], [3, 0, 1]])
    axes = draw_confusion(counts, LABELS).axes[0]
    shown = {
        (text.get_position()[1], text.get_position()[0]): text.get_text()
        for text in axes.texts
    }
    assert shown == {
        (row, column): str(counts[row, column].item())
        for row, column in counts.nonzero().tolist()
    }
    assert [label.get_text() for label in axes.get_yticklabels()] == LABELS
    assert [label.get_text() for label in axes.get_xticklabels()] == LABELS
    assert axes.get_ylabel() == "True class"
    assert axes.get_title() == "12351 of 12357 clips right (100.0 %)"


def test_confusion_colors_are_shares_of_each_row():
    counts = torch.tensor([[6, 2, 0], [0, 0, 0], [1, 1, 2]])
    image = draw_confusion(counts, LABELS).axes[0].images[0]
    expected = [[75, 25, 0], [0, 0, 0], [25, 25, 50]]
    assert np.allclose(image.get_array().filled(-1), expected)
    assert image.get_clim() == (0, 100)
    assert "(%)" in image.colorbar.ax.get_ylabel()


@pytest.mark.parametrize("n_classes", SIZES)
def test_counts_fit_their_cells(n_classes):
    axes = drawn(n_classes).axes[0]
    cell = axes.get_window_extent().width / n_classes
    for text in axes.texts:
        box = text.get_window_extent()
        assert max(box.width, box.height) <= cell
        assert text.get_fontsize() >= 7


def test_counts_stand_out_from_their_cells():
    counts = torch.tensor([[share, 100 - share] for share in (95, 60)])
    figure = draw_confusion(counts, ["a", "b"])
    image = figure.axes[0].images[0]
    for text in figure.axes[0].texts:
        column, row = text.get_position()
        color = image.to_rgba(image.get_array())[row, column, :3]
        ink = 1.0 if text.get_color() == "white" else 0.0
        light = np.where(
            color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4
        ) @ [0.2126, 0.7152, 0.0722]
        low, high = sorted((ink, light))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG AA


@pytest.mark.parametrize("n_classes", SIZES)
def test_no_word_is_cut_or_covered(n_classes, check_words):
    check_words(drawn(n_classes))


def test_names_are_never_read_as_formulas(tmp_path):
    name = r"$\frac{$ a_b"  # cannot be set as the formula it looks like
    figure = draw_confusion(torch.eye(2), [name, "b"])
    save_picture(figure, tmp_path / "a.png", dpi=50)
    assert figure.axes[0].get_yticklabels()[0].get_text() == name


@pytest.mark.parametrize(
    ("counts", "labels", "message"),
    [
        (torch.ones(2, 3), ["a", "b"], r"\(2, 3\)"),
        (torch.ones(2, 2), ["a"], "1 labels"),
        (torch.ones(0, 0), [], "0 labels"),
    ],
)
def test_errors_quote_the_value(counts, labels, message):
    with pytest.raises(ValueError, match=message):
        draw_confusion(counts, labels)
