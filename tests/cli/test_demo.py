"""What the demo says; the whole of it: tests/recipes/test_demo.py."""

from pathlib import Path

import pytest

from focalaudio.cli import demo, main
from focalaudio.data.examples import list_examples
from focalaudio.inference import folder as inference_folder
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


@pytest.fixture(scope="module")
def shown(made, tmp_path_factory):
    """The lines of the demo, with a tiny model, and its folder."""
    folder = tmp_path_factory.mktemp("shown") / "examples"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped, "DEFAULT", made)
        patch.setattr(inference_folder, "MARGIN", 99)  # of its short clips
        patch.setattr(
            clips, "save_picture", lambda figure, path: Path(path).touch()
        )
        return list(demo.show_examples(folder)), folder


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


def test_the_command_explains_and_trains_nothing(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(demo, "run_demo", None)
    asked = []
    monkeypatch.setattr(
        demo, "show_examples", lambda out: asked.append(out) or ["a", "b"]
    )
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert asked == [tmp_path / "examples"]
    assert capsys.readouterr().out == "a\nb\n"
