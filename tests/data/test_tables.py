"""Laws of focalaudio.data.tables: one table, however it is written."""

import csv
import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focalaudio.data.tables import find_column, read_table
from focalaudio.errors import DataError

ROWS = [["file name", "Label", "fold"], ["a, b.wav", "007", "1"]]
ROWS += [["c.wav", "NA", "2"], ["d.wav", 'say "x"; y', "3"]]
WANTED = ("file_name", "label", "fold")


def written(separator=",", end="\r\n", rows=ROWS):
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator, lineterminator=end).writerows(rows)
    return file.getvalue()


@pytest.fixture
def read(tmp_path):
    def read(content, wanted=WANTED):
        path = tmp_path / "clips.csv"
        content = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(content)
        return read_table(path, wanted)

    return read


MAKES = {
    "plain": written().encode(),
    "lines end as on unix": written(end="\n").encode(),
    "semicolons": written(";").encode(),
    "tabs": written("\t").encode(),
    "bars": written("|").encode(),
    "utf-8 with a mark": written().encode("utf-8-sig"),
    "utf-16": written("\t").encode("utf-16"),
    "utf-16 without a mark": written(";").encode("utf-16-le"),
    "big utf-16 without a mark": written(";").encode("utf-16-be"),
    "sep=": b"sep=;\r\n" + written(";").encode(),
    "comment": b"# made by hand\n" + written().encode(),
    "empty lines": b"\n" + written(end="\n\n").encode(),
    "capitals": written().upper().replace("007", "007").encode(),
    "spaces": written().replace("1\r", " 1 \r").replace(",2", " , 2").encode(),
}


@pytest.mark.parametrize("make", MAKES)
def test_one_table_is_read_however_it_is_written(read, make):
    rows = read(MAKES[make]).to_numpy().tolist()
    wanted = ROWS[1:]
    if make == "capitals":
        wanted = [[cell.upper() for cell in row] for row in wanted]
    assert rows == wanted


@given(
    st.lists(
        st.lists(
            st.text(string.printable + "\u00e4\u05d0\U0001f426", max_size=9),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_cells_come_back_as_the_text_they_were(tmp_path_factory, cells):
    path = tmp_path_factory.mktemp("t") / "x.csv"
    text = written(rows=[["one", "two"], *cells])
    path.write_bytes(text.encode())
    rows = read_table(path, ["one", "two"]).to_numpy().tolist()
    assert rows == [[cell.strip() for cell in row] for row in cells]


def refusal(read, content, wanted=WANTED):
    with pytest.raises(DataError) as refused:
        read(content, wanted)
    assert "clips.csv" in str(refused.value)
    return str(refused.value)


def test_what_was_seen_is_said(read):
    message = refusal(read, "a;b\n1;2\n")
    assert "['file_name', 'label', 'fold']" in message
    assert "separated by semicolons: ['a', 'b']" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no rows"),
        (b"a,b\n", "no rows"),
        (b"a,b\n1,2\n3,4,\n", "row 2 has 3 cells"),
        (b"a,b\n1,2\n3\n", "row 2 has 1 cells"),
        ("a,b\nk\u00e4,2\n".encode("latin-1"), "byte 0xe4 in line 2"),
        (b"a,b\n1,2\n" + bytes(9), "no text"),
        (b'a,b\n"1,2\n', "in line 2; correct its quotes"),
        (b"a,a\n1,2\n", "has two columns 'a'"),
    ],
)
def test_what_has_no_one_reading_is_refused(read, content, said):
    assert said in refusal(read, content, ["a"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="x.csv does not exist"):
        read_table(tmp_path / "x.csv")


def test_a_name_like_two_columns_is_neither():
    assert find_column(["File", "FILE"], "file") is None
    assert find_column(["File", "file"], "file") == "file"
