"""What is taken as sound, and what is refused in one line."""

import numpy as np
import pytest
import torch

from focalaudio.audio import write_wav
from focalaudio.inference.clips import read_wavs
from focalaudio.inference.folder import explain_files
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.requests import Request
from focalaudio.inference.targets import find_class, find_targets

LABELS = ["dog", "rain"]
WAVS = 0.2 * torch.linspace(-1, 1, 8000).sin().repeat(2, 1)


@pytest.fixture(scope="module")
def model(exported):
    return SoundInterpreter.from_hparams(exported)


KINDS = {
    "numpy": lambda wavs: wavs.numpy(),
    "double": lambda wavs: wavs.double(),
    "list": lambda wavs: wavs.tolist(),
    "list of tensors": list,
    "list of arrays": lambda wavs: [wav.numpy() for wav in wavs],
    "reversed twice": lambda wavs: wavs.numpy()[::-1][::-1],
}


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_and_lists_are_sound(kind):
    sound, scale = read_wavs(KINDS[kind](WAVS))
    assert torch.equal(sound, WAVS)
    assert (sound.dtype, scale) == (torch.float32, 1.0)


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("is_numpy", [True, False])
def test_whole_numbers_of_16_and_32_bits_are_scaled(bits, is_numpy):
    numbers = (WAVS.double() * 2 ** (bits - 1)).round()
    numbers = numbers.to({16: torch.int16, 32: torch.int32}[bits])
    sound, scale = read_wavs(numbers.numpy() if is_numpy else numbers)
    torch.testing.assert_close(sound, WAVS, atol=2.0**-15, rtol=0)
    assert scale == 2.0 ** (1 - bits)


def test_the_record_says_that_sound_was_scaled(model):
    numbers = (WAVS * 2**15).round().to(torch.int16)
    assert model.explain_batch(numbers).scale == 2.0**-15
    assert model.explain_batch(WAVS).scale == 1.0


@pytest.mark.parametrize(
    "kind", ["uint8", "bool", "complex64", "int64", "int8"]
)
def test_what_is_no_sound_by_itself_is_refused_in_one_line(model, kind):
    wavs = torch.ones(1, 8000).to(getattr(torch, kind))
    with pytest.raises(TypeError, match=f"^wavs of {kind} are no sound") as no:
        model.classify_batch(wavs)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize("wavs", [[[0.0, 1.0], [0.0]], "sound", [None], {}])
def test_what_is_no_array_of_numbers_names_the_argument(wavs):
    with pytest.raises((TypeError, ValueError), match="^wavs of "):
        read_wavs(wavs)


def test_lengths_and_targets_may_be_arrays_too(model):
    plain = model.explain_batch(WAVS, torch.tensor([0.5, 1.0]), target=[1, 2])
    for lens in ([0.5, 1.0], np.array([0.5, 1.0])):
        for target in (np.array([1, 2]), [np.int64(1), np.int64(2)]):
            found = model.explain_batch(WAVS.numpy(), lens, target=target)
            assert torch.equal(found.mask, plain.mask)
            assert torch.equal(found.class_ids, plain.class_ids)


@pytest.mark.parametrize("method", ["by_design", "piq", "random", "saliency"])
def test_results_of_a_tensor_with_a_gradient_are_detached(model, method):
    if method == "saliency":
        pytest.importorskip("captum")
    wavs = WAVS.clone().requires_grad_()
    found = model.explain_batch(wavs, method=method)
    for name in ("logits", "probs", "saliency", "mask", "wavs", "removed_wavs"):
        getattr(found, name).numpy()
    for tensor in model.classify_batch(wavs)[:3]:
        tensor.numpy()


@pytest.mark.parametrize("quantile", ["0.5", [0.5], True, None])
def test_a_quantile_that_is_no_number_is_one_line(model, quantile):
    if quantile is None:
        model.explain_batch(WAVS, quantile=None)
        return
    with pytest.raises(TypeError) as no:
        model.explain_batch(WAVS, quantile=quantile)
    said = f"quantile={quantile!r} must be a number between 0 and 1."
    assert str(no.value) == said


def test_a_quantile_of_numpy_is_a_number(model):
    own = model.explain_batch(WAVS, quantile=0.5)
    found = model.explain_batch(WAVS, quantile=np.float32(0.5))
    assert torch.equal(found.mask, own.mask)


@pytest.mark.parametrize("name", ["method", "mask", "maps"])
def test_an_empty_name_is_not_the_default(model, name):
    with pytest.raises(ValueError, match=f"^{name}=.* must ") as no:
        model.explain_batch(WAVS, **{name: ""})
    assert "\n" not in str(no.value)


def test_a_text_is_one_method_to_compare_with(model, tmp_path):
    clip = write_wav(tmp_path / "a.wav", WAVS[0], 16000)
    out = tmp_path / "out"
    explain_files(clip, out, model, compare="random", media=False)
    assert (out / "comparison.csv").read_text().count("random, quantile") == 1
    assert Request(compare="random") == Request(compare=("random",))


@pytest.mark.parametrize(
    "target", ["rain", 1, "1", np.int64(1), torch.tensor(1)]
)
def test_one_target_is_for_all_clips(target):
    assert find_targets(target, LABELS, 2) == [1, 1]


def test_a_label_of_digits_is_no_id():
    assert find_class("target", "1", ["3", "2", "1"]) == 2
    assert find_class("target", "0", ["3", "2", "1"]) == 0


@pytest.mark.parametrize("value", ["cat", 2, -1, "2", "-1", True, None, 0.5])
def test_classes_that_do_not_exist_name_the_argument(value):
    with pytest.raises(ValueError, match=r"^against=.* knows dog, rain"):
        find_class("against", value, LABELS)
