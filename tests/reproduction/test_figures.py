"""Laws of the figures; the whole of them: tests/recipes/test_reproduce.py."""

import shutil

import pytest
import torch

from focalaudio.audio import load_wav, write_wav
from focalaudio.errors import DataError
from focalaudio.report.tables import write_csv
from focalaudio.reproduction.figures import (
    write_mixture_figures,
    write_sweep_figure,
)

PARTS = ("source_1", "source_2", "input", "kept")


def level(number, part):
    """A sound that tells which clip's it is, and which part."""
    return torch.full((4000,), number / 8 + part / 64)


def test_a_sweep_of_one_quantile_is_no_figure(tmp_path):
    rows = [{"interpreter": "a", "quantile": 0.9, "fidelity": 1.0}]
    write_csv(rows, tmp_path / "comparison_clips.csv")
    with pytest.raises(DataError, match="no interpreter at two quantiles"):
        write_sweep_figure([(5, "one", tmp_path)], tmp_path)
    assert not (tmp_path / "figure_3.png").exists()


@pytest.fixture
def interpret(tmp_path, finished):
    """`interpret(system, heard, written)`: what interpret.py leaves."""

    def leave(system, heard, written):
        folder = tmp_path / system / "overlap"
        rows = [
            {
                "clip_id": f"clip{number}",
                "label": "open/close",  # no name of a file
                "predicted": "rain",
                "other_label": "rain" if system == "one" else "",
                "source_found": found,
            }
            for number, found in enumerate(heard)
        ]
        write_csv(rows, folder / "clips.csv")
        shutil.copytree(finished, folder.with_name("classifier"))
        for number in written:
            for pitch, part in enumerate(PARTS, 1):
                path = folder / "interpretations" / f"clip{number}_{part}.wav"
                write_wav(path, level(number, pitch), 16000)
        return 5, system, folder

    return leave


def test_the_first_mixture_that_is_heard_and_written_is_drawn(
    interpret, tmp_path, caplog
):
    places = [
        interpret("one", heard=[0, 1, 1, 1], written=[0, 2, 3]),
        interpret("noise", heard=[1], written=[0]),
        interpret("deaf", heard=[0, 0, 1], written=[0, 1]),
    ]
    figures = write_mixture_figures(places, tmp_path / "out")
    names = ["figure_2_one", "figure_2_noise"]
    assert figures == [tmp_path / "out" / f"{name}.png" for name in names]
    assert all(f.read_bytes().startswith(b"\x89PNG") for f in figures)
    for name in names:
        sounds = {path.name for path in (tmp_path / "out" / name).iterdir()}
        parts = enumerate(PARTS, 1)
        assert sounds == {f"{number}_{part}.wav" for number, part in parts}
    wav = load_wav(tmp_path / "out" / names[0] / "3_input.wav", 16000)
    assert (wav - level(2, 3)).abs().max() < 1e-4
    assert "deaf hears no source" in caplog.text
    assert "max_clips" in caplog.text
