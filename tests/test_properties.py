"""Laws of the flow line for any finite sound, tried on what hypothesis finds.

Noise, a constant, an impulse, steps or silence, of any length and level; alone
or beside others in a padded batch.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from focalaudio.audio import load_wav, write_wav
from focalaudio.interpreters.quantizer import Quantizer
from focalaudio.masks import MASKS, cut_saliency, keep_and_remove
from focalaudio.mixtures import concatenate, mix
from focalaudio.spectrogram import Spectrogram
from focalaudio.waveforms import common_gain, normalize_peak, resample

KINDS = ("noise", "constant", "impulse", "steps", "silence")
SPECTROGRAM = Spectrogram()


@st.composite
def sounds(draw, loudest=9):
    """`[samples]`, 1 to 2000 of them, of any level up to `10^loudest`."""
    n_samples, kind = draw(st.integers(1, 2000)), draw(st.sampled_from(KINDS))
    level = 10.0 ** draw(st.integers(-30, loudest))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    noise = torch.rand(n_samples, generator=generator) * 2 - 1
    if kind == "impulse":
        noise *= torch.arange(n_samples) == n_samples // 3
    shapes = {"constant": torch.ones_like(noise), "steps": noise.sign()}
    shapes["silence"] = torch.zeros_like(noise)
    return shapes.get(kind, noise) * level


@st.composite
def batches(draw):
    """Clips of any length, padded: `[batch, samples]`, relative lengths."""
    clips = draw(st.lists(sounds(), min_size=1, max_size=3))
    lengths = torch.tensor([len(clip) for clip in clips])
    wavs = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    return clips, wavs, lengths / lengths.max()


def assert_close(found, wanted, level):
    """Equal to what single precision can tell, at a level."""
    assert torch.isfinite(found).all()
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * level)


def peak(wav):
    return float(wav.abs().max())


@settings(max_examples=50)
@given(batches())
def test_analysis_is_finite_and_its_inverse_gives_the_clips_back(batch):
    clips, wavs, lens = batch
    spectrum = SPECTROGRAM(wavs, lens)
    assert torch.isfinite(spectrum.log_magnitude).all()
    back = SPECTROGRAM.invert(spectrum.stft, spectrum.n_samples)
    for clip, own in zip(clips, back, strict=True):
        assert_close(own[: len(clip)], clip, peak(clip))
        assert not own[len(clip) :].any()


@settings(max_examples=50)
@given(batches())
def test_a_clip_is_analyzed_alike_alone_and_beside_others(batch):
    clips, wavs, lens = batch
    spectrum = SPECTROGRAM(wavs, lens)
    for row, clip in enumerate(clips):
        alone = SPECTROGRAM(clip[None])
        n_frames = int(alone.n_frames[0])
        assert int(spectrum.n_frames[row]) == n_frames
        own = spectrum.log_magnitude[row, :n_frames]
        assert_close(own, alone.log_magnitude[0, :n_frames], 1.0)


@settings(max_examples=50)
@given(batches(), st.sampled_from(sorted(MASKS)), st.floats(0, 1))
def test_every_mask_splits_every_sound_whatever_is_beside_it(
    batch, kind, quantile
):
    clips, wavs, lens = batch
    spectrum = SPECTROGRAM(wavs, lens)
    saliency = spectrum.log_magnitude
    mask = cut_saliency(kind, saliency, quantile, spectrum).float()
    assert torch.isfinite(mask).all()
    assert mask.min() >= 0
    assert mask.max() <= 1
    kept, removed = keep_and_remove(mask, spectrum.stft)
    parts = [
        SPECTROGRAM.invert(part, spectrum.n_samples) for part in (kept, removed)
    ]
    for row, clip in enumerate(clips):
        n_samples = len(clip)
        whole = (parts[0] + parts[1])[row, :n_samples]
        assert_close(whole, clip, peak(clip))
        n_frames = int(spectrum.n_frames[row])
        assert not mask[row, n_frames:].any()
        # the same bits, so that ties fall alike
        alone = SPECTROGRAM(wavs[row : row + 1], lens[row : row + 1])
        own = cut_saliency(kind, alone.log_magnitude, quantile, alone)
        assert torch.equal(own[0, :n_frames].float(), mask[row, :n_frames])


@pytest.mark.parametrize("play", [mix, concatenate])
@given(sounds(), sounds(), st.floats(-60, 60))
def test_sources_add_up_to_a_finite_mixture(play, first, second, snr):
    mixture = play(first, second, snr)
    assert_close(mixture.first + mixture.second, mixture.wav, 1.0)
    assert mixture.wav.shape == first.shape
    assert peak(mixture.wav) <= 1 + 1e-6


@given(sounds(), st.integers(1000, 48_000), st.integers(1000, 48_000))
@settings(max_examples=30)
def test_other_rates_give_finite_sounds_of_the_right_length(wav, down, up):
    found = resample(wav, down, up)
    assert torch.isfinite(found).all()
    assert len(found) == math.ceil(len(wav) * up / down)


@given(sounds())
def test_peaks_are_one_and_silence_stays(wav):
    found = normalize_peak(wav)
    assert torch.isfinite(found).all()
    assert peak(found) == pytest.approx(1.0 if wav.any() else 0.0)


@settings(max_examples=30)
@given(wav=sounds(), rate=st.integers(1000, 96_000))
def test_any_sound_survives_a_file_within_a_step(tmp_path_factory, wav, rate):
    gain = common_gain(wav)
    path = tmp_path_factory.getbasetemp() / "any.wav"
    back = load_wav(write_wav(path, wav, rate, gain=gain))
    wanted = (wav.double() * gain).float()
    torch.testing.assert_close(back, wanted, atol=1 / 32768, rtol=0)


@settings(max_examples=50)
@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(-30, 9),
    st.integers(0, 99),
)
def test_codes_are_finite_and_do_not_depend_on_the_batch(
    n_clips, n_shared, level, seed
):
    torch.manual_seed(seed)
    quantizer = Quantizer(9 + n_shared, 6, 3, n_shared)
    features = torch.randn(n_clips, 6, 2, 3) * 10.0**level
    class_ids = torch.randint(3, (n_clips,))
    found = quantizer(features, class_ids)
    assert torch.isfinite(found.straight).all()
    assert torch.isfinite(found.codes).all()
    for row in range(n_clips):
        only = slice(row, row + 1)
        alone = quantizer(features[only], class_ids[only])
        assert torch.equal(alone.indices[0], found.indices[row])
        owners = quantizer.code_classes[found.indices[row]]
        assert ((owners == class_ids[row]) | (owners < 0)).all()
