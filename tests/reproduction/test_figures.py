"""Laws of the figures; the whole of them: tests/recipes/test_reproduce.py."""

import json

import pytest

from focalaudio.errors import DataError
from focalaudio.report.tables import write_csv
from focalaudio.reproduction import figures
from focalaudio.reproduction.figures import (
    write_mixture_figures,
    write_sweep_figure,
)


def test_a_sweep_of_one_quantile_is_no_figure(tmp_path):
    rows = [{"interpreter": "a", "quantile": 0.9, "fidelity": 1.0}]
    write_csv(rows, tmp_path / "comparison_clips.csv")
    with pytest.raises(DataError, match="no interpreter at two quantiles"):
        write_sweep_figure([(5, "one", tmp_path)], tmp_path)
    assert not (tmp_path / "figure_3.png").exists()


def test_the_first_mixture_whose_source_is_heard_is_drawn(
    tmp_path, monkeypatch, caplog
):
    drawn = []
    monkeypatch.setattr(
        figures,
        "draw_mixture",
        lambda options, clip_id, out: drawn.append((options, clip_id, out)),
    )
    places = []
    for system, found in (("one", [0, 1, 1]), ("deaf", [0, 0, 0])):
        folder = tmp_path / system
        rows = [
            {"clip_id": f"{system}{number}", "source_found": heard}
            for number, heard in enumerate(found)
        ]
        write_csv(rows, folder / "clips.csv")
        (folder / "options.json").write_text(json.dumps({"of": system}))
        places.append((5, system, folder))
    write_mixture_figures(places, tmp_path)
    assert drawn == [({"of": "one"}, "one1", tmp_path / "figure_2_one")]
    assert "deaf hears no source" in caplog.text
