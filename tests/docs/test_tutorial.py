"""The tutorial, word for word, as the notebook that it is."""

import os
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


def read_page():
    book = jupytext.read(ROOT / "docs" / "tutorial.md")
    kernel = {"name": "python3", "display_name": "Python 3"}
    book.metadata["kernelspec"] = kernel
    return book


@pytest.fixture(scope="module")
def place(clone, tmp_path_factory):
    return clone(tmp_path_factory.mktemp("tutorial") / "clone")


@pytest.fixture(scope="module")
def book(place):
    """The notebook after it was run from top to bottom, in a clone."""
    with pytest.MonkeyPatch.context() as patch:
        path = f"{place / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
        patch.setenv("PATH", path)
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("OMP_NUM_THREADS", "1")
        where = {"metadata": {"path": str(place)}}
        return NotebookClient(
            read_page(), timeout=600, resources=where
        ).execute()


def outputs(book, words):
    """What the only cell with these words showed, as text and as data."""
    (cell,) = (
        cell
        for cell in book.cells
        if cell.cell_type == "code" and words in cell.source
    )
    text = "".join(out.get("text", "") for out in cell.outputs)
    return text, [out["data"] for out in cell.outputs if "data" in out]


def test_every_block_of_the_page_is_a_cell():
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    cells = [c for c in read_page().cells if c.cell_type == "code"]
    n_blocks = text.count("```python\n") + text.count("```bash\n")
    assert len(cells) == n_blocks == 13


def test_the_first_explanation_is_shown_as_the_page_says(book):
    _, (shown,) = outputs(book, "model.explain_file")
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    assert shown["text/plain"] in text
    assert "<audio controls" in shown["text/html"]
    _, (rest,) = outputs(book, "- recording")
    assert abs(float(rest["text/plain"])) < 1e-5
    boxes, _ = outputs(book, "found.boxes()")
    assert boxes.count(" Hz\n") == 3


def test_what_is_trained_is_explained(book, place):
    text, _ = outputs(book, "--experiment_name first_classifier")
    assert "test clips (95 % interval" in text
    text, _ = outputs(book, "--experiment_name first_interpretation")
    assert "report.html" in text
    _, (shown,) = outputs(book, "mine = SoundInterpreter")
    assert "<audio controls" in shown["text/html"]
    assert (place / "results/first/explained/clips.csv").exists()


def test_own_sounds_are_learnt_and_told_apart(book, place):
    assert (place / "results/mine/1234/folds.csv").exists()
    text, _ = outputs(book, "--out results/first/beep")
    assert "beep/0.wav: beep" in text
