"""Laws of frames: when a source sounds, and what a map says of it."""

import pytest
import torch

from focalaudio.metrics.timing import (
    find_marked,
    find_sounding,
    frame_f1,
    time_chance,
    time_iou,
    time_pointing,
)

ALL = torch.ones(1, 6).bool()


def frames(*values):
    """One clip of two equal frequencies whose frames sum up to these."""
    return torch.tensor(values).view(1, -1, 1).expand(-1, -1, 2) / 2


def flags(text):
    return torch.tensor([[sign == "x" for sign in text]])


def test_a_source_sounds_down_to_forty_decibels():
    energy = frames(0.0, 1.0, 0.01, 1.01e-4, 0.99e-4, 0.0)
    for gain in (1e-6, 1.0, 1e6):
        sounding = find_sounding(gain * energy, ALL)
        assert torch.equal(sounding, flags(".xxx.."))


def test_silence_sounds_nowhere_and_is_not_scored():
    sounding = find_sounding(0 * frames(*range(6)), ALL)
    assert not sounding.any()
    assert time_chance(sounding, ALL).tolist() == [0]
    saliency = frames(5.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    marked = find_marked(saliency, ALL)
    assert time_pointing(saliency, sounding, ALL).isnan().all()
    assert time_iou(marked, sounding).isnan().all()
    assert frame_f1(marked, sounding).isnan().all()


def test_frames_above_the_mean_are_marked():
    """Of 12 over six frames the mean is 2: what only reaches it is not."""
    saliency = frames(5.0, 3.0, 2.0, 2.0, 0.0, 0.0)
    assert torch.equal(find_marked(saliency, ALL), flags("xx...."))
    assert torch.equal(find_marked(1e-9 * saliency, ALL), flags("xx...."))


@pytest.mark.parametrize("level", [0.0, 0.1, 1 / 3, 7.0])
def test_a_flat_map_marks_nothing_and_points_by_chance(level):
    flat, sounding = torch.full((1, 6, 513), level), flags("xx....")
    assert not find_marked(flat, ALL).any()
    chance = time_chance(sounding, ALL)
    assert chance.item() == pytest.approx(2 / 6)
    assert torch.equal(time_pointing(flat, sounding, ALL), chance)


def test_scores_by_hand():
    """Marked 0, 1, 2; true 1, 2, 3, 4: two in common, five in all."""
    marked, sounding = flags("xxx..."), flags(".xxxx.")
    assert time_iou(marked, sounding).item() == pytest.approx(2 / 5)
    assert frame_f1(marked, sounding).item() == pytest.approx(4 / 7)
    peak = frames(0.0, 0.0, 9.0, 1.0, 0.0, 8.0)
    assert time_pointing(peak, sounding, ALL).item() == 1
    assert time_pointing(peak, flags("xx.xxx"), ALL).item() == 0
    tie = frames(9.0, 0.0, 9.0, 1.0, 9.0, 8.0)
    share = time_pointing(tie, sounding, ALL)
    assert share.item() == pytest.approx(2 / 3)


def test_the_truth_scores_one_and_its_complement_zero():
    truth = flags("..xx..")
    for scores in (time_iou, frame_f1):
        assert scores(truth, truth).item() == 1
        assert scores(~truth, truth).item() == 0


def test_where_the_source_sounds_throughout_any_pointing_is_right():
    saliency = torch.rand(1, 6, 4)
    assert time_chance(ALL, ALL).item() == 1
    assert time_pointing(saliency, ALL, ALL).item() == 1


def test_f1_follows_from_iou():
    """F1 = 2 IoU / (1 + IoU), whatever the frames."""
    marked, sounding = torch.rand(2, 50, 9) > 0.5
    sounding[:, 0] = True
    iou = time_iou(marked, sounding)
    torch.testing.assert_close(frame_f1(marked, sounding), 2 * iou / (1 + iou))


def test_padding_changes_nothing():
    energy, saliency = torch.rand(2, 2, 6, 4)
    energy[:, :3] *= 1e-6
    own = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    energy[0, 4:] = 1e9
    saliency[0, 4:] = 1e9
    padded = find_sounding(energy, own), find_marked(saliency, own)
    alone = (
        find_sounding(energy[:1, :4], own[:1, :4]),
        find_marked(saliency[:1, :4], own[:1, :4]),
    )
    for one, other in zip(padded, alone, strict=True):
        assert torch.equal(one[:1, :4], other)
        assert not one[0, 4:].any()
    torch.testing.assert_close(
        time_pointing(saliency, padded[0], own)[:1],
        time_pointing(saliency[:1, :4], alone[0], own[:1, :4]),
    )
    torch.testing.assert_close(
        time_chance(padded[0], own)[:1], time_chance(alone[0], own[:1, :4])
    )
