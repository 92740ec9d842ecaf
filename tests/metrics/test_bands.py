"""Bands that are silenced, against what is computed by hand."""

import math

import pytest
import torch

from focalaudio.metrics.bands import band_edges, remove_bands

EDGES = torch.tensor([0.0, 1000.0, 4000.0])  # of bins at 0, 1, 2, 3, 4 kHz
CLIP = torch.tensor([[[1.0, 2.0, 0.0, 0.0, 1.0]]])


def classify(clips, rows):
    """Two classes: what is at 0 Hz, and half of what is at 1 kHz and above."""
    own = clips[:, 0]
    return torch.stack((own[:, 0], own[:, 1:].sum(1) / 2), 1)


def test_each_band_is_silenced_alone():
    """Logits: whole 1, 1.5; the lower band gone 0, 1.5; the upper 1, 0."""
    found = remove_bands(classify, CLIP, EDGES)
    assert found.class_ids.tolist() == [1]
    shares = [1 / (1 + math.exp(-lead)) for lead in (0.5, 1.5, -1.0)]
    assert found.whole.item() == pytest.approx(shares[0])
    assert found.without[0].tolist() == pytest.approx(shares[1:])
    drops = [shares[0] - shares[1], shares[0] - shares[2]]
    assert found.drop[0].tolist() == pytest.approx(drops)
    assert found.changes.tolist() == [[False, True]]


def test_another_class_may_be_asked_about():
    found = remove_bands(classify, CLIP, EDGES, torch.tensor([0]))
    assert found.whole.item() == pytest.approx(1 / (1 + math.exp(0.5)))
    assert found.changes.tolist() == [[True, False]]


@pytest.mark.parametrize("scale", ["octave", "mel"])
@pytest.mark.parametrize("n_bands", [1, 2, 8])
def test_bands_take_each_bin_once(scale, n_bands):
    clips, seen = torch.rand(2, 3, 513) + 0.1, []

    def watch(clips, rows):
        seen.append(clips)
        return clips[:, 0, :2]

    edges = band_edges(16000, n_bands, scale)
    remove_bands(watch, clips, edges)
    whole, *left = seen
    assert torch.equal(whole, clips)
    assert len(left) == n_bands
    silenced = torch.stack([each == 0 for each in left]).sum(0)
    assert (silenced == 1).all()


def test_a_tone_is_heard_in_its_own_octave(classifier, spectrogram, tone):
    """1 kHz lies in the band from 1 to 2 kHz: bins 64 to 127 of 513."""
    spectrum, seen = spectrogram(tone), []

    def watch(clips, rows):
        seen.append(clips[0])
        return classifier(clips, spectrum.n_frames[rows]).logits

    edges = band_edges(16000, 5)
    remove_bands(watch, spectrum.log_magnitude, edges)
    assert edges.tolist() == [0, 500, 1000, 2000, 4000, 8000]
    assert not seen[3][:, 64:128].any()
    assert seen[3][:, :64].any()
    assert seen[3][:, 128:].any()


def test_mel_bands_are_equally_wide_in_mel():
    mel = 1127 * torch.log1p(band_edges(44100, 7, "mel") / 700)
    widths = mel.diff()
    torch.testing.assert_close(widths, widths.mean().expand(7))
    assert band_edges(44100, 7, "mel")[-1] == 22050


def test_bands_that_do_not_exist_are_an_error():
    with pytest.raises(ValueError, match="scale='bark' must be one of octave"):
        band_edges(16000, 4, "bark")
    with pytest.raises(ValueError, match="n_bands=0 must be at least 1"):
        band_edges(16000, 0)


def test_the_band_that_costs_most_and_what_bands_hold():
    found = remove_bands(classify, CLIP, EDGES)
    most = found.most_needed()  # 1 kHz is the upper band's
    assert most["band_drop"].item() == found.drop[0, 1].item() > 0
    assert (most["band_low"].item(), most["band_high"].item()) == (1000, 4000)
    assert found.sum_bands(CLIP).tolist() == [[1, 3]]


def test_what_is_known_of_whole_clips_is_not_asked_again():
    asked = []

    def count(clips, rows):
        asked.append(len(clips))
        return classify(clips, rows)

    logits = classify(CLIP, [0])
    found = remove_bands(count, CLIP, EDGES, logits=logits)
    whole = remove_bands(classify, CLIP, EDGES)
    assert asked == [1, 1]
    assert torch.equal(found.drop, whole.drop)
