"""Laws of thresholding: of the maps by design, of the floors, of arguments."""

import math

import pytest
import torch
from torch import nn

from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import EncoderOutput, build_encoder
from focalaudio.interpreters import ThresholdInterpreter
from focalaudio.interpreters.maps import LOUDNESS_POWER
from focalaudio.shares import build_share_decoder


class Listener(nn.Module):
    """An encoder whose only map is the energy of its image."""

    n_features, in_channels, image_size = 4, 1, (64, 48)
    map_names = ("energy",)

    def forward(self, image):
        features = image.expand(-1, 4, -1, -1)
        return EncoderOutput(features, features.mean((2, 3)), (image[:, 0],))


@pytest.fixture
def interpreter(classifier, spectrogram):
    return ThresholdInterpreter(classifier, spectrogram, quantile=0.8)


@pytest.fixture
def listener(spectrogram, device):
    classifier = SoundClassifier(Listener(), 3, "linear").to(device)
    return ThresholdInterpreter(classifier, spectrogram, quantile=0.99)


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
    interpreter = ThresholdInterpreter(
        classifier, spectrogram, quantile=quantile
    )
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


@pytest.mark.parametrize("maps", ["stage_1", ["stage_1", "stage_2"]])
def test_other_maps_give_other_masks(classifier, spectrogram, tone, maps):
    last = ThresholdInterpreter(classifier, spectrogram)(tone)
    other = ThresholdInterpreter(classifier, spectrogram, maps=maps)(tone)
    assert other.mask.shape == last.mask.shape
    assert not torch.equal(other.mask, last.mask)
    assert (other.saliency >= 0).all()


def test_one_map_is_a_list_of_one(classifier, spectrogram):
    for maps in ("stage_1", ["stage_1"]):
        interpreter = ThresholdInterpreter(classifier, spectrogram, maps=maps)
        assert interpreter.settings["maps"] == ["stage_1"]


@pytest.mark.parametrize(
    "maps", [(), (0,), [-1], ["stage_9"], ["a", "stage_1"]]
)
def test_maps_that_do_not_exist_are_refused_at_the_door(
    classifier, spectrogram, maps
):
    with pytest.raises(ValueError, match=r"maps=\[.*stage_1, stage_2, cl"):
        ThresholdInterpreter(classifier, spectrogram, maps=maps)


def test_attention_explains_a_vit_the_same_way(spectrogram, device, tone):
    classifier = SoundClassifier(build_encoder("vit_test"), 3).to(device)
    interpretation = ThresholdInterpreter(classifier, spectrogram)(tone)
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
    kept, removed = interpreter.classify_parts(interpretation)
    for part in (interpretation.saliency, kept, removed):
        assert part.isfinite().all()
    assert (interpretation.wavs == 0).all()


def test_interpretation_takes_no_gradient(interpreter, uneven):
    interpretation = interpreter.train()(*uneven[:2])
    assert not interpretation.saliency.requires_grad
    assert not interpretation.wavs.requires_grad


@pytest.mark.parametrize("maps", [None, ["stage_1", "class_evidence"]])
def test_low_precision_keeps_the_pipeline_in_single_precision(
    classifier, spectrogram, tone, maps
):
    interpreter = ThresholdInterpreter(
        classifier, spectrogram, maps=maps, quantile=0.8
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
        ThresholdInterpreter(classifier, spectrogram, quantile=quantile)


@pytest.mark.parametrize("name", ["class_evidence", "class_probability"])
def test_maps_of_a_class_belong_to_that_class(
    classifier, spectrogram, two_tones, name
):
    interpreter = ThresholdInterpreter(
        classifier, spectrogram, maps=[name], quantile=0.8
    )
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
    interpreter = ThresholdInterpreter(
        classifier, spectrogram, maps="class_evidence", quantile=0.5
    )
    spectrum, output = interpreter.look(two_tones)
    ids = torch.tensor([3])
    saliency = interpreter.interpret(spectrum, output, ids).saliency
    rows, cols = output.features.shape[2:]
    evidence = classifier.cell_logits(output)[0]
    evidence = (evidence[3] - evidence.mean(0)).flatten()
    coarse = torch.nn.functional.adaptive_avg_pool2d(
        saliency[None], (rows, cols)
    )[0, 0].flatten()
    assert torch.equal(evidence.argmax(), coarse.argmax())
    assert (saliency >= 0).all()


def test_a_soft_mask_keeps_at_least_the_binary_one(
    classifier, spectrogram, two_tones
):
    hard, soft = (
        ThresholdInterpreter(classifier, spectrogram, mask=mask, quantile=0.8)(
            two_tones
        )
        for mask in ("binary", "soft")
    )
    assert torch.equal(hard.saliency, soft.saliency)
    assert (soft.mask >= hard.mask.float()).all()
    assert ((soft.mask > 0) & (soft.mask < 1)).any()


def test_an_unknown_mask_is_an_error(classifier, spectrogram):
    with pytest.raises(ValueError, match="mask='fuzzy'"):
        ThresholdInterpreter(classifier, spectrogram, mask="fuzzy")


@pytest.mark.parametrize("method", ["random", "loudest"])
@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_the_stated_share_is_kept(
    classifier, spectrogram, uneven, method, quantile
):
    interpreter = ThresholdInterpreter(
        classifier, spectrogram, method, quantile=quantile
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
    interpreter = ThresholdInterpreter(classifier, spectrogram, method)
    one, two = (interpreter(tone, class_ids=torch.tensor([i])) for i in (0, 1))
    assert torch.equal(one.mask, two.mask)


def test_the_loudest_cells_are_those_of_the_tone(classifier, spectrogram, tone):
    interpreter = ThresholdInterpreter(
        classifier, spectrogram, "loudest", quantile=0.99
    )
    bins = interpreter(tone).mask[0, 10:70].nonzero()[:, 1]
    assert (bins - 64).abs().max() <= 6  # 1 kHz


@pytest.mark.parametrize(
    "choice",
    [{"method": "loudest"}, {"maps": ["class_share", "loudness"]}],
    ids=["loudest", "default"],
)
def test_digital_silence_is_never_what_was_heard(fine, two_tones, choice):
    parts = (fine.classifier, fine.spectrogram)
    wavs = torch.cat((two_tones, torch.zeros(1, 9 * two_tones.shape[1])), 1)
    found = ThresholdInterpreter(*parts, **choice, quantile=0.5)(wavs)
    silent = found.log_magnitude < 1e-6
    assert silent.float().mean() > 0.5  # and would be kept, being alike
    assert not (found.mask & silent).any()
    assert found.mask.any()


def test_random_cells_have_no_place(classifier, spectrogram, tone):
    mask = ThresholdInterpreter(classifier, spectrogram, "random")(tone).mask
    quarters = mask[0, :84, :512].float().reshape(2, 42, 2, 256).mean((1, 3))
    assert (quarters - 0.1).abs().max() < 0.02


def test_settings_name_everything_that_matters(classifier, spectrogram):
    pytest.importorskip("captum")
    interpreter = ThresholdInterpreter(
        classifier,
        spectrogram,
        "smoothgrad",
        quantile=0.7,
        options={"seed": 9},
    )
    assert interpreter.settings == {
        "method": "smoothgrad",
        "quantile": 0.7,
        "mask": "binary",
        "n_samples": 32,
        "noise_level": 0.1,
        "seed": 9,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"method": "lime"},
            "method='lime' must be one of by_design, ",
        ),
        ({"quantile": 1.5}, "quantile=1.5 must"),
        ({"method": ""}, "method='' must be one of"),
        (
            {"options": {"n_steps": 3}},
            "n_steps=3 means nothing to method='by_design', which takes maps",
        ),
        (
            {"method": "random", "maps": ["stage_1"]},
            r"maps=\['stage_1'\] means nothing to method='random'",
        ),
        (
            {"method": "loudest", "options": {"seed": 1}},
            "seed=1 means nothing to method='loudest'",
        ),
        (
            {"method": "gradcam", "maps": "stage_1"},
            "maps='stage_1' means nothing to method='gradcam'",
        ),
        (
            {"method": "smoothgrad", "options": {"n_samples": 0}},
            "n_samples=0 must be at least 1",
        ),
        (
            {"method": "gradient_shap", "options": {"noise_level": -0.1}},
            "noise_level=-0.1 must be at least 0",
        ),
        (
            {"options": {"maps": ["stage_1"]}},
            r"options=.* must not have maps; give maps",
        ),
        (
            {"method": "rise", "options": {"n_masks": 2.5}},
            "n_masks=2.5 must be a whole number, such as n_masks=256",
        ),
        (
            {"method": "rise", "options": {"seed": True}},
            "seed=True must be a whole number",
        ),
        (
            {"method": "rise", "options": {"probability": "half"}},
            "probability='half' must be a number, such as probability=0.5",
        ),
        (
            {"method": "rise", "options": {"probability": math.nan}},
            "probability=nan must be a number",
        ),
        (
            {"method": "rise", "options": {"probability": 1}},
            "probability=1 must be above 0 and below 1",
        ),
    ],
)
def test_bad_arguments_are_refused_at_the_door(
    classifier, spectrogram, arguments, message
):
    with pytest.raises(ValueError, match=message):
        ThresholdInterpreter(classifier, spectrogram, **arguments)


@pytest.fixture
def fine(spectrogram, device):
    """A classifier with a share decoder, and its ratio masks."""
    encoder = build_encoder("focalnet_test_pyramid", in_channels=1)
    decoder = build_share_decoder(encoder, 4, narrow=4, width=6)
    nn.init.normal_(decoder.to_classes.weight)
    classifier = SoundClassifier(
        encoder, 4, "linear", pooling="loudness", share_decoder=decoder
    ).to(device)
    return ThresholdInterpreter(
        classifier, spectrogram, maps="class_share", mask="ratio"
    )


def test_ratio_masks_of_all_classes_add_up_to_the_sound(fine, two_tones):
    ids = [torch.tensor([i], device=two_tones.device) for i in range(4)]
    parts = [fine(two_tones, class_ids=each) for each in ids]
    for each in parts:
        assert torch.equal(each.mask, each.saliency)
        assert each.mask.min() >= 0
    torch.testing.assert_close(
        sum(each.wavs for each in parts), two_tones, atol=1e-5, rtol=0
    )


def test_a_ratio_mask_has_no_quantile(fine):
    assert fine.settings == {
        "method": "by_design",
        "mask": "ratio",
        "maps": ["class_share"],
    }
    assert fine.name == "class_share, mask ratio"
    with pytest.raises(ValueError, match="quantile=0.5 means nothing"):
        fine.at_quantile(0.5)
    with pytest.raises(ValueError, match="quantile=0.5 means nothing to mask"):
        ThresholdInterpreter(
            fine.classifier,
            fine.spectrogram,
            maps="class_share",
            mask="ratio",
            quantile=0.5,
        )


@pytest.mark.parametrize(
    "choice",
    [
        {"maps": "stage_1"},
        {"maps": ["class_share", "loudness"]},
        {"method": "loudest"},
    ],
)
def test_a_ratio_mask_needs_a_share(fine, choice):
    parts = (fine.classifier, fine.spectrogram)
    with pytest.raises(ValueError, match="one map that is a share: class_pro"):
        ThresholdInterpreter(*parts, **choice, mask="ratio")


def test_loudness_is_a_factor_and_no_map_of_its_own(fine, two_tones):
    parts = (fine.classifier, fine.spectrogram)
    both = ThresholdInterpreter(*parts, maps=["class_share", "loudness"])
    found = both(two_tones)
    share = fine(two_tones).saliency
    expected = share * found.log_magnitude**LOUDNESS_POWER
    heard = found.log_magnitude > 1e-6
    torch.testing.assert_close(found.saliency * heard, expected * heard)
    with pytest.raises(ValueError, match="loudness is a factor for others"):
        ThresholdInterpreter(*parts, maps="loudness")
