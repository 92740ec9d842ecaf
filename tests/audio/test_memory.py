"""Laws of sounds that are encoded in memory."""

import io

import pytest
import soundfile
import torch

from focalaudio.audio import code_vorbis, encode_sound
from focalaudio.errors import AudioError

RATE = 16000


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator) * 1.8 - 0.9


@pytest.mark.parametrize("samples", [1, 2, 371, 16384, 16385, 50000])
def test_coding_keeps_the_length_and_is_the_same_every_time(samples):
    wav = noise(samples)
    coded = code_vorbis(wav, RATE)
    assert coded.shape == wav.shape
    assert coded.dtype == torch.float32
    assert torch.equal(coded, code_vorbis(wav, RATE))


def test_a_higher_quality_is_closer_to_the_sound():
    wav = noise(2 * RATE)
    errors = [
        (code_vorbis(wav, RATE, quality) - wav).square().mean().item()
        for quality in (1.0, 0.6, 0.2)
    ]
    assert 0 < errors[0] < errors[1] < errors[2] < wav.square().mean()


def test_coded_silence_is_silence():
    assert not code_vorbis(torch.zeros(5000), RATE).any()


@pytest.mark.parametrize(
    ("shape", "rate", "quality", "said"),
    [
        (9, 500_000, 0.4, "sample_rate=500000"),  # libsndfile would crash
        (9, RATE, 1.1, "quality=1.1"),
        ((2, 9), RATE, 0.4, r"shape \(2, 9\)"),
        (0, RATE, 0.4, r"shape \(0,\)"),
    ],
)
def test_what_cannot_be_coded_is_refused(shape, rate, quality, said):
    with pytest.raises(ValueError, match=said):
        code_vorbis(torch.zeros(shape), rate, quality)


@pytest.mark.parametrize("samples", [1, 371, 50000])
def test_flac_in_memory_loses_less_than_a_step(samples):
    wav = noise(samples).clamp(-1, 1)
    coded = encode_sound(wav, RATE)
    with soundfile.SoundFile(io.BytesIO(coded)) as sound:
        assert (sound.format, sound.samplerate) == ("FLAC", RATE)
        heard = torch.from_numpy(sound.read(dtype="float32"))
    torch.testing.assert_close(heard, wav, atol=2**-15, rtol=0)


def test_vorbis_in_memory_is_what_the_round_trip_decodes():
    wav = 0.5 * noise(20000).clamp(-1, 1)
    coded = encode_sound(wav, RATE, quality=0.5)
    with soundfile.SoundFile(io.BytesIO(coded)) as sound:
        heard = torch.from_numpy(sound.read(dtype="float32"))
    assert torch.equal(heard[: len(wav)], code_vorbis(wav, RATE, 0.5))


def test_a_sound_beyond_full_scale_is_not_clipped_in_silence():
    with pytest.raises(AudioError, match="peak=2"):
        encode_sound(torch.full((9,), 2.0), RATE)
