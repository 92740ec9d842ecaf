"""Laws of the pipeline that every interpreter shares."""

import copy

import pytest
import torch

from focalaudio.interpreters import Interpreter

LENGTHS = (1, 2, 185, 186, 371, 372, 373, 1001, 5000)


class Masker(Interpreter):
    """Keeps the cells that `choose` gives for a `[batch, time, freq]` shape."""

    def __init__(self, classifier, spectrogram, choose):
        super().__init__(classifier, spectrogram)
        self.choose = choose

    def explain(self, output, spectrum, class_ids):
        mask = self.choose(spectrum.log_magnitude.shape)
        mask = mask.to(spectrum.log_magnitude.device)
        return mask.float(), mask


def choose_some(shape):
    return torch.rand(shape) > 0.5


def keep_everything(shape):
    return torch.ones(shape, dtype=torch.bool)


def keep_nothing(shape):
    return torch.zeros(shape, dtype=torch.bool)


@pytest.fixture
def masker(classifier, spectrogram):
    return Masker(classifier, spectrogram, choose_some)


@pytest.fixture
def passes(classifier, monkeypatch):
    """Batch sizes that the encoder has seen, one per pass."""
    seen, forward = [], classifier.encoder.forward

    def count(image):
        seen.append(len(image))
        return forward(image)

    monkeypatch.setattr(classifier.encoder, "forward", count)
    return seen


def test_logits_are_the_classifiers_own(masker, classifier, uneven):
    wavs, lens, _ = uneven
    spectrum = masker.spectrogram(wavs, lens)
    output = classifier(spectrum.log_magnitude, spectrum.n_frames)
    interpretation = masker(wavs, lens)
    torch.testing.assert_close(interpretation.logits, output.logits)
    torch.testing.assert_close(interpretation.probs, output.probs)
    assert torch.equal(interpretation.class_ids, output.class_ids)


@pytest.mark.parametrize("samples", LENGTHS)
def test_sounds_are_as_long_as_the_input_and_add_up_to_it(
    masker, samples, device
):
    wavs = torch.rand(2, samples, device=device) - 0.5
    interpretation = masker(wavs)
    assert interpretation.wavs.shape == wavs.shape
    whole = interpretation.wavs + interpretation.removed_wavs
    torch.testing.assert_close(whole, wavs, atol=1e-6, rtol=0)


def test_sounds_of_an_uneven_batch_end_where_their_clips_end(masker, uneven):
    wavs, lens, n_samples = uneven
    interpretation = masker(wavs, lens)
    whole = interpretation.wavs + interpretation.removed_wavs
    torch.testing.assert_close(whole, wavs, atol=1e-6, rtol=0)
    for row, length in enumerate(n_samples.tolist()):
        assert (interpretation.wavs[row, length:] == 0).all()


def test_parts_of_the_spectrogram_add_up_to_it(masker, uneven):
    interpretation = masker(*uneven[:2])
    torch.testing.assert_close(
        interpretation.kept + interpretation.removed,
        interpretation.log_magnitude,
    )
    torch.testing.assert_close(
        interpretation.kept, interpretation.mask * interpretation.log_magnitude
    )


def test_sound_and_picture_are_masked_alike(masker, tone):
    interpretation = masker(tone)
    spectrum = interpretation.spectrum
    magnitude = interpretation.kept.expm1()[..., None]
    direction = torch.stack((spectrum.phase.cos(), spectrum.phase.sin()), -1)
    from_picture = masker.spectrogram.invert(
        magnitude * direction, spectrum.n_samples
    )
    torch.testing.assert_close(
        from_picture, interpretation.wavs, atol=1e-5, rtol=0
    )


def test_keeping_everything_gives_the_input_back(
    classifier, spectrogram, uneven
):
    wavs, lens, _ = uneven
    masker = Masker(classifier, spectrogram, keep_everything)
    interpretation = masker(wavs, lens)
    torch.testing.assert_close(interpretation.wavs, wavs, atol=1e-6, rtol=0)
    assert (interpretation.removed_wavs == 0).all()
    kept, _ = masker.classify_parts(interpretation)
    torch.testing.assert_close(
        kept, interpretation.logits, atol=1e-5, rtol=1e-5
    )


def test_keeping_nothing_gives_silence(classifier, spectrogram, uneven):
    wavs, lens, _ = uneven
    masker = Masker(classifier, spectrogram, keep_nothing)
    interpretation = masker(wavs, lens)
    assert (interpretation.wavs == 0).all()
    assert interpretation.kept_fraction.tolist() == [0, 0, 0, 0]
    _, removed = masker.classify_parts(interpretation)
    torch.testing.assert_close(
        removed, interpretation.logits, atol=1e-5, rtol=1e-5
    )


def test_kept_fraction_counts_a_clips_own_cells(
    classifier, spectrogram, uneven
):
    wavs, lens, n_samples = uneven
    n_frames = spectrogram.count_frames(n_samples)

    def keep_low_half(shape):
        mask = torch.zeros(shape, dtype=torch.bool, device=n_frames.device)
        for row, frames in enumerate(n_frames.tolist()):
            mask[row, :frames, :256] = True
        return mask

    masker = Masker(classifier, spectrogram, keep_low_half)
    fraction = masker(wavs, lens).kept_fraction
    torch.testing.assert_close(fraction, torch.full_like(fraction, 256 / 513))


def test_judgement_is_the_classifiers_word_on_each_part(
    masker, classifier, uneven
):
    interpretation = masker(*uneven[:2])
    n_frames = interpretation.spectrum.n_frames
    judged = masker.classify_parts(interpretation)
    for logits, part in zip(
        judged, (interpretation.kept, interpretation.removed), strict=True
    ):
        alone = classifier(part, n_frames).logits
        torch.testing.assert_close(logits, alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(*judged)


def test_one_encoder_pass_to_interpret_and_one_to_judge(masker, passes, uneven):
    interpretation = masker(*uneven[:2])
    assert passes == [4]
    _ = interpretation.kept, interpretation.removed, interpretation.probs
    assert passes == [4]
    masker.classify_parts(interpretation)
    assert passes == [4, 8]


def test_kept_parts_alone_are_judged_alike_in_half_the_batch(
    masker, passes, uneven
):
    interpretation = masker(*uneven[:2])
    both, _ = masker.classify_parts(interpretation)
    alone = masker.classify_kept(interpretation)
    assert passes == [4, 8, 4]
    torch.testing.assert_close(alone, both, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(alone, interpretation.logits)


def test_other_classes_can_be_asked_for(masker, tone):
    asked = torch.tensor([3], device=tone.device)
    interpretation = masker(tone, class_ids=asked)
    assert torch.equal(interpretation.class_ids, asked)


def test_classifier_stays_in_evaluation(masker):
    for interpreter in (masker.train(), masker.train(True), masker.eval()):
        assert not any(m.training for m in interpreter.classifier.modules())
    assert masker.train().training
    assert torch.nn.ModuleList([masker]).train()
    assert not masker.classifier.training


def test_classifier_is_frozen_and_untouched(masker, uneven):
    before = {k: v.clone() for k, v in masker.classifier.state_dict().items()}
    interpretation = masker.train()(*uneven[:2])
    kept, _ = masker.classify_parts(interpretation)
    assert not any(p.requires_grad for p in masker.parameters())
    assert not interpretation.logits.requires_grad
    assert not kept.requires_grad
    for key, value in masker.classifier.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_soft_mask_gets_its_gradient_through_the_frozen_classifier(
    classifier, spectrogram, device
):
    wavs = torch.rand(2, 2000, device=device) - 0.5
    n_frames = int(spectrogram.count_frames(torch.tensor(2000)))
    soft = torch.full(
        (2, n_frames, 513), 0.5, device=device, requires_grad=True
    )
    masker = Masker(classifier, spectrogram, lambda shape: soft)
    interpretation = masker(wavs)
    torch.testing.assert_close(interpretation.wavs, wavs / 2, atol=1e-6, rtol=0)
    kept, _ = masker.classify_parts(interpretation)
    (kept[:, 0].sum() + interpretation.wavs.square().sum()).backward()
    assert soft.grad.isfinite().all()
    assert (soft.grad != 0).any()


@pytest.mark.parametrize("samples", [1, 300, 4000])
def test_silence_is_finite(masker, samples, device):
    interpretation = masker(torch.zeros(2, samples, device=device))
    kept, removed = masker.classify_parts(interpretation)
    for part in (
        interpretation.logits,
        interpretation.wavs,
        interpretation.removed_wavs,
        interpretation.kept_fraction,
        kept,
        removed,
    ):
        assert part.isfinite().all()
    assert (interpretation.wavs == 0).all()


def test_an_interpreter_must_explain(classifier, spectrogram, tone):
    with pytest.raises(NotImplementedError):
        Interpreter(classifier, spectrogram)(tone)


def test_with_another_classifier_each_keeps_its_own(
    masker, classifier, spectrogram
):
    another = copy.deepcopy(classifier)
    other = masker.with_classifier(another)
    assert masker.classifier is classifier
    assert other.classifier is another
    assert not any(weight.requires_grad for weight in another.parameters())
    assert other.spectrogram is spectrogram
    assert other.choose is masker.choose
    assert set(dict(other.named_modules())) == set(dict(masker.named_modules()))
