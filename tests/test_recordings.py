"""Laws of focalaudio.recordings."""

import pytest
import torch

from focalaudio import recordings
from focalaudio.audio import load_wav, write_wav
from focalaudio.errors import AudioError
from focalaudio.recordings import count_samples, iter_windows

RATES = [
    (44100, 16000), (16000, 44100), (48000, 16000), (8000, 16000),
    (16000, 16000), (22050, 16000), (11025, 48000), (44101, 16000),
    (16000, 44101),
]  # fmt: skip


def noise(*shape):
    return torch.rand(*shape) - 0.5


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@pytest.mark.parametrize("block", [1000, 50_000, 10**6])
@pytest.mark.parametrize("first", [0, 1, 7])
def test_blocks_are_resampled_as_the_whole(
    tmp_path, monkeypatch, from_rate, to_rate, block, first
):
    monkeypatch.setattr(recordings, "BLOCK_FRAMES", block)
    path = write_wav(tmp_path / "a.wav", noise(100_001), from_rate)
    whole = load_wav(path, to_rate)
    assert len(whole) == count_samples(100_001, from_rate, to_rate)
    windows = iter_windows(path, to_rate, 3000, 3000, first=first)
    joined = torch.cat([*windows])
    assert joined.shape == whole[first * 3000 :].shape
    assert (joined - whole[first * 3000 :]).abs().max() < 1e-5


@pytest.mark.parametrize("n", [1, 2, 3, 17, 100, 999, 3000])
@pytest.mark.parametrize("block", [1, 7, 100])
@pytest.mark.parametrize("rates", RATES[:6])
def test_blocks_and_recordings_may_be_short(
    tmp_path, monkeypatch, n, block, rates
):
    from_rate, to_rate = rates
    monkeypatch.setattr(recordings, "BLOCK_FRAMES", block)
    path = write_wav(tmp_path / "a.wav", noise(n), from_rate)
    joined = torch.cat([*iter_windows(path, to_rate, 50, 50)])
    whole = load_wav(path, to_rate)
    assert joined.shape == whole.shape
    assert torch.allclose(joined, whole, atol=1e-5)


@pytest.fixture(params=[(1, 16000), (2, 44100), (3, 8000)])
def recording(request, tmp_path, monkeypatch):
    """A file of several blocks."""
    monkeypatch.setattr(recordings, "BLOCK_FRAMES", 10_000)
    n_channels, rate = request.param
    wav = noise(n_channels, 33_333)
    return write_wav(tmp_path / "a.wav", wav, rate)


@pytest.mark.parametrize("hop", [1000, 700, 500])
def test_windows_are_slices_that_cover_the_recording(recording, hop):
    whole = load_wav(recording, 16000)
    windows = [*iter_windows(recording, 16000, 1000, hop)]
    for index, window in enumerate(windows):
        part = whole[index * hop :][:1000]
        assert window.shape == part.shape
        assert (window - part).abs().max() < 1e-5
    end = (len(windows) - 1) * hop + len(windows[-1])
    assert end == len(whole)
    assert len(windows[-1]) > 1000 - hop  # something that no other has
    assert {len(window) for window in windows[:-1]} == {1000}


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 1500, 1501, 2000])
def test_a_window_more_comes_only_for_samples_that_no_window_has(tmp_path, n):
    path = write_wav(tmp_path / "a.wav", noise(n), 16000)
    n_windows = len([*iter_windows(path, 16000, 1000, 500)])
    assert n_windows == max(0, -(-(n - 1000) // 500)) + 1


@pytest.mark.parametrize("first", [1, 7, 20])
def test_windows_left_out_do_not_change_the_others_by_a_bit(recording, first):
    windows = [*iter_windows(recording, 16000, 1000, 500)]
    rest = [*iter_windows(recording, 16000, 1000, 500, first=first)]
    assert len(rest) == len(windows) - first
    assert all(map(torch.equal, rest, windows[first:]))


def test_after_the_last_window_there_is_none(recording):
    n_windows = len([*iter_windows(recording, 16000, 1000, 500)])
    assert [*iter_windows(recording, 16000, 1000, 500, first=n_windows)] == []


@pytest.mark.parametrize(("window", "hop"), [(0, 1), (10, 0), (10, 11)])
def test_lengths_out_of_range_are_refused(recording, window, hop):
    with pytest.raises(ValueError, match="n_"):
        next(iter_windows(recording, 16000, window, hop))


def test_an_empty_file_and_none_are_errors(tmp_path):
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError):
        next(iter_windows(tmp_path / "empty.wav", 16000, 10, 10))
    with pytest.raises(FileNotFoundError):
        next(iter_windows(tmp_path / "none.wav", 16000, 10, 10))
