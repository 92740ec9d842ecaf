"""Laws of augmented waveforms: what each step may change, and what never."""

import pytest
import torch

from focalaudio.augment import (
    Augment,
    RandomCrop,
    RandomEqualizer,
    RandomGain,
    RandomNoise,
    RandomPolarity,
    RandomSpeed,
    TimeShift,
)
from focalaudio.mixtures import energy

STEPS = [
    TimeShift(),
    RandomGain(),
    RandomPolarity(1.0),
    RandomEqualizer(6.0),
    RandomNoise(0.0),
]


LONGER = [RandomSpeed(1.5), RandomCrop(0.02, 1000)]  # or shorter


OFF = [
    TimeShift(0),
    RandomGain(0),
    RandomPolarity(0),
    RandomEqualizer(0),
    RandomNoise(None),
    RandomSpeed(1.0),
    RandomCrop(None),
    Augment([]),
]


def names(step):
    return type(step).__name__


def assert_equal(one, other):
    for before, after in zip(one, other, strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("step", OFF, ids=names)
def test_a_step_that_is_off_is_the_identity(step, batch):
    assert_equal(batch[:2], step.train()(*batch[:2]))


@pytest.mark.parametrize("step", [*STEPS, *LONGER, Augment(STEPS)], ids=names)
def test_evaluation_is_the_identity(step, batch):
    assert_equal(batch[:2], step.eval()(*batch[:2]))
    step.train()


@pytest.mark.parametrize("step", [*STEPS, Augment(STEPS)], ids=names)
def test_training_changes_sound_but_not_its_input(step, batch):
    copies = [part.clone() for part in batch]
    wavs, lens = step.train()(*batch[:2])
    assert not torch.equal(wavs, batch[0])
    assert_equal(batch, copies)
    assert wavs.shape == batch[0].shape


@pytest.mark.parametrize("step", STEPS, ids=names)
def test_same_seed_same_augmentation(step, batch):
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(step(*batch[:2]))
    assert_equal(*results)


def test_shift_is_a_rotation_of_the_clips_own_samples(batch):
    wavs, lens, _ = batch
    shifted, _ = TimeShift(1.0)(*batch[:2])
    for clip, moved, length in zip(
        wavs,
        shifted,
        (lens * wavs.shape[1]).round().int().tolist(),
        strict=True,
    ):
        rotations = [clip[:length].roll(by) for by in range(length)]
        assert any(torch.equal(moved[:length], turn) for turn in rotations)
        assert (moved[length:] == 0).all()


def test_shift_stays_within_its_bound_and_goes_both_ways():
    clips = torch.zeros(500, 100)
    clips[:, 50] = 1
    shifted, _ = TimeShift(0.1)(clips, torch.ones(500))
    places = shifted.argmax(1)
    assert places.min() == 41  # the last tenth of the bound is never drawn
    assert places.max() == 59


def test_gain_stays_within_its_bound_and_goes_both_ways(batch):
    wavs = torch.ones(500, 1)
    louder, _ = RandomGain(6.0)(wavs, torch.ones(500))
    decibels = 20 * louder.log10()
    assert decibels.abs().max() <= 6
    assert decibels.min() < -5
    assert decibels.max() > 5


def test_gain_is_one_number_per_clip(batch):
    wavs, lens, _ = batch
    louder, _ = RandomGain(6.0)(wavs, lens)
    gain = (louder / wavs)[wavs != 0]
    assert (gain > 0).all()
    for before, after in zip(wavs, louder, strict=True):
        ratio = after[before != 0] / before[before != 0]
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


def test_a_step_knows_whether_it_is_on():
    assert all(step.is_active for step in [*STEPS, Augment(STEPS)])
    assert not any(step.is_active for step in [*OFF, Augment(OFF)])
    assert Augment([*OFF, RandomGain()]).is_active


def test_steps_are_applied_in_order(batch):
    class Add(torch.nn.Module):
        def forward(self, wavs, lens):
            return wavs + 1, lens

    class Double(torch.nn.Module):
        def forward(self, wavs, lens):
            return 2 * wavs, lens

    wavs, _ = Augment([Add(), Double()])(*batch[:2])
    torch.testing.assert_close(wavs, 2 * (batch[0] + 1))


@pytest.mark.parametrize("step", LONGER, ids=names)
def test_steps_that_change_lengths_leave_their_input_alone(step, batch):
    copies = [part.clone() for part in batch]
    wavs, lens = step.train()(*batch[:2])
    assert_equal(batch, copies)
    assert len(wavs) == len(batch[0])
    assert lens.max() == 1
    ends = (lens * wavs.shape[1]).round().long()
    for wav, end in zip(wavs, ends.tolist(), strict=True):
        assert (wav[end:] == 0).all()


def test_speed_moves_a_tone_by_its_factor():
    rate = 8000
    tone = torch.sin(2 * torch.pi * 500 * torch.arange(rate) / rate)[None]
    torch.manual_seed(1)
    lengths = []
    for _ in range(20):
        wavs, lens = RandomSpeed(2.0)(tone, torch.ones(1))
        assert lens == 1
        factor = rate / wavs.shape[1]
        peak = torch.fft.rfft(wavs[0]).abs().argmax() * rate / wavs.shape[1]
        assert peak == pytest.approx(500 * factor, rel=0.02)
        lengths.append(factor)
    assert 0.5 <= min(lengths) < 0.75
    assert 1.4 < max(lengths) <= 2


def test_a_crop_is_a_piece_of_what_sounds_with_half_a_piece_of_silence():
    wav = torch.zeros(1, 1000)
    wav[0, 400:600] = torch.arange(1.0, 201)
    crop, starts = RandomCrop(0.1, 1000), []
    for _ in range(200):
        piece = crop(wav, torch.ones(1))[0][0]
        assert piece.shape == (100,)
        sounds = piece[piece > 0]
        assert len(sounds) >= 50
        assert torch.equal(sounds, torch.arange(sounds[0], sounds[-1] + 1))
        if sounds[0] == 1:  # silence only before the first sound
            assert piece[-1] > 0
        starts.append(int(sounds[0]) - int((piece > 0).nonzero()[0]))
    assert min(starts) < -40  # before the first sound
    assert max(starts) > 140  # near the last one


@pytest.mark.parametrize("length", [1, 7, 99, 100, 101])
def test_a_clip_that_is_shorter_than_the_piece_is_padded(length):
    wav = torch.ones(1, length)
    for _ in range(20):
        piece = RandomCrop(0.1, 1000)(wav, torch.ones(1))[0]
        assert piece.shape == (1, 100)
        assert piece.sum() >= min(length, 50)


def test_silence_can_be_cut():
    pieces, lens = RandomCrop(0.1, 1000)(torch.zeros(2, 500), torch.ones(2))
    assert pieces.shape == (2, 100)
    assert not pieces.any()
    assert lens.tolist() == [1, 1]


def test_polarity_is_turned_as_often_as_was_asked():
    wavs = torch.ones(1000, 3)
    turned = RandomPolarity(0.3)(wavs, torch.ones(1000))[0]
    assert torch.equal(turned.abs(), wavs)
    assert (turned[:, 0] < 0).float().mean() == pytest.approx(0.3, abs=0.06)


def test_noise_has_the_ratio_that_was_asked_for():
    wavs = torch.randn(4, 16000)
    noise = RandomNoise(20.0, 20.0)(wavs, torch.ones(4))[0] - wavs
    residue = wavs * (10 / 11) - wavs  # SpeechBrain lowers the clip for it
    ratio = energy(wavs * 10 / 11) / energy(noise - residue)
    torch.testing.assert_close(
        10 * ratio.log10(), torch.full((4,), 20.0), atol=0.1, rtol=0
    )


def test_a_clip_has_the_noise_that_it_would_have_alone(batch):
    wavs, lens, _ = batch
    lowered = wavs * (10 / 11)
    noise = RandomNoise(20.0, 20.0)(wavs, lens)[0] - lowered
    ratio = 10 * (energy(lowered) / energy(noise)).log10()
    torch.testing.assert_close(
        ratio, torch.full_like(ratio, 20.0), atol=0.01, rtol=0
    )
    assert not noise[wavs == 0].any()  # beyond a clip's end


def test_a_crop_of_no_length_is_refused():
    with pytest.raises(ValueError, match="seconds=0"):
        RandomCrop(0)
