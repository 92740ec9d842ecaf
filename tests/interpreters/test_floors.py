"""Laws of the floors: they know nothing, and keep as much as they should."""

import pytest
import torch

from focalaudio.interpreters.floors import ReferenceInterpreter


@pytest.mark.parametrize("method", ["random", "loudest"])
@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_the_stated_share_is_kept(
    classifier, spectrogram, uneven, method, quantile
):
    interpreter = ReferenceInterpreter(
        classifier, spectrogram, method, quantile
    )
    wavs, lens, _ = uneven
    interpretation = interpreter(wavs, lens)
    off = interpretation.kept_fraction - (1 - quantile)
    telling = [0, 2, 3]  # one sample is equally loud at all frequencies
    assert off[telling].abs().max() < 1e-3
    for row, frames in enumerate(interpretation.spectrum.n_frames.tolist()):
        assert not interpretation.mask[row, frames:].any()
        assert (interpretation.saliency[row, frames:] == 0).all()


@pytest.mark.parametrize("method", ["random", "loudest"])
def test_no_class_changes_them(classifier, spectrogram, tone, method):
    interpreter = ReferenceInterpreter(classifier, spectrogram, method)
    one, two = (interpreter(tone, class_ids=torch.tensor([i])) for i in (0, 1))
    assert torch.equal(one.mask, two.mask)


def test_the_loudest_cells_are_those_of_the_tone(classifier, spectrogram, tone):
    interpreter = ReferenceInterpreter(classifier, spectrogram, "loudest", 0.99)
    bins = interpreter(tone).mask[0, 10:70].nonzero()[:, 1]
    assert (bins - 64).abs().max() <= 6  # 1 kHz


def test_random_cells_have_no_place(classifier, spectrogram, tone):
    mask = ReferenceInterpreter(classifier, spectrogram, "random")(tone).mask
    quarters = mask[0, :84, :512].float().reshape(2, 42, 2, 256).mean((1, 3))
    assert (quarters - 0.1).abs().max() < 0.02


def test_bad_settings_are_errors(classifier, spectrogram):
    with pytest.raises(ValueError, match="method='quiet'"):
        ReferenceInterpreter(classifier, spectrogram, "quiet")
    with pytest.raises(ValueError, match="quantile=2"):
        ReferenceInterpreter(classifier, spectrogram, "random", 2)
