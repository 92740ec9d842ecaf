"""The one table of metrics, and the page that shows it to people."""

from pathlib import Path

from focalaudio.metrics.table import METRICS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def row_of(metric):
    name, words = f"`{metric.name}`", metric.words
    cells = name, words, metric.formula, metric.direction, metric.span
    return f"| {' | '.join(cells)} |"


def test_the_page_is_the_table():
    """Each metric has its row there, in the table's order, and no other."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.count("|") == 6]
    shown = [row for row in rows if row.startswith("| `")]
    assert shown == [row_of(metric) for metric in METRICS.values()]


def test_a_header_says_which_way_is_better():
    headers = [metric.header for metric in METRICS.values()]
    assert "faithfulness (up)" in headers
    assert "faithfulness_of_kept (down)" in headers
    assert "kept_fraction" in headers


def test_a_span_has_both_ends_and_the_unit():
    spans = {name: metric.span for name, metric in METRICS.items()}
    assert spans["faithfulness"] == "-1..1"
    assert spans["average_gain"] == "0..100 %"
    assert spans["complexity"] == "0.. nats"
    assert spans["si_sdr"] == "dB"
