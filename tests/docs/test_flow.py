"""The page of shapes and units: its code runs, and its table is true."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "flow.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.split("|")[2:6]]
    for line in TEXT.splitlines()
    if line.count("|") == 6 and "`" in line
]
FILES = re.findall(r"^\| .* \| (.*) \|$", TEXT.split("| file |")[1], re.M)


@pytest.fixture(scope="module")
def known():
    """What the page's code leaves."""
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(code, PAGE.name, "exec"), names)
    return names


def test_the_table_follows_the_line():
    assert len(ROWS) == 16
    assert [ROWS[place][0] for place in (0, -2)] == ["`wav`", "`found.wavs`"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_shape_and_range_is_what_it_says(row, known):
    value = eval(row[0].strip("`"), known).double()
    assert " x ".join(map(str, value.shape)) == row[1]
    low, high = re.fullmatch(r"(?:(-?\d+)\.\.(\d*))?", row[3]).groups()
    assert low is None or value.min() >= float(low) - 1e-6
    assert not high or value.max() <= float(high) + 1e-6


def test_parts_add_up_to_the_input(known):
    assert known["rest"].abs().max() < 1e-5


def test_every_file_of_an_arrow_is_there():
    package = PAGE.parents[1] / "focalaudio"
    names = [name for row in FILES for name in re.findall(r"`(.*?)`", row)]
    assert len(names) > 15
    for name in names:
        assert (package / name.removeprefix("focalaudio/")).exists(), name


def test_cells_vote_for_the_logits(known):
    cells = known["classifier"].cell_logits(known["output"])
    weights = known["output"].cell_weights
    votes = (cells * weights[:, None]).sum((2, 3)) / weights.sum()
    logits = known["output"].logits
    assert (votes - logits).abs().max() < 1e-3
