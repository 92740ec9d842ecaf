"""Laws of activation map thresholding."""

import pytest
import torch
from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import EncoderOutput, build_encoder
from focalaudio.interpreters import ByDesignInterpreter
from focalaudio.interpreters.by_design import select_names


class Listener(nn.Module):
    """An encoder whose only map is the energy of its image."""

    n_features, in_channels, image_size = 4, 1, (64, 48)
    map_names = ("energy",)

    def forward(self, image):
        features = image.expand(-1, 4, -1, -1)
        return EncoderOutput(features, features.mean((2, 3)), (image[:, 0],))


@pytest.fixture
def interpreter(classifier, spectrogram):
    return ByDesignInterpreter(classifier, spectrogram, quantile=0.8)


@pytest.fixture
def listener(spectrogram, device):
    classifier = SoundClassifier(Listener(), 3, "linear").to(device)
    return ByDesignInterpreter(classifier, spectrogram, quantile=0.99)


def test_what_the_encoder_hears_is_what_is_kept(listener, two_tones):
    burst = two_tones.clone()
    burst[:, :10000] = 0  # 4 kHz from 0.625 s on
    mask = listener(burst).mask[0]
    times, bins = mask.nonzero().T
    assert times.min() >= 10000 / 186 - 3
    assert (bins - 256).abs().max() <= 14  # one pixel of the image is 11 bins


def test_kept_sound_is_the_louder_of_two_tones(listener, two_tones):
    quiet_first = two_tones.clone()
    quiet_first[:, :8000] *= 0.01
    kept = listener(quiet_first).wavs
    assert kept[:, :7000].abs().max() < 1e-3
    assert kept[:, 9000:].abs().max() > 0.3


def test_a_clip_is_interpreted_alike_in_any_batch(interpreter, uneven):
    wavs, lens, n_samples = uneven
    batch = interpreter(wavs, lens)
    for row, length in enumerate(n_samples.tolist()):
        alone = interpreter(wavs[row : row + 1, :length])
        frames = int(alone.spectrum.n_frames)
        for name in ("logits", "probs"):
            torch.testing.assert_close(
                getattr(batch, name)[row],
                getattr(alone, name)[0],
                atol=1e-5,
                rtol=1e-5,
            )
        torch.testing.assert_close(
            batch.saliency[row, :frames],
            alone.saliency[0],
            atol=1e-5,
            rtol=1e-5,
        )
        moved = (batch.mask[row, :frames] != alone.mask[0]).float().mean()
        assert moved < 1e-3  # rounding at the threshold
        torch.testing.assert_close(
            batch.wavs[row, :length], alone.wavs[0], atol=1e-2, rtol=0
        )
        assert not batch.mask[row, frames:].any()
        assert (batch.saliency[row, frames:] == 0).all()


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.9])
def test_kept_fraction_is_what_the_quantile_leaves(
    classifier, spectrogram, uneven, quantile
):
    interpreter = ByDesignInterpreter(classifier, spectrogram, quantile)
    fraction = interpreter(*uneven[:2]).kept_fraction
    assert (fraction >= 1 - quantile - 1e-3).all()
    # the edges of a map are flat: in three frames, many cells tie
    assert (fraction <= 1 - quantile + 0.05).all()
    assert fraction[0] <= 1 - quantile + 5e-3


def test_saliency_is_the_last_map_stretched_over_the_clip(interpreter, tone):
    interpretation = interpreter(tone)
    spectrum = interpretation.spectrum
    maps = interpreter.classifier(spectrum.log_magnitude).maps
    expected = nn.functional.interpolate(
        maps[-1][:, None], interpretation.saliency.shape[1:], mode="bilinear"
    )
    torch.testing.assert_close(interpretation.saliency, expected[:, 0])


@pytest.mark.parametrize("stages", [(0,), (0, 1), ["stage_1", "stage_2"]])
def test_other_stages_give_other_masks(classifier, spectrogram, tone, stages):
    last = ByDesignInterpreter(classifier, spectrogram)(tone)
    other = ByDesignInterpreter(classifier, spectrogram, stages=stages)(tone)
    assert other.mask.shape == last.mask.shape
    assert not torch.equal(other.mask, last.mask)
    assert (other.saliency >= 0).all()


def test_a_stage_is_a_name_or_a_position(classifier, spectrogram, tone):
    masks = []
    for stages in (("stage_1",), (0,), (-2,)):
        interpreter = ByDesignInterpreter(
            classifier, spectrogram, stages=stages
        )
        assert interpreter.settings["maps"] == ["stage_1"]
        masks.append(interpreter(tone).mask)
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[0], masks[2])


def test_chosen_names_come_in_the_order_of_the_choice():
    assert select_names(("a", "b", "c"), (-1, "a", 1)) == ("c", "a", "b")


@pytest.mark.parametrize("stages", [(), (2,), (0, -3), ["stage_9"]])
def test_stages_that_do_not_exist_are_refused_at_the_door(
    classifier, spectrogram, stages
):
    with pytest.raises(ValueError, match=r"stages=\[.*stage_1, stage_2"):
        ByDesignInterpreter(classifier, spectrogram, stages=stages)


def test_attention_explains_a_vit_the_same_way(spectrogram, device, tone):
    classifier = SoundClassifier(build_encoder("vit_test"), 3).to(device)
    interpretation = ByDesignInterpreter(classifier, spectrogram)(tone)
    assert (interpretation.saliency >= 0).all()
    assert abs(interpretation.kept_fraction.item() - 0.1) < 0.01


def test_class_makes_no_difference(interpreter, tone):
    masks = [
        interpreter(tone, class_ids=torch.tensor([c], device=tone.device)).mask
        for c in (0, 1)
    ]
    assert torch.equal(*masks)


@pytest.mark.parametrize("samples", [1, 100, 4000])
def test_a_map_that_points_nowhere_keeps_nothing(listener, samples, device):
    interpretation = listener(torch.zeros(1, samples, device=device))
    assert interpretation.kept_fraction.item() == 0
    assert interpretation.logits.isfinite().all()
    assert (interpretation.wavs == 0).all()


def test_silence_is_finite(interpreter, device):
    interpretation = interpreter(torch.zeros(2, 4000, device=device))
    kept, removed = interpreter.judge(interpretation)
    for part in (interpretation.saliency, kept, removed):
        assert part.isfinite().all()
    assert (interpretation.wavs == 0).all()


def test_interpretation_takes_no_gradient(interpreter, uneven):
    interpretation = interpreter.train()(*uneven[:2])
    assert not interpretation.saliency.requires_grad
    assert not interpretation.wavs.requires_grad


@pytest.mark.parametrize("stages", [(-1,), (0, 1)])
def test_low_precision_keeps_the_pipeline_in_single_precision(
    classifier, spectrogram, tone, stages
):
    interpreter = ByDesignInterpreter(
        classifier, spectrogram, 0.8, stages=stages
    )
    with torch.autocast(tone.device.type, dtype=torch.bfloat16):
        interpretation = interpreter(tone)
    assert interpretation.saliency.dtype == torch.float
    torch.testing.assert_close(
        interpretation.wavs + interpretation.removed_wavs,
        tone,
        atol=1e-6,
        rtol=0,
    )
    same = interpretation.mask == interpreter(tone).mask
    assert same.float().mean() > 0.95


@pytest.mark.parametrize("quantile", [-0.1, 1.1])
def test_quantile_is_checked_at_the_door(classifier, spectrogram, quantile):
    with pytest.raises(ValueError, match=f"quantile={quantile} must"):
        ByDesignInterpreter(classifier, spectrogram, quantile)


@pytest.mark.parametrize("name", ["class_evidence", "class_probability"])
def test_maps_of_a_class_belong_to_that_class(
    classifier, spectrogram, two_tones, name
):
    interpreter = ByDesignInterpreter(classifier, spectrogram, 0.8, [name])
    masks = [
        interpreter(two_tones, class_ids=torch.tensor([i])).mask
        for i in range(5)
    ]
    assert any(not torch.equal(masks[0], mask) for mask in masks[1:])
    for mask in masks:
        assert mask.float().mean() == pytest.approx(0.2, abs=5e-3)


def test_cells_that_speak_for_a_class_are_kept_first(
    classifier, spectrogram, two_tones
):
    interpreter = ByDesignInterpreter(
        classifier, spectrogram, 0.5, ["class_evidence"]
    )
    spectrum, output = interpreter.look(two_tones)
    ids = torch.tensor([3])
    saliency = interpreter.interpret(spectrum, output, ids).saliency
    rows, cols = output.features.shape[2:]
    evidence = classifier.class_evidence(output, ids)[0].flatten()
    coarse = torch.nn.functional.adaptive_avg_pool2d(
        saliency[None], (rows, cols)
    )[0, 0].flatten()
    assert torch.equal(evidence.argmax(), coarse.argmax())
    assert (saliency >= 0).all()


def test_a_soft_mask_keeps_at_least_the_binary_one(
    classifier, spectrogram, two_tones
):
    hard, soft = (
        ByDesignInterpreter(classifier, spectrogram, 0.8, mask=mask)(two_tones)
        for mask in ("binary", "soft")
    )
    assert torch.equal(hard.saliency, soft.saliency)
    assert (soft.mask >= hard.mask.float()).all()
    assert ((soft.mask > 0) & (soft.mask < 1)).any()


def test_an_unknown_mask_is_an_error(classifier, spectrogram):
    with pytest.raises(ValueError, match="mask='fuzzy'"):
        ByDesignInterpreter(classifier, spectrogram, mask="fuzzy")
