import torch

from focalaudio.report.profiles import (
    BANDS,
    MOMENTS,
    average_profiles,
    find_bands,
    profile_clip,
)
from focalaudio.spectrogram import Spectrogram


def test_even_evidence_is_one_everywhere():
    cells = torch.ones(120, 513)
    profile = profile_clip("dog", cells, 2 * cells, Spectrogram())
    for key, size in (("bands", BANDS), ("moments", MOMENTS)):
        assert profile[key] == profile[f"loud_{key}"] == [1.0] * size


def test_scale_and_silence_change_nothing_that_is_finite():
    cells, silence = torch.rand(90, 513), torch.zeros(90, 513)
    one, other = (
        profile_clip("dog", scale * cells, silence, Spectrogram())
        for scale in (1, 100)
    )
    assert one == other
    assert one["loud_bands"] == [0.0] * BANDS


def test_a_hum_is_seen_in_its_band_alone():
    spectrogram = Spectrogram()
    cells = torch.zeros(80, 513)
    cells[:, 32] = 1  # 500 Hz
    profile = profile_clip("dog", cells, cells, spectrogram)
    edges = find_bands(spectrogram)
    (place,) = [i for i, each in enumerate(profile["bands"]) if each]
    assert edges[place] <= 500 <= edges[place + 1]


def test_a_short_clip_has_no_gaps_between_its_frames():
    one, many = (
        profile_clip("a", *torch.ones(2, n, 513), Spectrogram())
        for n in (20, 431)
    )
    assert one["moments"] == many["moments"] == [1.0] * MOMENTS
    halves = torch.ones(20, 513)
    halves[10:] = 3
    early, late = torch.tensor(
        profile_clip("a", halves, halves, Spectrogram())["moments"]
    ).split(MOMENTS // 2)
    assert (early == 0.5).all()
    assert (late == 1.5).all()


def test_a_cut_is_seen_at_its_time_even_in_a_short_clip():
    for frames in (3, 80, 1000):
        cells = torch.zeros(frames, 513)
        cells[0] = 1
        moments = profile_clip("a", cells, cells, Spectrogram())["moments"]
        assert max(moments) == moments[0] > 0


def test_averages_do_not_depend_on_the_order():
    profiles = [
        profile_clip(
            label, torch.rand(50, 513), torch.rand(50, 513), Spectrogram()
        )
        for label in ("dog", "cat", "dog")
    ]
    found = average_profiles(profiles)
    assert found == average_profiles(profiles[::-1])
    assert [(each["label"], each["n_clips"]) for each in found] == [
        ("cat", 1),
        ("dog", 2),
    ]
