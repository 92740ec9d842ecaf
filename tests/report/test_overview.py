import math
from dataclasses import replace

from focalaudio.metrics.statistics import describe
from focalaudio.report.overview import describe_run, list_clips, split_name
from focalaudio.report.page import Page


def row(name, label="a", predicted="a", **scores):
    return {"clip_id": name, "label": label, "predicted": predicted} | scores


def page(**rows):
    return Page("", ["a", "b"], rows)


def test_scores_are_those_of_the_statistics():
    rows = [row(str(n), fidelity=float(n % 2)) for n in range(9)]
    (method,) = describe_run(page(random=rows))["methods"]
    wanted = describe([each["fidelity"] for each in rows])
    mean, low, high, undefined = method["scores"]["fidelity"]
    for value, key in ((mean, "mean"), (low, "low"), (high, "high")):
        assert abs(value - wanted[key]) < 1e-5
    assert (method["n_clips"], undefined) == (9, 0)


def test_what_is_not_defined_is_null():
    rows = [row("a", si_sdr=math.nan)]
    (method,) = describe_run(page(x=rows))["methods"]
    assert method["scores"]["si_sdr"] == [None, None, None, 1]


def test_floors_and_ceilings_are_marked_with_and_without_a_system():
    names = ["stage_3", "random, quantile 0.9", "vit: loudest", "vit: cleanest"]
    rows = {name: [row("a", fidelity=1.0)] for name in names}
    kinds = [each["kind"] for each in describe_run(page(**rows))["methods"]]
    assert kinds == ["", "floor", "floor", "ceiling"]


def test_a_curve_needs_two_quantiles_and_is_sorted():
    rows = [row("a", fidelity=1.0)]
    names = ("a, quantile 0.9", "a, quantile 0.5", "b, quantile 0.9", "c")
    (curve,) = describe_run(page(**dict.fromkeys(names, rows)))["curves"]
    assert curve["name"] == "a"
    assert [point["quantile"] for point in curve["points"]] == [0.5, 0.9]


def test_curves_of_other_rows_are_no_rows_of_the_table():
    names = [f"a, quantile {q}" for q in (0.5, 0.9)]
    both = page(**{names[1]: [row("a", fidelity=0.0)]})
    swept = {name: [row("a", fidelity=1.0)] for name in names}
    run = describe_run(replace(both, swept=swept))
    (method,) = run["methods"]
    assert method["name"] == names[1]
    assert method["scores"]["fidelity"][0] == 0
    (curve,) = run["curves"]
    for point in curve["points"]:
        assert point["scores"]["fidelity"][0] == 1


def test_confusions_count_every_clip_once():
    rows = [row("1"), row("2"), row("3", "b", "a")]
    run = describe_run(page(x=rows, y=rows))
    assert run["confusion"] == [["a", "a", 2], ["b", "a", 1]]


def test_clips_without_details_come_after_the_others():
    encoded = {
        "id": "2",
        "label": "a",
        "top": [["b", 0.5]],
        "warnings": ["x"],
        "views": [],
    }
    listed, n_blocks = list_clips([encoded], [row("1"), row("2", fidelity=0.0)])
    assert n_blocks == 1
    assert [(each["id"], each["block"]) for each in listed] == [
        ("2", 0),
        ("1", None),
    ]
    assert listed[0]["fidelity"] == 0.0


def test_names_without_a_quantile_stay():
    for name in ("piq", "quantile", "stage_1*stage_3, mask soft"):
        assert split_name(name) == (name, None)
