import pytest
import torch

from focalaudio.errors import ModelError
from focalaudio.models.bundle import read_bundle
from focalaudio.models.parity import answers_of, check_parity, compare


def test_a_bundle_is_its_own_equal(exported):
    check_parity(exported, read_bundle(exported), torch.randn(16000))


def test_the_smallest_change_of_a_weight_is_noticed(exported):
    other = read_bundle(exported)
    weight = other.model.classifier.head.cosine.weight
    weight.data = torch.nextafter(weight.data, torch.tensor(9.0))
    wavs = torch.randn(2, 16000)
    with pytest.raises(ModelError, match="logits of the bundle differ"):
        compare(
            answers_of(other, wavs), answers_of(read_bundle(exported), wavs)
        )


def test_the_masks_of_both_methods_are_compared(exported):
    answers = answers_of(read_bundle(exported), torch.randn(2, 16000))
    assert set(answers) == {"logits", "mask by_design", "mask piq"}
