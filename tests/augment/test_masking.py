"""Laws of masked spectrograms: which part of a clip is shown."""

import pytest
import torch

from focalaudio.augment import MaskedViews, MaskSpectrogram


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


@pytest.mark.parametrize("axis", [1, 2])
def test_half_of_what_is_short_stays(axis):
    mask, image = MaskSpectrogram(2, 30, 60), torch.ones(400, 11, 13)
    masked = mask(image)
    blank = (masked == 0).all(3 - axis).sum(1)
    assert 0 < blank.max() <= image.shape[axis] // 2
    assert torch.equal(mask(image[:, :1, :1]), image[:, :1, :1])


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


def test_what_hides_nothing_cuts_nothing_out():
    clips, maps = torch.rand(3, 8, 4), torch.rand(3, 8, 4)
    maps[1] = 1.0
    views = MaskedViews(1.0, ["own_cut"])
    found = views(clips, torch.full((3,), 8), lambda rows: maps[rows])
    assert found.cut_out.tolist() == [True, False, True]
    assert found.mask[1].all()
    assert found.masked.all()


def test_one_kind_is_a_list_of_one():
    assert MaskedViews(kinds="own_cut").kinds == ["own_cut"]
    with pytest.raises(ValueError, match="kinds=.'squares'.* must be of loud"):
        MaskedViews(kinds="squares")


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
