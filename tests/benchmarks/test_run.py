"""The page of all benchmarks: rows come back, nothing measured says so."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module("answers"), importlib.import_module("run")


def test_rows_that_are_printed_are_read_back(modules, capsys):
    answers, _ = modules
    rows = [
        answers.Answer("how fast", "a peer", "2 x", "3 x", "`mm` 80 %"),
        answers.Answer("how large", "a line", "not measured", "stated"),
    ]
    answers.print_answers(rows)
    printed = f"seconds of each turn\n{capsys.readouterr().out}"
    assert answers.read_answers(printed) == ("seconds of each turn", rows)
    assert answers.read_answers("it broke") == ("it broke", [])


def test_a_page_without_results_has_a_row_and_a_section_of_every_script(
    modules,
):
    _, run = modules
    page = run.write_page({})
    for name in run.SCRIPTS:
        question, _ = run.read_docstring(name)
        assert f"## {question}" in page
        assert f"| {question} | see `{name}.py` | {run.NOT_HERE} |" in page


def test_every_script_is_run_or_named(modules):
    _, run = modules
    named = {*run.SCRIPTS, *run.OTHERS}
    scripts = {
        path.stem
        for path in FOLDER.glob("*.py")
        if "__main__" in path.read_text() and path.stem != "run"
    }
    assert scripts == named


def test_a_script_that_fails_stands_on_the_page_with_its_reason(
    modules, tmp_path
):
    _, run = modules
    result = run.Result("python x.py", "", "SystemExit: differs", 1.0, "here")
    run.keep(tmp_path, "clip", result)
    kept = run.read_kept(tmp_path)
    assert kept == {"clip": result}
    assert "not measured here: SystemExit: differs" in run.write_page(kept)


def test_a_path_that_is_not_given_leaves_the_script_out(modules):
    _, run = modules
    arguments, _ = run.SCRIPTS["evaluation"]
    assert run.fill(arguments, {run.DATA: Path("a"), run.REFERENCE: None}) is (
        None
    )
    assert run.fill(["--clips"], {}) == ["--clips"]
