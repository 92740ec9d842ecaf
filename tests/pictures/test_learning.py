import math

import pytest

from focalaudio.pictures import draw_learning_curve
from focalaudio.pictures.canvas import WIDTH


def curves(rows, kept=None):
    figure = draw_learning_curve(rows, kept)
    return [
        {
            line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
            for line in axes.lines
        }
        for axes in figure.axes
    ]


def test_learning_curve_leaves_out_what_is_missing():
    loss, accuracy = curves(
        [
            {"epoch": 3, "train_loss": 1.0, "valid_loss": 2.0},
            {"epoch": 1, "train_loss": 3.0, "valid_accuracy": 0.25},
            {"epoch": 2, "train_loss": None, "valid_loss": math.nan},
        ]
    )
    assert loss["train"] == ([1, 3], [3.0, 1.0])
    assert loss["valid"] == ([3], [2.0])
    assert accuracy["valid"] == ([1], [25.0])


@pytest.mark.parametrize("kept", [1, 2, 3])
@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"valid_accuracy": 0.625, "valid_loss": 1.0}, " (62.5 %)"),
        ({"valid_loss": 0.25}, " (loss 0.25)"),
        ({"valid_loss": math.nan}, ""),
    ],
)
def test_the_epoch_that_was_kept_is_marked(told, wanted, kept):
    rows = [{"epoch": epoch, "train_loss": 1.0} | told for epoch in (1, 2, 3)]
    for panel in curves(rows, kept):
        (label,) = (label for label in panel if label.startswith("kept"))
        assert label == f"kept: epoch {kept}{wanted}"
        assert panel[label][0] == [kept, kept]


def test_nothing_is_marked_where_it_is_not_known_what_was_kept():
    (panel,) = curves([{"epoch": 1, "train_loss": 1.0, "valid_loss": 1.0}])
    assert set(panel) == {"train", "valid"}


def test_learning_curve_without_validation():
    figure = draw_learning_curve([{"epoch": 1}])
    assert len(figure.axes) == 1
    figure = draw_learning_curve([{"epoch": 1, "train_loss": 1.0}])
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Epoch", "Loss")
    assert [line.get_label() for line in axes.lines] == ["train"]


def test_no_word_is_cut_or_covered(check_words):
    figure = draw_learning_curve(
        [
            {
                "epoch": epoch,
                "train_loss": 1 / epoch,
                "valid_loss": 2 / epoch,
                "valid_accuracy": 1 - 0.7 / epoch,
            }
            for epoch in range(1, 201)
        ]
    )
    check_words(figure)
    assert figure.get_figwidth() == WIDTH


def test_no_rows_are_an_error():
    with pytest.raises(ValueError, match=r"rows=\[\] must hold"):
        draw_learning_curve([])
