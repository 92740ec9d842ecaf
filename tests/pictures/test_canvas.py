import gc
import json
import subprocess
import sys
import weakref

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread

from focalaudio.pictures.canvas import (
    WIDTH,
    count_columns,
    format_share,
    make_grid,
    new_figure,
    save_picture,
    wrap,
)


def plot():
    figure = new_figure(WIDTH, 3.0)
    figure.subplots().plot([1, 3, 2])
    return figure


@pytest.mark.parametrize("n_panels", range(1, 9))
@pytest.mark.parametrize("ylabel", [None, "Height (m)"])
def test_panels_are_labelled_at_the_outer_edge(n_panels, ylabel):
    figure, axes = make_grid(n_panels, "Width (m)", ylabel, margin=1.0)
    n_columns = count_columns(n_panels)
    assert figure.axes == axes
    assert len(axes) == n_panels
    assert [panel.get_xlabel() for panel in axes[-n_columns:]] == (
        ["Width (m)"] * n_columns
    )
    assert not any(panel.get_xlabel() for panel in axes[:-n_columns])
    for index, panel in enumerate(axes):
        first = index % n_columns == 0
        assert panel.get_ylabel() == (ylabel or "" if first else "")


def test_panels_share_y_only_if_it_is_named():
    for ylabel, shared in ((None, False), ("Height (m)", True)):
        _, (one, other) = make_grid(2, "", ylabel, margin=1.0)
        one.set(xlim=(2, 3), ylim=(2, 3))
        assert other.get_xlim() == (2, 3)
        assert (other.get_ylim() == (2, 3)) == shared


def test_rows_are_as_high_whatever_their_number():
    heights = [
        make_grid(n_panels, "", margin=0.5)[0].get_figheight()
        for n_panels in (1, 3, 4, 6, 7)
    ]
    row = heights[0] - 0.5
    expected = [row * n_rows + 0.5 for n_rows in (1, 1, 2, 2, 3)]
    assert heights == pytest.approx(expected)


@pytest.mark.parametrize("width", [8, 20])
@pytest.mark.parametrize("max_lines", [1, 2, 3])
def test_wrapped_lines_fit_and_end_in_dots_where_cut(width, max_lines):
    text = "the quick brown fox jumps over_the_lazy_dog"
    lines = wrap(text, width, max_lines).split("\n")
    assert len(lines) <= max_lines
    assert max(map(len, lines)) <= width
    whole = "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert whole != lines[-1].endswith("...")


def test_shares_are_percentages():
    assert format_share(torch.tensor(0.1234)) == "12.3 %"


def test_picture_is_a_whole_png_whatever_its_name(tmp_path):
    figure = plot()
    for name in ("a.png", "ü b", "deep/er/a.txt"):
        path = save_picture(figure, tmp_path / name, dpi=60)
        assert path == tmp_path / name
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert content[-8:-4] == b"IEND"
        assert int.from_bytes(content[16:20], "big") == 600
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"a.png", "ü b", "a.txt"}


def test_figures_are_wide_enough_to_read(tmp_path):
    path = save_picture(plot(), tmp_path / "a.png")
    assert imread(path).shape[1] == 1200


def test_failed_picture_leaves_what_was_there(tmp_path):
    class Broken(Figure):
        def savefig(self, path, **_):
            path.write_bytes(b"half")
            raise OSError("disk full")

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"):
        save_picture(Broken(), path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"


def test_same_figure_gives_the_same_bytes(tmp_path):
    paths = [
        save_picture(plot(), tmp_path / name, dpi=50)
        for name in ("a.png", "b.png")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_nothing_keeps_a_figure_alive(tmp_path):
    figure = plot()
    save_picture(figure, tmp_path / "a.png")
    reference = weakref.ref(figure)
    del figure
    gc.collect()
    assert reference() is None


def test_no_global_state_is_touched(tmp_path):
    program = """
import json, sys
import matplotlib
before = dict(matplotlib.rcParams.copy())
maps = sorted(matplotlib.colormaps)
from focalaudio.pictures import *
from focalaudio.spectrogram import Spectrogram
import torch
spectrogram = Spectrogram()
values = spectrogram(torch.rand(1, 4000)).log_magnitude[0]
save_picture(draw_spectrograms([("a", values)], spectrogram), sys.argv[1])
save_picture(draw_confusion(torch.eye(2), ["a", "b"]), sys.argv[1])
rows = [{"interpreter": "a", "quantile": 0.5, "b": 1.0}]
save_picture(draw_sweep(rows, ["b"]), sys.argv[1])
print(json.dumps({
    "pyplot": "matplotlib.pyplot" in sys.modules,
    "same": dict(matplotlib.rcParams.copy()) == before,
    "maps": sorted(matplotlib.colormaps) == maps,
    "gray": matplotlib.colormaps["magma"].get_bad().tolist(),
}))
"""
    answer = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.png")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(answer.stdout.splitlines()[-1]) == {
        "pyplot": False,
        "same": True,
        "maps": True,
        "gray": [0.0, 0.0, 0.0, 0.0],
    }
