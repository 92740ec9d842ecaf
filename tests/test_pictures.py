import gc
import json
import math
import subprocess
import sys
import warnings
import weakref
from functools import cache

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from focalaudio.interpreters.base import Interpretation
from focalaudio.masks import quantile_mask
from focalaudio.pictures import (
    draw_confusion,
    draw_interpretation,
    draw_learning_curve,
    draw_spectrograms,
    save_picture,
)
from focalaudio.spectrogram import Spectrogram

SPECTROGRAM = Spectrogram()
OTHER = Spectrogram(8000, n_fft=512, win_length=32.0, hop_length=16.0)
SPECTROGRAMS = pytest.mark.parametrize(
    "spectrogram", [SPECTROGRAM, OTHER], ids=["16 kHz", "8 kHz"]
)
LABELS = ["dog", "rain", "sea_waves"]


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def interpret(wavs, lens=None, saliency=None, mask=None):
    spectrum = SPECTROGRAM(wavs, lens)
    shape, frames = spectrum.log_magnitude.shape, spectrum.n_frames
    if saliency is None:
        saliency = torch.rand(shape, generator=torch.manual_seed(0))
    if mask is None:
        mask = quantile_mask(saliency, 0.7, frames)
    logits = torch.tensor([[0.0, 3.0, 1.0]]).expand(len(wavs), 3)
    class_ids = torch.full((len(wavs),), 2)
    return Interpretation(
        logits, class_ids, saliency, mask, spectrum, SPECTROGRAM
    )


def draw(interpretation, row=0, **options):
    return draw_interpretation(
        interpretation, row, spectrogram=SPECTROGRAM, labels=LABELS, **options
    )


def loudest(image):
    """Second and Hz of the highest cell, by the image's own extent."""
    values = image.get_array().filled(-np.inf)
    values = values if image.origin == "lower" else values[::-1]
    n_bins, n_frames = values.shape
    bin_, frame = np.unravel_index(values.argmax(), values.shape)
    left, right, bottom, top = image.get_extent()
    second = left + (frame + 0.5) * (right - left) / n_frames
    return second, 1000 * (bottom + (bin_ + 0.5) * (top - bottom) / n_bins)


def tone(frequency, spectrogram, n_samples=8000):
    times = torch.arange(n_samples) / spectrogram.sample_rate
    return torch.sin(2 * math.pi * frequency * times)[None]


def click(second, spectrogram, n_samples=8000):
    wavs = torch.zeros(1, n_samples)
    wavs[0, round(second * spectrogram.sample_rate)] = 1.0
    return wavs


# -- axes


@SPECTROGRAMS
@pytest.mark.parametrize("frequency", [250.0, 1000.0, 3700.0])
def test_tone_is_at_its_frequency(spectrogram, frequency):
    values = spectrogram(tone(frequency, spectrogram)).log_magnitude[0]
    figure = draw_spectrograms([("tone", values)], spectrogram)
    band = spectrogram.sample_rate / spectrogram.n_fft
    _, drawn = loudest(figure.axes[0].images[0])
    assert abs(drawn - frequency) <= band / 2 + 1e-3


@SPECTROGRAMS
@pytest.mark.parametrize("second", [0.1, 0.25, 0.4])
def test_click_is_at_its_time(spectrogram, second):
    values = spectrogram(click(second, spectrogram)).log_magnitude[0]
    figure = draw_spectrograms([("click", values)], spectrogram)
    hop = spectrogram.hop_samples / spectrogram.sample_rate
    drawn, _ = loudest(figure.axes[0].images[0])
    assert abs(drawn - second) <= hop / 2 + 1e-3


def test_interpretation_has_the_axes_of_spectrograms():
    wavs = tone(2000.0, SPECTROGRAM) * click(0.3, SPECTROGRAM).cumsum(1)
    figure = draw(interpret(wavs))
    values = SPECTROGRAM(wavs).log_magnitude[0]
    alone = draw_spectrograms([("", values)], SPECTROGRAM).axes[0].images[0]
    for axes in figure.axes[:4]:
        assert axes.images[-1].get_extent() == alone.get_extent()
    shown = figure.axes[0].images[0].get_array()
    assert np.array_equal(shown, alone.get_array())


def test_saliency_is_where_it_was_planted():
    interpretation = interpret(torch.rand(1, 8000))
    saliency = torch.zeros_like(interpretation.saliency)
    saliency[0, 10, 64] = 1.0
    image = draw(interpret(torch.rand(1, 8000), saliency=saliency))
    second, hertz = loudest(image.axes[1].images[1])
    assert second == pytest.approx(10 * SPECTROGRAM.hop_samples / 16000)
    assert hertz == pytest.approx(64 * 16000 / 1024)


def test_panels_share_time_even_if_one_is_shorter():
    values = SPECTROGRAM(torch.rand(1, 16000)).log_magnitude[0]
    panels = [("long", values), ("short", values[:20])]
    figure = draw_spectrograms(panels, SPECTROGRAM)
    ends = {axes.get_xlim()[1] for axes in figure.axes[:2]}
    assert ends == {figure.axes[0].images[0].get_extent()[1]}
    assert figure.axes[1].images[0].get_array().shape == (513, 20)


@pytest.mark.parametrize("n_panels", [1, 2, 3, 4, 5, 6, 7])
def test_every_column_and_row_names_its_unit(n_panels):
    values = SPECTROGRAM(torch.rand(1, 4000)).log_magnitude[0]
    panels = [(str(index), values) for index in range(n_panels)]
    figure = draw_spectrograms(panels, SPECTROGRAM)
    *axes, bar = figure.axes
    assert len(axes) == n_panels
    labels = [panel.get_xlabel() for panel in axes]
    n_columns = axes[0].get_subplotspec().get_gridspec().ncols
    assert labels[-n_columns:] == ["Time (s)"] * n_columns
    assert not any(labels[:-n_columns])
    names = {panel.get_ylabel() for panel in axes[::n_columns]}
    assert names == {"Frequency (kHz)"}
    assert bar.get_xlabel().startswith("Level (dB")


# -- values


def test_levels_are_decibels_below_the_loudest_cell():
    values = SPECTROGRAM(torch.rand(2, 8000)).log_magnitude
    values[1] *= 0.1
    panels = [("loud", values[0]), ("soft", values[1])]
    figure = draw_spectrograms(panels, SPECTROGRAM)
    magnitudes = np.exp(values.double().numpy()) - 1
    with np.errstate(divide="ignore"):
        expected = 20 * np.log10(magnitudes / magnitudes.max())
    for axes, levels in zip(figure.axes[:2], expected, strict=True):
        shown = axes.images[0].get_array().T
        assert np.allclose(shown, levels.clip(min=-80), atol=1e-2)
        assert axes.images[0].get_clim() == (-80, 0)


def test_kept_and_removed_are_the_input_and_gray():
    interpretation = interpret(torch.rand(1, 8000))
    figure = draw(interpretation)
    whole, kept, removed = (
        figure.axes[index].images[0].get_array() for index in (0, 2, 3)
    )
    mask = interpretation.mask[0].T.numpy()
    assert np.array_equal(kept.mask, ~mask)
    assert np.array_equal(removed.mask, mask)
    assert np.allclose(kept[mask], whole[mask], atol=1e-3)
    assert np.allclose(removed[~mask], whole[~mask], atol=1e-3)
    assert "30.0 %" in figure.axes[2].get_title()


def test_saliency_has_its_own_bar_in_its_own_numbers():
    interpretation = interpret(torch.rand(1, 8000))
    figure = draw(interpretation)
    image = figure.axes[1].images[1]
    expected = interpretation.saliency[0].T.numpy()
    assert np.array_equal(image.get_array(), expected)
    assert image.get_clim() == (expected.min(), expected.max())
    assert image.colorbar.ax.get_ylabel() == "Saliency (no unit)"


def test_only_own_frames_are_drawn_whatever_the_neighbors():
    generator = torch.manual_seed(1)
    wavs = torch.rand(2, 16000, generator=generator)
    wavs[0, 6000:] = 0
    saliency = torch.rand(2, 87, 513, generator=generator)
    batch = interpret(wavs, torch.tensor([0.375, 1.0]), saliency)
    n_frames = int(batch.spectrum.n_frames[0])
    alone = interpret(wavs[:1, :6000], saliency=saliency[:1, :n_frames])
    for one, other in zip(
        draw(batch, 0).axes[:4], draw(alone, 0).axes[:4], strict=True
    ):
        image, expected = one.images[-1], other.images[-1]
        assert image.get_array().shape == (513, n_frames)
        assert image.get_extent() == expected.get_extent()
        assert np.ma.allclose(
            image.get_array(), expected.get_array(), atol=1e-2
        )


ZEROS, ONES = torch.zeros(1, 44, 513), torch.ones(1, 44, 513)


@pytest.mark.parametrize(
    ("wavs", "saliency", "mask"),
    [
        pytest.param(torch.zeros(1, 8000), ZEROS, None, id="silence"),
        pytest.param(torch.rand(1, 8000), 0.4 * ONES, None, id="constant map"),
        pytest.param(torch.rand(1, 8000), None, ONES, id="all kept"),
        pytest.param(torch.rand(1, 8000), None, 0.5 * ONES, id="soft mask"),
        pytest.param(torch.zeros(1, 8000), None, ONES.bool(), id="bool"),
        pytest.param(1e-30 * torch.rand(1, 8000), None, None, id="faint"),
        pytest.param(torch.rand(1, 1), None, None, id="one sample"),
    ],
)
def test_draws_what_has_nothing_to_show(tmp_path, wavs, saliency, mask):
    figure = draw(interpret(wavs, saliency=saliency, mask=mask))
    save_picture(figure, tmp_path / "a.png", dpi=50)
    for axes in figure.axes[:4]:
        assert np.isfinite(axes.images[-1].get_array().compressed()).all()


def test_silence_looks_silent_and_rounding_is_no_map():
    silence = draw_spectrograms(
        [("", SPECTROGRAM(torch.zeros(1, 8000)).log_magnitude[0])], SPECTROGRAM
    )
    assert (silence.axes[0].images[0].get_array() < -79.9).all()
    noise = 1 + 1e-7 * torch.rand(1, 44, 513)
    figure = draw(interpret(torch.rand(1, 8000), saliency=noise))
    low, high = figure.axes[1].images[1].get_clim()
    assert high - low > 0.1


# -- words


def test_title_names_prediction_explanation_and_truth():
    title = draw(
        interpret(torch.rand(1, 4000)), title="a.wav", target_label="cat"
    ).get_suptitle()
    first, second = title.split("\n")
    score = math.exp(3) / (1 + math.exp(3) + math.exp(1))
    assert first == "a.wav"
    assert [part.strip() for part in second.split("|")] == [
        f"Predicted: rain ({100 * score:.1f} %)",
        "Explained: sea_waves",
        "True: cat",
    ]
    assert "True" not in draw(interpret(torch.rand(1, 4000))).get_suptitle()


def test_names_are_never_read_as_formulas(tmp_path):
    name = r"$\frac{$ a_b"  # cannot be set as the formula it looks like
    figure = draw(interpret(torch.rand(1, 4000)), title=name, target_label=name)
    save_picture(figure, tmp_path / "a.png", dpi=50)
    values = SPECTROGRAM(torch.rand(1, 4000)).log_magnitude[0]
    panels = draw_spectrograms([(name, values)], SPECTROGRAM)
    save_picture(panels, tmp_path / "b.png", dpi=50)
    confusion = draw_confusion(torch.eye(2), [name, "b"])
    save_picture(confusion, tmp_path / "c.png", dpi=50)
    assert name in figure.get_suptitle()


def long_names():
    return draw_interpretation(
        interpret(torch.rand(1, 80000)),
        0,
        spectrogram=SPECTROGRAM,
        labels=[f"a_rather_long_name_of_a_class_{n}" for n in range(3)],
        title="/a/very/long/path/" + "Clip_" * 60 + ".wav",
        target_label="another long name, " * 20,
    )


def six_panels():
    values = SPECTROGRAM(torch.rand(1, 80000)).log_magnitude[0]
    name = "a rather long title of the panel, longer than a line or two"
    return draw_spectrograms([(name, values)] * 6, SPECTROGRAM)


def learning_curve():
    return draw_learning_curve(
        [
            {
                "epoch": epoch,
                "train_loss": 1 / epoch,
                "valid_loss": 2 / epoch,
                "valid_accuracy": 1 - 0.7 / epoch,
            }
            for epoch in range(1, 201)
        ]
    )


def confusion(n_classes, count=28):
    names = [f"washing_machine_{index}" for index in range(n_classes)]
    counts = torch.full((n_classes, n_classes), count)
    return draw_confusion(counts, names)


FIGURES = {
    "interpretation": lambda: draw(interpret(torch.rand(1, 80000)), title="a"),
    "long names": long_names,
    "six panels": six_panels,
    "learning curve": learning_curve,
    "3 classes": lambda: confusion(3),
    "10 classes": lambda: confusion(10, 123456),
    "50 classes": lambda: confusion(50, 400),
}


@cache
def drawn(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    return figure


def written(figure):
    """Boxes in pixels of all words that are drawn and level."""
    unseen = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            unseen |= {
                tick.label1
                for tick in axis.get_major_ticks()
                if not low <= tick.get_loc() <= high
            }
    return [
        (text, text.get_window_extent())
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text() and text not in unseen
    ]


@pytest.mark.parametrize("name", FIGURES)
def test_no_word_is_cut_or_covered(name):
    figure = drawn(name)
    words = written(figure)
    assert words
    for text, box in words:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text
        assert box.y1 <= figure.bbox.y1, text
    # the boxes of slanted words overlap where the words do not
    level = [
        (box.x0, box.y0, box.x1, box.y1)
        for text, box in words
        if text.get_rotation() in (0, 90)
    ]
    x0, y0, x1, y1 = np.array(level).T
    inside = (x0[:, None] < x1 - 1) & (y0[:, None] < y1 - 1)
    assert (inside & inside.T).sum() == len(level)  # each with itself only


def test_figures_are_wide_enough_to_read(tmp_path):
    path = save_picture(drawn("interpretation"), tmp_path / "a.png")
    assert imread(path).shape[1] == 1200
    widths = {
        drawn(name).get_figwidth() for name in ("six panels", "learning curve")
    }
    assert widths == {drawn("interpretation").get_figwidth()}


# -- learning curve


def curves(rows):
    figure = draw_learning_curve(rows)
    return [
        {
            line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
            for line in axes.lines
        }
        for axes in figure.axes
    ]


def test_learning_curve_leaves_out_what_is_missing():
    loss, accuracy = curves(
        [
            {"epoch": 3, "train_loss": 1.0, "valid_loss": 2.0},
            {"epoch": 1, "train_loss": 3.0, "valid_accuracy": 0.25},
            {"epoch": 2, "train_loss": None, "valid_loss": math.nan},
        ]
    )
    assert loss["train"] == ([1, 3], [3.0, 1.0])
    assert loss["valid"] == ([3], [2.0])
    assert accuracy["valid"] == ([1], [25.0])


@pytest.mark.parametrize(
    ("key", "values", "best"),
    [
        ("valid_accuracy", [0.5, 0.9, 0.9, 0.7], 2),
        ("valid_accuracy", [0.0, None, 0.0], 1),
        ("valid_loss", [3.0, 1.0, 2.0, 1.0], 2),
        ("valid_loss", [math.nan, math.inf, 2.0], 3),
    ],
)
def test_best_epoch_is_marked(key, values, best):
    rows = [
        {"epoch": epoch, "train_loss": 1.0, key: value}
        for epoch, value in enumerate(values, start=1)
    ]
    for panel in curves(rows):
        (label,) = (label for label in panel if label.startswith("best"))
        assert label.startswith(f"best: epoch {best} (")
        assert panel[label][0] == [best, best]


def test_accuracy_decides_before_loss():
    rows = [
        {"epoch": 1, "valid_loss": 1.0, "valid_accuracy": 0.5},
        {"epoch": 2, "valid_loss": 2.0, "valid_accuracy": 0.6},
    ]
    assert "best: epoch 2 (60.0 %)" in curves(rows)[0]


def test_learning_curve_without_validation():
    figure = draw_learning_curve([{"epoch": 1}])
    assert len(figure.axes) == 1
    figure = draw_learning_curve([{"epoch": 1, "train_loss": 1.0}])
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Epoch", "Loss")
    assert [line.get_label() for line in axes.lines] == ["train"]


# -- confusion


def test_confusion_writes_counts_with_true_classes_in_rows():
    counts = torch.tensor([[5, 2, 0], [0, 12345, 1], [3, 0, 1]])
    axes = draw_confusion(counts, LABELS).axes[0]
    shown = {
        (text.get_position()[1], text.get_position()[0]): text.get_text()
        for text in axes.texts
    }
    assert shown == {
        (row, column): str(counts[row, column].item())
        for row, column in counts.nonzero().tolist()
    }
    assert [label.get_text() for label in axes.get_yticklabels()] == LABELS
    assert [label.get_text() for label in axes.get_xticklabels()] == LABELS
    assert axes.get_ylabel() == "True class"
    assert axes.get_title() == "12351 of 12357 clips right (100.0 %)"


def test_confusion_colors_are_shares_of_each_row():
    counts = torch.tensor([[6, 2, 0], [0, 0, 0], [1, 1, 2]])
    image = draw_confusion(counts, LABELS).axes[0].images[0]
    expected = [[75, 25, 0], [0, 0, 0], [25, 25, 50]]
    assert np.allclose(image.get_array().filled(-1), expected)
    assert image.get_clim() == (0, 100)
    assert "(%)" in image.colorbar.ax.get_ylabel()


@pytest.mark.parametrize("n_classes", [3, 10, 50])
def test_counts_fit_their_cells(n_classes):
    axes = drawn(f"{n_classes} classes").axes[0]
    cell = axes.get_window_extent().width / n_classes
    for text in axes.texts:
        box = text.get_window_extent()
        assert max(box.width, box.height) <= cell
        assert text.get_fontsize() >= 7


def test_counts_stand_out_from_their_cells():
    counts = torch.tensor([[share, 100 - share] for share in (95, 60)])
    figure = draw_confusion(counts, ["a", "b"])
    image = figure.axes[0].images[0]
    for text in figure.axes[0].texts:
        column, row = text.get_position()
        color = image.to_rgba(image.get_array())[row, column, :3]
        ink = 1.0 if text.get_color() == "white" else 0.0
        light = np.where(
            color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4
        ) @ [0.2126, 0.7152, 0.0722]
        low, high = sorted((ink, light))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG AA


# -- files


def test_picture_is_a_whole_png_whatever_its_name(tmp_path):
    figure = learning_curve()
    for name in ("a.png", "ü b", "deep/er/a.txt"):
        path = save_picture(figure, tmp_path / name, dpi=60)
        assert path == tmp_path / name
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert content[-8:-4] == b"IEND"
        assert int.from_bytes(content[16:20], "big") == 600
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"a.png", "ü b", "a.txt"}


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
        save_picture(learning_curve(), tmp_path / name, dpi=50)
        for name in ("a.png", "b.png")
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_nothing_keeps_a_figure_alive(tmp_path):
    figure = learning_curve()
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
import torch
spectrogram = Spectrogram()
values = spectrogram(torch.rand(1, 4000)).log_magnitude[0]
save_picture(draw_spectrograms([("a", values)], spectrogram), sys.argv[1])
save_picture(draw_confusion(torch.eye(2), ["a", "b"]), sys.argv[1])
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


# -- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw(interpret(torch.rand(2, 4000)), 2), "row=2 .* 0 to 1"),
        (lambda: draw(interpret(torch.rand(2, 4000)), -1), "row=-1"),
        (
            lambda: draw_interpretation(
                interpret(torch.rand(1, 4000)),
                0,
                spectrogram=SPECTROGRAM,
                labels=["a"],
            ),
            "labels has 1 names .* 3 classes",
        ),
        (
            lambda: draw_interpretation(
                interpret(torch.rand(1, 4000)),
                0,
                spectrogram=OTHER,
                labels=LABELS,
            ),
            r"shape \(22, 513\).*\[time, 257\]",
        ),
        (lambda: draw_spectrograms([], SPECTROGRAM), "panels"),
        (
            lambda: draw_spectrograms([("", torch.ones(513, 9))], SPECTROGRAM),
            r"shape \(513, 9\)",
        ),
        (
            lambda: draw_spectrograms([("", torch.ones(0, 513))], SPECTROGRAM),
            r"shape \(0, 513\)",
        ),
        (
            lambda: draw_spectrograms([("", torch.ones(1, 9, 513))], OTHER),
            r"shape \(1, 9, 513\)",
        ),
        (lambda: draw_learning_curve([]), "rows"),
        (lambda: draw_confusion(torch.ones(2, 3), ["a", "b"]), r"\(2, 3\)"),
        (lambda: draw_confusion(torch.ones(2, 2), ["a"]), "1 labels"),
        (lambda: draw_confusion(torch.ones(0, 0), []), "0 labels"),
    ],
)
def test_errors_quote_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_gradients_and_half_precision_are_drawn():
    values = SPECTROGRAM(torch.rand(1, 4000)).log_magnitude[0]
    for kind in (torch.float64, torch.bfloat16, torch.float16):
        panel = values.to(kind).requires_grad_()
        figure = draw_spectrograms([("", panel)], SPECTROGRAM)
        assert figure.axes[0].images[0].get_array().dtype == np.float32
