import json

import pytest

from focalaudio.cli import main
from focalaudio.errors import DataError
from focalaudio.metrics.statistics import describe
from focalaudio.report.ratings import FORMAT, rate_methods, read_ratings

ANSWERS = [
    {"clip_id": "a", "method": "piq", "quantile": 0.9, "matters": 4},
    {"clip_id": "b", "method": "piq", "quantile": 0.9, "matters": 5},
    {"clip_id": "a", "method": "random", "quantile": None, "matters": 1},
]
NO_QUANTILES = (
    *("\x1b[2J", "0.9", True, [0.9], {}),
    *(float("nan"), float("inf"), -0.1, 1.5, 10**400),
)


def save(path, answers=ANSWERS, **values):
    values = {"format": FORMAT, "answers": answers} | values
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_each_method_has_the_mean_and_interval_of_its_answers():
    piq, random = rate_methods(ANSWERS)
    assert (piq["method"], random["method"]) == ("piq, quantile 0.9", "random")
    assert piq["matters"] == describe([4, 5])
    assert piq["recognizable"]["n"] == 0
    assert random["n"] == 1


def test_the_order_of_listeners_changes_nothing():
    assert rate_methods(ANSWERS[::-1]) == rate_methods(ANSWERS)


@pytest.mark.parametrize(
    "values",
    [
        {"format": "else"},
        {"answers": "a"},
        {"answers": [{"clip_id": "a"}]},
        {"answers": [{"clip_id": "a", "method": "m", "matters": 6}]},
        {"answers": [{"clip_id": "a", "method": "m", "matters": True}]},
        *(
            {"answers": [{"clip_id": "a", "method": "m", "quantile": each}]}
            for each in NO_QUANTILES
        ),
    ],
)
def test_what_is_no_rating_is_refused(tmp_path, values):
    with pytest.raises(DataError, match=r"ratings\.json"):
        read_ratings(save(tmp_path / "ratings.json", **values))


def test_what_is_no_json_is_refused(tmp_path):
    path = tmp_path / "ratings.json"
    path.write_text("{")
    with pytest.raises(DataError, match="no JSON"):
        read_ratings(path)


def test_the_command_pools_listeners(tmp_path, capsys):
    paths = [save(tmp_path / f"{name}.json", rater=name) for name in "ab"]
    assert main(["ratings", *map(str, paths)]) == 0
    printed = capsys.readouterr().out
    assert "6 ratings of 2 listeners" in printed
    assert "piq, quantile 0.9  4       -             4.50" in printed


def test_answers_that_are_given_twice_are_of_one_listener(tmp_path, capsys):
    first = save(tmp_path / "first.json", rater="a")
    copy = save(tmp_path / "co\x1bpy.json", rater="a")
    other = save(tmp_path / "other.json", rater="b")
    paths = [first, first, copy, other, copy]
    assert main(["ratings", *map(str, paths)]) == 0
    printed = capsys.readouterr().out
    assert "6 ratings of 2 listeners" in printed
    *told, _ = printed.partition("6 ratings")[0].split("\n")
    assert told == [
        f"Left out: {tmp_path / name}, the same as {first}"
        for name in ("first.json", "co\\x1bpy.json", "co\\x1bpy.json")
    ]


def test_a_missing_file_is_one_line(tmp_path, capsys):
    for missing in (tmp_path / "none.json", tmp_path):
        assert main(["ratings", str(missing)]) == 1
        said = f"focalaudio: FILE={missing} is no file; give those that the"
        assert capsys.readouterr().err.startswith(said)
