import math

import numpy as np
import pytest

from focalaudio.metrics import table
from focalaudio.pictures import draw_sweep, save_picture
from focalaudio.pictures.canvas import WIDTH

QUANTILES = [0.5, 0.7, 0.9, 0.95]
NAMES = ["focalnet: stage_1*stage_3", "vit: random", "vit: saliency"]
METRICS = ["fidelity", "average_drop"]


def make_rows(names=NAMES, metrics=METRICS, quantiles=QUANTILES):
    """Means that differ for each name, metric and quantile."""
    rows = []
    for number, name in enumerate(names):
        for quantile in quantiles:
            row = {"interpreter": name, "quantile": quantile}
            for scale, metric in enumerate(metrics, 1):
                mean = scale * (number + 1 - quantile)
                ends = {"low": mean - 0.1, "high": mean + 0.2}
                row[metric] = mean
                row |= {f"{metric}_{end}": ends[end] for end in ends}
            rows.append(row)
    return rows


def corners(collection):
    """Points of a band or a whisker, each once."""
    return {
        (round(float(x), 9), round(float(y), 9))
        for path in collection.get_paths()
        for x, y in path.vertices
    }


def test_each_line_is_a_series_in_rising_order():
    figure = draw_sweep(make_rows()[::-1], METRICS)
    for scale, panel in enumerate(figure.axes, 1):
        for number, line in enumerate(reversed(panel.lines)):
            assert list(line.get_xdata()) == QUANTILES
            expected = [scale * (number + 1 - q) for q in QUANTILES]
            assert line.get_ydata() == pytest.approx(expected)


def test_bands_are_the_intervals():
    rows = make_rows(["a"], ["auc"])
    (axes,) = draw_sweep(rows, ["auc"]).axes
    (band,) = axes.collections
    assert corners(band) == {
        (row["quantile"], round(row[f"auc_{end}"], 9))
        for row in rows
        for end in ("low", "high")
    }
    low, high = axes.get_ylim()
    assert low < 1 - 0.95 - 0.1
    assert high > 1 - 0.5 + 0.2


def test_bands_have_the_color_of_their_line():
    panel = draw_sweep(make_rows(), METRICS).axes[0]
    for line, band in zip(panel.lines, panel.collections, strict=True):
        color = band.get_facecolor()[0]
        assert band.get_alpha() < 0.5
        code = "#" + "".join(f"{round(255 * part):02X}" for part in color[:3])
        assert code == line.get_color()


def test_without_intervals_there_are_lines_only():
    keys = ("interpreter", "quantile", "fidelity")
    rows = [{key: row[key] for key in keys} for row in make_rows()]
    panel = draw_sweep(rows, ["fidelity"]).axes[0]
    assert len(panel.lines) == len(NAMES)
    assert not any(map(corners, panel.collections))


MISSING = pytest.mark.parametrize(
    "missing",
    [
        pytest.param({"auc": None, "auc_low": None}, id="None"),
        pytest.param({"auc": math.nan, "auc_high": math.nan}, id="NaN"),
        pytest.param({"auc": math.inf, "auc_low": -math.inf}, id="infinite"),
    ],
)


@MISSING
def test_what_is_missing_leaves_a_gap(missing):
    rows = make_rows(["a"], ["auc"])
    rows[1] |= missing
    (axes,) = draw_sweep(rows, ["auc"]).axes
    (line,) = axes.lines
    assert np.isnan(line.get_ydata()).tolist() == [False, True, False, False]
    drawn = {x for part in axes.collections for x, _ in corners(part)}
    assert drawn == {0.5, 0.9, 0.95}


def test_a_key_that_a_row_lacks_leaves_a_gap():
    rows = make_rows(["a"], ["auc"])
    del rows[2]["auc"]
    (line,) = draw_sweep(rows, ["auc"]).axes[0].lines
    assert np.isnan(line.get_ydata()).tolist() == [False, False, True, False]


@pytest.mark.parametrize("quantiles", [[0.5], [0.5, 0.7]])
def test_a_lone_point_shows_its_interval(quantiles):
    rows = make_rows(["a"], ["auc"], quantiles)
    if len(rows) == 2:
        rows[1]["auc_low"] = None
    band, whisker = draw_sweep(rows, ["auc"]).axes[0].collections
    assert {y for _, y in corners(whisker)} == {0.4, 0.7}
    assert {x for x, _ in corners(whisker)} == {0.5}


def test_series_may_have_quantiles_of_their_own():
    rows = make_rows(["a"], ["auc"], [0.5, 0.9])
    rows += make_rows(["b"], ["auc"], [0.6, 0.7, 0.8])
    lines = draw_sweep(rows, ["auc"]).axes[0].lines
    assert [list(line.get_xdata()) for line in lines] == [
        [0.5, 0.9],
        [0.6, 0.7, 0.8],
    ]


def test_titles_name_metrics_and_the_better_way():
    metrics = ["fidelity", "faithfulness_of_kept", "kept_fraction"]
    rows = make_rows(metrics=metrics)
    titles = [panel.get_title() for panel in draw_sweep(rows, metrics).axes]
    assert titles == [
        "fidelity, higher is better",
        "faithfulness of kept, lower is better",
        "kept fraction",
    ]
    (panel,) = draw_sweep(make_rows(metrics=["other"]), ["other"]).axes
    assert panel.get_title() == "other"


def test_quantiles_are_named_below_and_shared():
    metrics = list("abcde")
    axes = draw_sweep(make_rows(metrics=metrics), metrics).axes
    labels = [panel.get_xlabel() for panel in axes]
    assert labels[2:] == ["quantile (share of cells dropped)"] * 3
    assert len({panel.get_xlim() for panel in axes}) == 1
    assert len({panel.get_ylim() for panel in axes}) == 5


def test_one_legend_names_all_series_as_they_are_drawn():
    figure = draw_sweep(make_rows(), METRICS)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == NAMES
    for panel in figure.axes:
        assert panel.get_legend() is None
        for shown, line in zip(legend.get_lines(), panel.lines, strict=True):
            assert shown.get_color() == line.get_color()
            assert shown.get_marker() == line.get_marker()
            assert shown.get_linestyle() == line.get_linestyle()


def test_series_are_told_apart():
    names = [f"name {number}" for number in range(50)]
    lines = draw_sweep(make_rows(names, ["a"]), ["a"]).axes[0].lines
    looks = [
        (line.get_color(), line.get_marker(), line.get_linestyle())
        for line in lines
    ]
    assert len(set(looks)) == 50
    colors, markers, _ = zip(*looks[:7], strict=True)
    assert len(set(colors)) == len(set(markers)) == 7
    assert len({look[1:] for look in looks[:8]}) == 8  # in gray, too


LONG = (
    "a_rather_long_name of an interpreter, with options 0.5, and others, " * 2
)
FIGURES = {
    "one": (["a"], ["fidelity"]),
    "two": (NAMES, METRICS),
    "all": ([f"{name} {n}" for n in range(3) for name in NAMES], table.METRICS),
    "long": ([f"{n} {LONG}" for n in range(5)], ["a_long_metric_" * 5] * 4),
    "many": ([f"vit: random {n}" for n in range(25)], list("abcdef")),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_word_is_cut_or_covered(name, check_words):
    names, metrics = FIGURES[name]
    figure = draw_sweep(make_rows(names, metrics), list(metrics))
    check_words(figure)
    assert figure.get_figwidth() == WIDTH
    heights = [panel.get_window_extent().height for panel in figure.axes]
    assert min(heights) > 1.5 * figure.dpi  # inches


def test_names_are_never_read_as_formulas(tmp_path):
    name = r"$\frac{$ a_b"  # cannot be set as the formula it looks like
    figure = draw_sweep(make_rows([name], [name]), [name])
    save_picture(figure, tmp_path / "a.png", dpi=50)
    assert figure.legends[0].get_texts()[0].get_text() == name


ROWS = make_rows(["a"], ["auc"])


@pytest.mark.parametrize(
    ("rows", "metrics", "message"),
    [
        ([], ["auc"], r"rows=\[\] must hold"),
        (ROWS, [], r"metrics=\[\] must name"),
        (ROWS, ["auc", "acu"], "metric='acu' .* quantile, auc"),
        ([ROWS[0] | {"quantile": 1.5}], ["auc"], "quantile=1.5"),
        ([ROWS[0] | {"quantile": math.nan}], ["auc"], "quantile=nan"),
        ([*ROWS, ROWS[1]], ["auc"], "two at quantile=0.7 for 'a'"),
    ],
)
def test_errors_quote_the_value(rows, metrics, message):
    with pytest.raises(ValueError, match=message):
        draw_sweep(rows, metrics)
