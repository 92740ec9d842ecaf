import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from focalaudio.decisions import SEVERAL
from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.masks import quantile_mask
from focalaudio.pictures import (
    draw_interpretation,
    draw_spectrograms,
    save_picture,
)
from focalaudio.pictures.canvas import WIDTH
from focalaudio.spectrogram import Spectrogram

SPECTROGRAM = Spectrogram()
OTHER = Spectrogram(8000, n_fft=512, win_length=32.0, hop_length=16.0)
SPECTROGRAMS = pytest.mark.parametrize(
    "spectrogram", [SPECTROGRAM, OTHER], ids=["16 kHz", "8 kHz"]
)
LABELS = ["dog", "rain", "sea_waves"]


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


def test_sources_mixture_and_interpretation_share_one_scale():
    low, high = tone(1000.0, SPECTROGRAM), 0.1 * tone(6000.0, SPECTROGRAM)
    parts = torch.cat((low, high, low + high))
    first, second, mixture = SPECTROGRAM(parts).log_magnitude
    heard = mixture.masked_fill(first < second, math.nan)
    figure = draw_spectrograms(
        [
            ("source: low", first),
            ("source: high", second),
            ("mixture", mixture),
            ("interpretation: low", heard),
        ],
        SPECTROGRAM,
    )
    *axes, _ = figure.axes
    images = [panel.images[0] for panel in axes]
    assert [panel.get_title() for panel in axes][3] == "interpretation: low"
    assert {image.get_clim() for image in images} == {(-80, 0)}
    found = [loudest(image)[1] for image in images]
    assert found == pytest.approx([1000, 6000, 1000, 1000], abs=8)
    assert images[1].get_array().max() == pytest.approx(-20, abs=0.1)
    dropped = (first < second).T.numpy()
    assert np.array_equal(images[3].get_array().mask, dropped)
    kept = images[3].get_array()[~dropped]
    assert np.array_equal(kept, images[2].get_array()[~dropped])


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


def test_a_title_names_no_class_of_a_clip_that_is_given_none():
    found = interpret(torch.rand(1, 4000))
    unknown = replace(found, is_known=torch.tensor([False]))
    closest = replace(unknown, class_ids=torch.tensor([1]))
    first = float(found.probs[0, 1])
    said = f"No evidence for any class (closest: rain, {100 * first:.1f} %)"
    assert draw(closest).get_suptitle() == said
    assert draw(unknown).get_suptitle().split("   |   ") == [
        said,
        "Explained: sea_waves",
    ]
    low = {"decision": SEVERAL, "logits": found.logits - 5}
    few = replace(closest, is_known=None, **low)
    said = "None of the classes (closest: rain, 11.9 %)"
    assert draw(few).get_suptitle() == said


def test_a_title_names_all_classes_that_are_heard():
    found = interpret(torch.rand(1, 4000))
    low = {"decision": SEVERAL, "logits": found.logits - 0.5}
    several = replace(found, against=0, **low)
    assert draw(several).get_suptitle().split("\n") == [
        "Predicted: rain (92.4 %), sea_waves (62.2 %)",
        "Explained: sea_waves, against dog",
    ]


def test_names_are_never_read_as_formulas(tmp_path):
    name = r"$\frac{$ a_b"  # cannot be set as the formula it looks like
    figure = draw(interpret(torch.rand(1, 4000)), title=name, target_label=name)
    save_picture(figure, tmp_path / "a.png", dpi=50)
    values = SPECTROGRAM(torch.rand(1, 4000)).log_magnitude[0]
    panels = draw_spectrograms([(name, values)], SPECTROGRAM)
    save_picture(panels, tmp_path / "b.png", dpi=50)
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


def panels(n_panels):
    values = SPECTROGRAM(torch.rand(1, 80000)).log_magnitude[0]
    name = "a rather long title of the panel, longer than a line or two, "
    return draw_spectrograms([(2 * name, values)] * n_panels, SPECTROGRAM)


FIGURES = {
    "interpretation": lambda: draw(interpret(torch.rand(1, 80000)), title="a"),
    "long names": long_names,
    "one panel": lambda: panels(1),
    "four panels": lambda: panels(4),
    "six panels": lambda: panels(6),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_word_is_cut_or_covered(name, check_words):
    figure = FIGURES[name]()
    check_words(figure)
    assert figure.get_figwidth() == WIDTH


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
