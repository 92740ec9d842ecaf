"""Every row of docs/robustness.md names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLES = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in TABLES.splitlines()
    if line.startswith("| ") and not line.startswith("| what ")
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_row_names_tests_that_exist(row):
    named = NAMED.findall(row.rsplit("|", 2)[1])
    assert named, row
    for file, test in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        there = {
            node.name for node in tree.body if isinstance(node, ast.FunctionDef)
        }
        assert test in there, f"{file}::{test}"
        assert test.startswith("test_")


def test_the_tables_have_three_columns_and_many_rows():
    assert len(ROWS) > 80
    assert {line.count(" | ") for line in ROWS} == {2}
