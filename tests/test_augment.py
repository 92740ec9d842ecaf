"""Laws of focalaudio.augment: what each step may change, and what never."""

import pytest
import torch

from focalaudio.augment import (
    Augment,
    MaskedViews,
    MaskSpectrogram,
    MixClips,
    RandomCrop,
    RandomGain,
    RandomNoise,
    RandomPolarity,
    RandomSpeed,
    TimeShift,
)
from focalaudio.mixtures import energy

STEPS = [TimeShift(), RandomGain(), RandomPolarity(1.0), RandomNoise(0.0)]
LONGER = [RandomSpeed(1.5), RandomCrop(0.02, 1000)]  # or shorter
OFF = [
    TimeShift(0),
    RandomGain(0),
    RandomPolarity(0),
    RandomNoise(None),
    RandomSpeed(1.0),
    RandomCrop(None),
    Augment([]),
]
BATCH, SAMPLES = 6, 40


def names(step):
    return type(step).__name__


@pytest.fixture
def batch(device):
    """Six clips of uneven length, two classes each seen in targets."""
    n_samples = torch.tensor([40, 1, 20, 33, 40, 7], device=device)
    wavs = torch.randn(BATCH, SAMPLES, device=device)
    wavs *= torch.arange(SAMPLES, device=device) < n_samples[:, None]
    targets = torch.eye(BATCH, device=device)
    return wavs, n_samples / SAMPLES, targets


def mix(step, batch):
    """Mixtures, their lengths and their targets."""
    mixed = step(*batch)
    return mixed.wavs, mixed.lens, mixed.targets


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


@pytest.mark.parametrize("step", [MixClips(0), MixClips(1.0).eval()])
def test_clips_are_not_mixed_in_evaluation_nor_when_it_is_off(step, batch):
    assert_equal(batch, mix(step, batch))


@pytest.mark.parametrize("step", [*STEPS, Augment(STEPS)], ids=names)
def test_training_changes_sound_but_not_its_input(step, batch):
    copies = [part.clone() for part in batch]
    wavs, lens = step.train()(*batch[:2])
    assert not torch.equal(wavs, batch[0])
    assert_equal(batch, copies)
    assert wavs.shape == batch[0].shape


def test_mixing_changes_sound_but_not_its_input(batch):
    copies = [part.clone() for part in batch]
    wavs, _, targets = mix(MixClips(1.0), batch)
    assert not torch.equal(wavs, batch[0])
    assert_equal(batch, copies)
    torch.testing.assert_close(targets.sum(1), torch.ones_like(targets[0]))


@pytest.mark.parametrize(
    "run",
    [
        *(lambda batch, step=step: step(*batch[:2]) for step in STEPS),
        lambda batch: mix(MixClips(1.0), batch),
    ],
)
def test_same_seed_same_augmentation(run, batch):
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(run(batch))
    assert_equal(*results)


def test_shift_is_a_rotation_of_the_clips_own_samples(batch):
    wavs, lens, _ = batch
    shifted, _ = TimeShift(1.0)(*batch[:2])
    for clip, moved, length in zip(
        wavs, shifted, (lens * SAMPLES).round().int().tolist(), strict=True
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


def test_share_of_the_target_is_share_of_the_energy(batch):
    wavs, _, targets = batch
    mixed, _, shared = mix(MixClips(1.0, 12.0), batch)
    own, theirs = energy(wavs), energy(mixed - wavs)
    expected = own / (own + theirs)
    for row in range(BATCH):
        if shared[row, row] < 1:  # mixed with another clip
            torch.testing.assert_close(
                shared[row, row], expected[row], atol=1e-4, rtol=1e-4
            )
    assert (shared.diagonal() < 1).any()


def test_added_clip_is_the_one_whose_label_is_added(batch):
    wavs, lens, targets = batch
    mixed, new_lens, shared = mix(MixClips(1.0, 12.0), batch)
    for row in range(BATCH):
        if torch.equal(shared[row], targets[row]):  # drawn for itself
            continue
        partner = int((shared[row] - targets[row]).argmax())
        added = mixed[row] - wavs[row]
        cosine = torch.cosine_similarity(added, wavs[partner], dim=0)
        assert cosine > 0.999
        assert new_lens[row] == max(lens[row], lens[partner])


def test_ratio_of_the_two_clips_stays_within_its_bound():
    wavs = torch.randn(300, 20)
    mixed = MixClips(1.0, 6.0)(wavs, torch.ones(300), torch.eye(300)).wavs
    ratio = 10 * (energy(wavs) / energy(mixed - wavs)).log10()
    assert ratio.abs().max() <= 6.01
    assert ratio.min() < -5
    assert ratio.max() > 5


def test_probability_is_the_share_of_mixed_clips():
    wavs, lens = torch.randn(2000, 4), torch.ones(2000)
    mixed = MixClips(0.3)(wavs, lens, torch.ones(2000, 1)).wavs
    share = (mixed != wavs).any(1).float().mean()
    assert 0.26 < share < 0.34


def test_clips_that_are_not_mixed_keep_everything(batch):
    wavs, lens, targets = batch
    mixed, new_lens, shared = mix(MixClips(0.5), batch)
    alone = (mixed == wavs).all(1)
    assert alone.any()
    assert torch.equal(new_lens[alone], lens[alone])
    assert torch.equal(shared[alone], targets[alone])


@pytest.mark.parametrize("level", [0.0, 1e-9, 1e-7])
@pytest.mark.parametrize("probability", [1e-9, 1.0])
def test_silent_and_quiet_clips_keep_their_labels(level, probability):
    wavs = torch.full((4, 10), level)
    clips = (wavs, torch.ones(4), torch.eye(4))
    _, _, shared = mix(MixClips(probability, 0.0), clips)
    assert shared.isfinite().all()
    assert (shared.diagonal() > 0.49).all()
    if probability < 1 or level == 0:
        assert torch.equal(shared, torch.eye(4))


def test_silence_added_to_a_clip_changes_nothing():
    wavs = torch.tensor([[1.0, -1.0], [0.0, 0.0]])
    clips = (wavs, torch.ones(2), torch.eye(2))
    mixed, _, shared = mix(MixClips(1.0), clips)
    assert torch.equal(shared, torch.eye(2))
    assert torch.equal(mixed[1], wavs[1])


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


def find_stripes(masked, axis):
    """Lengths of the runs of zeros along an axis of a `[time, freq]` image."""
    blank = (masked == 0).all(2 - axis).int()
    edges = torch.nn.functional.pad(blank, (1, 1)).diff()
    return ((edges == -1).nonzero() - (edges == 1).nonzero()).flatten()


@pytest.mark.parametrize(("axis", "longest"), [(1, 1), (1, 5), (2, 3)])
def test_stripes_are_whole_and_as_long_as_stated(axis, longest):
    limits = {"max_frames": 0, "max_bins": 0}
    limits["max_frames" if axis == 1 else "max_bins"] = longest
    masked = MaskSpectrogram(1, **limits)(torch.ones(300, 40, 50))
    lengths = torch.cat([find_stripes(image, axis) for image in masked])
    assert len(lengths) == 300
    assert sorted(lengths.unique().tolist()) == list(range(1, longest + 1))
    kept = masked.amax(3 - axis)
    torch.testing.assert_close(  # nothing but whole stripes
        masked, kept.unsqueeze(3 - axis).expand_as(masked)
    )


def test_number_of_stripes_stays_within_its_bound():
    mask = MaskSpectrogram(3, max_frames=2, max_bins=0)
    counts = [
        len(find_stripes(mask(torch.ones(1, 200, 3))[0], 1)) for _ in range(60)
    ]
    assert min(counts) == 1
    assert max(counts) == 3


def test_masking_leaves_its_input_alone():
    log_magnitude = torch.ones(2, 40, 50)
    masked = MaskSpectrogram(2, 10, 10)(log_magnitude)
    assert (masked == 0).any()
    assert (log_magnitude == 1).all()


@pytest.mark.parametrize(
    "mask",
    [
        MaskSpectrogram(0),
        MaskSpectrogram(2, 0, 0),
        MaskSpectrogram(2, 10, 10).eval(),
    ],
)
def test_masking_that_is_off_is_the_identity(mask):
    log_magnitude = torch.rand(2, 40, 50)
    assert torch.equal(mask(log_magnitude), log_magnitude)


def test_partners_are_of_another_class_where_there_is_one():
    targets = torch.eye(3)[[0, 0, 0, 1, 2, 2]]
    wavs = torch.rand(6, 100)
    for _ in range(10):
        mixer = MixClips(1.0, other_class=True).train()
        mixed = mixer(wavs, torch.ones(6), targets)
        assert (mixed.own_targets * mixed.added_targets).sum() == 0
    alike = torch.eye(3)[[1, 1]]
    mixed = MixClips(1.0, other_class=True)(wavs[:2], torch.ones(2), alike)
    assert torch.equal(mixed.added_targets, alike)


def test_halves_never_sound_at_once():
    wavs, lens = torch.rand(50, 400) + 0.1, torch.ones(50)
    mixed = MixClips(1.0, halves=1.0)(wavs, lens, torch.eye(50))
    assert ((mixed.own == 0) | (mixed.added == 0)).all()
    assert ((mixed.own != 0) | (mixed.added != 0)).all()
    share = (mixed.own != 0).float().mean(1)
    assert ((share > 0.2) & (share < 0.8)).all()
    starts = (mixed.own[:, 0] != 0).float().mean()
    assert 0.2 < starts < 0.8  # either may come first
    whole = MixClips(1.0, halves=1e-9)(wavs, lens, torch.eye(50))
    assert torch.equal(whole.own, wavs)


class Maps:
    """A classifier's maps: row `i` of the batch has its peak in frame `i`."""

    def __init__(self):
        self.asked = []

    def __call__(self, rows):
        self.asked += rows.tolist()
        maps = torch.rand(len(rows), 8, 4)
        maps[torch.arange(len(rows)), rows] += 10
        return maps


@pytest.mark.parametrize(("kind", "step"), [("own", 0), ("foreign", 1)])
def test_a_view_is_what_a_map_shows_first(kind, step):
    views = MaskedViews(1.0, [kind], 0.5, 0.9).train()
    maps, clips = Maps(), torch.rand(8, 8, 4)
    found = views(clips, torch.full((8,), 8), maps)
    mask = found.mask
    assert found.masked.all()
    assert not found.cut_out.any()
    assert maps.asked == [(row + step) % 8 for row in range(8)]
    for row in range(8):
        shown = mask[row].any(1)
        assert shown[(row + step) % 8]
        low, high = (0.5, 0.9) if kind == "own" else (0.2, 0.8)
        assert 1 - high - 0.05 <= mask[row].float().mean() <= 1 - low + 0.05


def test_what_is_cut_out_is_what_the_view_would_show():
    clips, frames = torch.rand(8, 8, 4), torch.full((8,), 8)
    maps, found = torch.rand(8, 8, 4), []
    for kind in ("own", "own_cut"):
        torch.manual_seed(5)
        views = MaskedViews(1.0, [kind])
        found.append(views(clips, frames, lambda rows: maps[rows]))
    assert torch.equal(found[0].mask, ~found[1].mask)
    assert found[1].cut_out.all()


def test_what_another_clip_was_heard_in_leaves_a_clip_its_class():
    clips, frames = torch.rand(8, 8, 4), torch.full((8,), 8)
    maps = Maps()
    found = MaskedViews(1.0, ["foreign_cut"], 0.5, 0.9)(clips, frames, maps)
    assert not found.cut_out.any()
    for row in range(8):
        assert not found.mask[row, (row + 1) % 8].any()
        assert 0.45 <= found.mask[row].float().mean() <= 0.95


def test_only_a_clip_that_is_masked_can_be_cut_out():
    clips, frames = torch.rand(200, 8, 4), torch.full((200,), 8)
    views = MaskedViews(0.5, ["own_cut", "loudest"])
    found = views(clips, frames, lambda rows: clips[rows])
    assert not (found.cut_out & ~found.masked).any()
    assert found.cut_out.float().mean() == pytest.approx(0.25, abs=0.1)


def test_the_loudest_cells_are_what_is_visible():
    clips = torch.rand(4, 8, 6)
    mask = MaskedViews(1.0, ["loudest"])(clips, torch.full((4,), 8), None).mask
    for clip, view in zip(clips, mask, strict=True):
        assert clip[view].min() > clip[~view].max()


def test_blobs_know_nothing_of_the_clip():
    frames = torch.full((4,), 40)
    masks = []
    for clips in (torch.rand(4, 40, 30), torch.ones(4, 40, 30)):
        torch.manual_seed(3)
        masks.append(MaskedViews(1.0, ["blobs"])(clips, frames, None).mask)
    assert torch.equal(*masks)
    assert not masks[0].all()


def test_only_so_many_clips_are_masked_and_none_beyond_its_end():
    clips, frames = torch.rand(300, 8, 4), torch.full((300,), 5)
    views = MaskedViews(0.3, ["loudest", "blobs"])
    found = views(clips, frames)
    mask, masked = found.mask, found.masked
    assert masked.float().mean() == pytest.approx(0.3, abs=0.08)
    assert mask[~masked].all()
    assert not mask[masked][:, 5:].any()


def test_a_map_that_points_nowhere_hides_nothing():
    clips, flat = torch.rand(2, 8, 4), torch.ones(2, 8, 4)
    views = MaskedViews(1.0, ["own"])
    assert views(clips, torch.tensor([8, 8]), lambda rows: flat).mask.all()


def test_maps_that_are_needed_have_to_be_given():
    views, clips = MaskedViews(1.0, ["own", "foreign"]), torch.rand(2, 8, 4)
    with pytest.raises(ValueError, match="need the classifier's maps"):
        views(clips, torch.tensor([8, 8]))


def test_views_know_whether_they_are_on():
    assert MaskedViews(0.5).is_active
    assert not MaskedViews(0.5).eval().is_active
    assert not MaskedViews(0.0).is_active
    with pytest.raises(ValueError, match="kinds=.'squares'.* must be of loud"):
        MaskedViews(0.5, ["squares"])


@pytest.mark.parametrize("step", LONGER, ids=names)
def test_steps_that_change_lengths_leave_their_input_alone(step, batch):
    copies = [part.clone() for part in batch]
    wavs, lens = step.train()(*batch[:2])
    assert_equal(batch, copies)
    assert len(wavs) == BATCH
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


def test_a_crop_of_no_length_is_refused():
    with pytest.raises(ValueError, match="seconds=0"):
        RandomCrop(0)
