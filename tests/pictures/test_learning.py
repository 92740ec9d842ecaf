import math

import pytest

from focalaudio.pictures import draw_learning_curve
from focalaudio.pictures.canvas import WIDTH


def curves(rows):
    figure = draw_learning_curve(rows)
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


@pytest.mark.parametrize(
    ("key", "values", "best"),
    [
        ("valid_accuracy", [0.5, 0.9, 0.9, 0.7], 2),
        ("valid_accuracy", [0.0, None, 0.0], 1),
        ("valid_loss", [3.0, 1.0, 2.0, 1.0], 2),
        ("valid_loss", [math.nan, math.inf, 2.0], 3),
    ],
)
def test_best_epoch_is_marked(key, values, best):
    rows = [
        {"epoch": epoch, "train_loss": 1.0, key: value}
        for epoch, value in enumerate(values, start=1)
    ]
    for panel in curves(rows):
        (label,) = (label for label in panel if label.startswith("best"))
        assert label.startswith(f"best: epoch {best} (")
        assert panel[label][0] == [best, best]


def test_accuracy_decides_before_loss():
    rows = [
        {"epoch": 1, "valid_loss": 1.0, "valid_accuracy": 0.5},
        {"epoch": 2, "valid_loss": 2.0, "valid_accuracy": 0.6},
    ]
    assert "best: epoch 2 (60.0 %)" in curves(rows)[0]


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
