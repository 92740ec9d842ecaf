"""Laws of a batch's columns: which source counts, and what is undefined."""

import pytest
import torch

from focalaudio.interpreters.interpretation import Interpretation
from focalaudio.metrics import functional as formulas
from focalaudio.metrics.columns import (
    Sources,
    curve_columns,
    interpretation_columns,
    oracle_interpretations,
    source_columns,
)
from focalaudio.metrics.table import METRICS
from focalaudio.spectrogram import Spectrogram

SPECTROGRAM = Spectrogram()


def make_sources(first, second, targets, other_targets):
    energies = (
        SPECTROGRAM(wavs).stft.square().sum(-1) for wavs in (first, second)
    )
    ids = (torch.tensor(classes) for classes in (targets, other_targets))
    return Sources(first, second, *energies, *ids)


def interpret(wavs, class_ids, mask=None):
    spectrum = SPECTROGRAM(wavs)
    mask = torch.ones_like(spectrum.log_magnitude) if mask is None else mask
    class_ids = torch.tensor(class_ids)
    logits = torch.nn.functional.one_hot(class_ids, 4).float()
    return Interpretation(logits, class_ids, mask, mask, spectrum, SPECTROGRAM)


@pytest.fixture
def tones():
    seconds = torch.arange(8000) / 16000
    return (
        torch.sin(2 * torch.pi * frequency * seconds).expand(3, -1)
        for frequency in (500.0, 4000.0)
    )


@pytest.fixture
def sources(tones):
    return make_sources(*tones, [0, 0, 0], [1, 1, 1])


@pytest.fixture
def low_half(sources):
    mask = torch.zeros_like(sources.first_energy)
    mask[:, :, :100] = 1  # below 1.6 kHz
    return mask


def test_the_source_of_the_explained_class_counts(sources, low_half):
    mixture = sources.first + sources.second
    columns = source_columns(interpret(mixture, [0, 1, 2], low_half), sources)
    assert columns["source_found"].tolist() == [1, 1, 0]
    share = columns["source_share"]
    assert share[0] > 0.999
    assert share[1] < 0.001
    for name, column in columns.items():
        known = name in ("source_found", "source_kept")
        assert column[2].isnan() != known
    assert columns["source_kept"][2] == columns["source_kept"][0] > 0.999


def test_a_mask_that_splits_the_sources_improves_the_ratio(sources, low_half):
    mixture = sources.first + sources.second
    columns = source_columns(interpret(mixture, [0, 1, 0], low_half), sources)
    improvement = columns["si_sdr_improvement"]
    assert improvement[0] > 20
    assert improvement[1] < -20


def test_keeping_everything_improves_nothing(sources):
    mixture = sources.first + sources.second
    columns = source_columns(interpret(mixture, [0, 1, 0]), sources)
    assert columns["si_sdr_improvement"].abs().max() < 1e-3
    assert columns["source_share"].sub(0.5).abs().max() < 1e-2
    assert (columns["auc"] == 0.5).all()  # a flat saliency ranks nothing


def test_frames_are_those_of_the_explained_source(tones):
    """The low tone is the first half, the high one the second."""
    first, second = (tone.clone() for tone in tones)
    first[:, 4000:], second[:, :4000] = 0, 0
    sources = make_sources(first, second, [0, 0, 0], [1, 1, 1])
    early = torch.zeros_like(sources.first_energy)
    early[:, : early.shape[1] // 2] = 1
    record = interpret(first + second, [0, 1, 2], early)
    columns = source_columns(record, sources)
    for name in ("time_pointing", "time_iou", "frame_f1"):
        right, wrong, none = columns[name].tolist()
        assert right > 0.9
        assert wrong < 0.1
        assert none != none  # undefined
    chance = columns["time_chance"][:2].tolist()
    assert chance == pytest.approx([0.5, 0.5], abs=0.03)


@pytest.mark.parametrize("kind", ["noise", "nothing"])
def test_padding_is_no_part_of_a_mixture(kind):
    """The sources of a shorter clip ring on for a frame; that counts not."""
    lens, samples = torch.tensor([0.5, 1.0]), 4000
    first, second = torch.randn(2, 2, 8000, generator=torch.manual_seed(0))
    first[0, samples:], second[0, samples:] = 0, 0
    spectrum = SPECTROGRAM(first + second, lens)
    saliency = torch.zeros_like(spectrum.log_magnitude)
    mask = torch.rand(saliency.shape) * spectrum.own_frames[:, :, None]
    if kind == "noise":
        saliency = torch.rand(mask.shape) * spectrum.own_frames[:, :, None]
    ids, logits = torch.tensor([0, 0]), torch.eye(4)[[0, 0]]
    record = Interpretation(logits, ids, saliency, mask, spectrum, SPECTROGRAM)
    both = source_columns(record, make_sources(first, second, [0] * 2, [1] * 2))
    short, frames = first[:1, :samples], int(spectrum.n_frames[0])
    parts = saliency[:1, :frames], mask[:1, :frames]
    other = second[:1, :samples]
    record = Interpretation(
        logits[:1], ids[:1], *parts, SPECTROGRAM(short + other), SPECTROGRAM
    )
    alone = source_columns(record, make_sources(short, other, [0], [1]))
    for name, column in alone.items():
        torch.testing.assert_close(
            both[name][:1], column, rtol=1e-5, atol=1e-5, msg=name
        )


def test_two_sources_of_one_class_are_the_first(tones):
    sources = make_sources(*tones, [2, 2, 2], [2, 2, 2])
    chosen, found = sources.choose(torch.tensor([2, 2, 2]))
    assert found.all()
    assert torch.equal(chosen.first, sources.first)


def test_choosing_the_other_source_swaps_all_of_it(sources):
    chosen, _ = sources.choose(torch.tensor([1, 1, 1]))
    assert torch.equal(chosen.first, sources.second)
    assert torch.equal(chosen.second_energy, sources.first_energy)
    assert torch.equal(chosen.targets, sources.other_targets)


def test_oracles_keep_as_many_cells_and_more_of_the_source(sources):
    generator = torch.manual_seed(0)
    mask = torch.rand(sources.first_energy.shape, generator=generator) < 0.1
    mixture = sources.first + sources.second
    interpretation = interpret(mixture, [0, 1, 0], mask)
    own = source_columns(interpretation, sources)["source_share"]
    oracles = oracle_interpretations(interpretation, sources)
    assert list(oracles) == ["cleanest", "ideal"]
    for oracle in oracles.values():
        assert torch.equal(oracle.mask.sum((1, 2)), mask.sum((1, 2)))
        assert (source_columns(oracle, sources)["source_share"] > own).all()


def test_padding_does_not_count_as_sparseness():
    spectrum = SPECTROGRAM(torch.zeros(2, 4000), torch.tensor([0.5, 1.0]))
    saliency = torch.rand(spectrum.log_magnitude.shape)
    frames = int(spectrum.n_frames[0])
    saliency[0, frames:] = 0
    logits, ids = torch.zeros(2, 4), torch.zeros(2, dtype=torch.long)
    columns = interpretation_columns(
        Interpretation(logits, ids, saliency, saliency, spectrum, SPECTROGRAM),
        (logits, logits),
        ids,
    )
    for name in ("sparseness", "complexity"):
        alone = getattr(formulas, name)(saliency[:1, :frames])
        torch.testing.assert_close(columns[name][:1], alone)


def test_the_kept_energy_follows_parseval(sources, low_half):
    """Of two equal tones the mask keeps the low one: half of the energy."""
    mixture = sources.first + sources.second
    for mask, share in ((low_half, 0.5), (None, 1.0), (0 * low_half, 0.0)):
        record = interpret(mixture, [0, 1, 2], mask)
        logits = record.logits
        kept = interpretation_columns(
            record, (logits, logits), record.class_ids
        )["kept_energy"]
        assert kept.tolist() == pytest.approx([share] * 3, abs=1e-2)


def test_every_column_is_a_metric_with_a_row_of_its_own(sources, low_half):
    """But for the three probabilities that the metrics are made of."""
    record = interpret(sources.first + sources.second, [0, 1, 2], low_half)
    columns = interpretation_columns(
        record, (record.logits, record.logits), torch.tensor([0, 0, 0])
    )
    columns |= curve_columns(record, lambda part, n: part.mean(1)[:, :4], 2)
    columns |= source_columns(record, sources)
    probabilities = {"probability", "kept_probability", "removed_probability"}
    asked = ("checks", "judge", "random")  # in tests of their own
    elsewhere = {m.name for m in METRICS.values() if m.needs in asked}
    assert (
        set(columns) == {*METRICS, *probabilities} - {"loss", "hit"} - elsewhere
    )
    for name, metric in METRICS.items():
        if name in columns:
            defined = columns[name][~columns[name].isnan()]
            assert len(defined)
            assert ((metric.low <= defined) & (defined <= metric.high)).all()


def test_nothing_is_lost_when_everything_is_kept():
    interpretation = interpret(torch.rand(2, 4000), [0, 3])
    logits = interpretation.logits
    columns = interpretation_columns(
        interpretation, (logits, torch.zeros(2, 4)), torch.tensor([0, 0])
    )
    assert columns["accuracy"].tolist() == [1, 0]
    assert (columns["fidelity"] == 1).all()
    assert (columns["average_drop"] == 0).all()
    assert (columns["faithfulness_of_kept"] == 0).all()
    assert (columns["kept_fraction"] == 1).all()


def test_columns_of_the_parts_are_every_formula_under_its_name():
    record = interpret(torch.rand(3, 4000), [0, 2, 3])
    kept, removed = parts = torch.randn(2, 3, 4)
    targets = torch.tensor([0, 2, 2])
    columns = interpretation_columns(record, tuple(parts), targets)
    whole, kept_probability, removed_probability = (
        formulas.predicted_probability(logits, record.logits)
        for logits in (record.logits, kept, removed)
    )
    expected = {
        "probability": whole,
        "kept_probability": kept_probability,
        "removed_probability": removed_probability,
        "accuracy": torch.tensor([1.0, 1.0, 0.0]),
        "fidelity": formulas.fidelity(record.logits, kept),
        "faithfulness": whole - removed_probability,
        "faithfulness_of_kept": whole - kept_probability,
    }
    for name, values in expected.items():
        torch.testing.assert_close(columns[name], values)


@pytest.mark.parametrize("silent", [0, 1])
@pytest.mark.parametrize("explained", [0, 1])
def test_a_sound_and_silence_are_no_mixture(tones, silent, explained):
    wavs = list(tones)
    wavs[silent] = torch.cat((torch.zeros_like(wavs[0][:1]), wavs[silent][1:]))
    sources = make_sources(*wavs, [0, 0, 0], [1, 1, 1])
    mixture = sources.first + sources.second
    columns = source_columns(interpret(mixture, [explained] * 3), sources)
    assert columns["source_found"].tolist() == [1, 1, 1]
    for name in set(columns) - {"source_found", "source_kept"}:
        assert columns[name].isnan().tolist() == [True, False, False], name
