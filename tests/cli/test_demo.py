"""What the demo says; the whole of it: tests/recipes/test_demo.py."""

import json
import re
from pathlib import Path

import pytest

from focalaudio.cli import demo, main
from focalaudio.data.examples import list_examples
from focalaudio.errors import DataError
from focalaudio.inference import folder as inference_folder
from focalaudio.inference.folder import explain_files
from focalaudio.models import shipped
from focalaudio.report import clips


def test_the_result_is_told_with_its_numbers_and_files(tmp_path):
    sounds = tmp_path / "interpretation" / "interpretations"
    sounds.mkdir(parents=True)
    (sounds / "5-1-A-0.png").touch()
    told = demo.DemoResult(0.967, 0.55, 0.4, 0.1, tmp_path).describe()
    for expected in (
        "96.7 %",
        "55.0 %",
        "40.0 %",
        "10.0 %",
        "5-1-A-0_kept.wav",
    ):
        assert expected in told


@pytest.fixture(scope="module", autouse=True)
def _tiny(made):
    """A tiny model is the default, and draws nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "DEFAULT", made)
        patch.setattr(inference_folder, "MARGIN", 99)  # of its short clips
        patch.setattr(
            clips, "save_picture", lambda figure, path: Path(path).touch()
        )
        yield


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The lines of the demo, and its folder."""
    folder = tmp_path_factory.mktemp("shown") / "examples"
    return list(demo.show_examples(folder)), folder


def read_clips(folder):
    """The names of the clips on a page, and their true classes."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    (head,) = re.findall(r'id="head">(.*)</script>', text)
    return {clip["id"]: clip["label"] for clip in json.loads(head)["clips"]}


def test_every_example_is_told_and_credited(shown):
    lines, _ = shown
    for example in list_examples():
        assert any(line.startswith(f"  {example.label}: ") for line in lines)
        assert f"  {example.credit()}" in lines


def test_what_is_to_be_opened_is_there(shown):
    lines, folder = shown
    start = lines.index("Open:")
    for line in lines[start + 1 : start + 4]:
        assert Path(line.strip().split("  (")[0]).exists()
    assert len(list(folder.glob("*_kept.wav"))) == len(list_examples())
    assert lines[-1].strip() == str(folder / "report.html")
    labels = {each.path.stem: each.label for each in list_examples()}
    assert read_clips(folder) == labels


def test_a_page_of_another_call_beside_the_examples_stays(tmp_path):
    own = list_examples()[0].path
    explain_files(own, tmp_path)
    before = read_files(tmp_path)
    list(demo.show_examples(tmp_path / "examples"))
    after = read_files(tmp_path)
    assert {path: after.get(path) for path in before} == before
    assert {path.parts[0] for path in {*after} - {*before}} == {"examples"}


def read_files(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def test_clips_of_ones_own_among_the_examples_stay_on_the_page(tmp_path):
    example = list_examples()[0]
    own = tmp_path / example.path.name
    own.write_bytes(list_examples()[1].path.read_bytes())
    out = tmp_path / "examples"
    explain_files(own, out)
    again = [list(demo.show_examples(out)) for _ in range(2)]
    assert again[0] == again[1]
    stem = example.path.stem
    assert f"  {out / stem}-2.png  (what it saw)" in again[0]
    shown = read_clips(out)
    assert len(shown) == 1 + len(list_examples())
    assert (shown[stem], shown[f"{stem}-2"]) == (None, example.label)


def test_a_page_that_no_call_wrote_is_not_replaced(tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(DataError, match=r"holds report\.html"):
        next(demo.show_examples(tmp_path))
    assert read_files(tmp_path) == {Path("report.html"): b"mine"}


def test_the_command_explains_and_trains_nothing(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(demo, "run_demo", None)
    asked = []
    monkeypatch.setattr(
        demo, "show_examples", lambda out: asked.append(out) or ["a", "b"]
    )
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert asked == [tmp_path / "examples"]
    assert capsys.readouterr().out == "a\nb\n"
