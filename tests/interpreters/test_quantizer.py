"""Laws of the codebook that is partitioned by class."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from speechbrain.lobes.models.PIQ import VQEmbedding, get_irrelevant_regions

from focalaudio.interpreters.quantizer import (
    SHARED,
    Quantizer,
    _assign_classes,
)

SIZES = st.tuples(  # classes, codes per class beyond the first, shared codes
    st.integers(1, 12), st.integers(0, 30), st.integers(0, 5)
)


def build(n_codes=24, code_dim=4, n_classes=5, n_shared=0):
    """A quantizer whose codes are far enough apart to matter."""
    quantizer = Quantizer(n_codes, code_dim, n_classes, n_shared)
    torch.nn.init.normal_(quantizer.codebook)
    return quantizer


def nearest_by_brute_force(quantizer, features, class_ids):
    """Measure every distance, of one vector at a time."""
    codebook = quantizer.codebook.detach().double()
    indices = torch.empty(len(features), *features.shape[2:], dtype=torch.int64)
    for clip, row, col in torch.cartesian_prod(
        *(torch.arange(size) for size in indices.shape)
    ):
        vector = features[clip, :, row, col].double()
        owned = quantizer.code_classes == class_ids[clip]
        allowed = (owned | (quantizer.code_classes == SHARED)).nonzero()[:, 0]
        distances = [(vector - codebook[k]).norm() for k in allowed]
        indices[clip, row, col] = allowed[torch.stack(distances).argmin()]
    return indices


@given(sizes=SIZES)
@settings(max_examples=200, deadline=None)
def test_codes_are_shared_out_as_in_the_published_weights(sizes):
    n_classes, more, n_shared = sizes
    n_codes = n_classes + more + n_shared
    classes = _assign_classes(n_codes, n_classes, n_shared)
    forbidden = get_irrelevant_regions(
        torch.arange(n_classes), n_codes, n_classes, n_shared, stage="VALID"
    )
    permitted = (classes == torch.arange(n_classes)[:, None]) | (
        classes == SHARED
    )
    assert torch.equal(permitted, ~forbidden)


@given(sizes=SIZES)
@settings(max_examples=200, deadline=None)
def test_every_class_has_codes_of_its_own(sizes):
    n_classes, more, n_shared = sizes
    classes = _assign_classes(n_classes + more + n_shared, n_classes, n_shared)
    own = classes[classes != SHARED].bincount(minlength=n_classes)
    assert len(own) == n_classes
    assert own.min() >= 1
    assert own.max() - own.min() <= 2
    assert (classes == SHARED).sum() == n_shared


@pytest.mark.parametrize(("n_codes", "n_shared"), [(4, 0), (7, 3), (9, -1)])
def test_a_class_without_codes_is_refused(n_codes, n_shared):
    match = f"n_codes={n_codes} less n_shared={n_shared}"
    with pytest.raises(ValueError, match=match):
        _assign_classes(n_codes, 5, n_shared)


@given(
    sizes=SIZES,
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e6, 1e30, torch.inf, torch.nan]),
    training=st.booleans(),
    n_clips=st.integers(1, 4),
)
@settings(max_examples=150, deadline=None)
def test_no_clip_uses_a_code_of_another_class(
    sizes, seed, scale, training, n_clips
):
    n_classes, more, n_shared = sizes
    generator = torch.Generator().manual_seed(seed)
    quantizer = build(n_classes + more + n_shared, 3, n_classes, n_shared)
    class_ids = torch.randint(n_classes, (n_clips,), generator=generator)
    features = scale * torch.randn(n_clips, 3, 2, 3, generator=generator)
    indices = quantizer.train(training)(features, class_ids).indices
    used = quantizer.code_classes[indices]
    assert ((used == class_ids[:, None, None]) | (used == SHARED)).all()


@pytest.mark.parametrize("largest", [1e38, torch.inf])
def test_a_distance_that_overflows_opens_no_other_class(largest):
    quantizer = build(n_codes=5, n_classes=5)
    quantizer.codebook.data *= 1000
    away = -quantizer.codebook.detach().sign()  # every product is negative
    features = (largest * away).view(5, 4, 1, 1)
    indices = quantizer(features, torch.arange(5)).indices
    assert torch.equal(indices.flatten(), torch.arange(5))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("n_shared", [0, 6])
def test_codes_are_the_nearest_that_are_permitted(n_shared, training):
    quantizer = build(n_shared=n_shared).train(training)
    features, class_ids = torch.randn(4, 4, 5, 3), torch.tensor([0, 4, 2, 2])
    quantized = quantizer(features, class_ids)
    expected = nearest_by_brute_force(quantizer, features, class_ids)
    assert torch.equal(quantized.indices, expected)
    codes = quantizer.codebook[expected].movedim(-1, 1)
    assert torch.equal(quantized.codes, codes)
    torch.testing.assert_close(quantized.straight, codes, atol=1e-6, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_shared_codes_are_used_by_every_class(training):
    quantizer = build(n_codes=14, n_shared=3).train(training)
    shared = quantizer.codebook[-3:].detach()
    features = shared.T.expand(5, -1, -1).unsqueeze(2)
    indices = quantizer(features, torch.arange(5)).indices
    assert torch.equal(indices, torch.tensor([11, 12, 13]).expand(5, 1, 3))


def test_a_code_is_quantized_as_itself():
    quantizer = build()
    for index, owner in enumerate(quantizer.code_classes):
        features = quantizer.codebook[index].detach().view(1, 4, 1, 1)
        assert quantizer(features, owner[None]).indices.item() == index


@pytest.mark.parametrize("training", [True, False])
def test_codes_are_those_of_speechbrain(training):
    theirs = VQEmbedding(24, 4, numclasses=5).train(training)
    ours = Quantizer(24, 4, n_classes=5).train(training)
    torch.nn.init.normal_(theirs.embedding.weight)
    ours.codebook.data.copy_(theirs.embedding.weight)
    features, class_ids = torch.randn(6, 4, 7, 5), torch.randint(5, (6,))
    straight, codes = theirs.straight_through(features, class_ids)
    quantized = ours(features, class_ids)
    assert torch.equal(quantized.codes, codes)
    torch.testing.assert_close(quantized.straight, straight, atol=1e-6, rtol=0)


def test_straight_through_gradient_is_that_of_the_identity():
    quantizer, features = build(), torch.randn(2, 4, 3, 3, requires_grad=True)
    quantized = quantizer(features, torch.tensor([1, 3]))
    weights = torch.randn_like(features)
    (quantized.straight * weights).sum().backward()
    assert torch.equal(features.grad, weights)
    assert quantizer.codebook.grad is None


def test_only_codes_that_were_used_get_a_gradient():
    quantizer, features = build(), torch.randn(2, 4, 3, 3, requires_grad=True)
    quantized = quantizer(features, torch.tensor([1, 3]))
    quantized.codes.square().sum().backward()
    assert features.grad is None
    times = quantized.indices.flatten().bincount(minlength=24)
    expected = 2 * times[:, None] * quantizer.codebook.detach()
    torch.testing.assert_close(quantizer.codebook.grad, expected)
    assert 0 < (times > 0).sum() < 24


def test_a_clip_is_quantized_alike_in_any_batch():
    quantizer, features = build(), torch.randn(4, 4, 5, 3)
    class_ids = torch.tensor([0, 4, 2, 2])
    together = quantizer(features, class_ids)
    for index in range(4):
        one = slice(index, index + 1)
        alone = quantizer(features[one], class_ids[one])
        assert torch.equal(alone.indices, together.indices[one])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_neither_ties_nor_overflows(dtype):
    quantizer, class_ids = build(200, 16, 2), torch.tensor([0, 1])
    features = torch.randn(2, 16, 6, 6).to(dtype)
    expected = nearest_by_brute_force(quantizer, features, class_ids)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(quantizer(features, class_ids).indices, expected)
        huge = quantizer(torch.full_like(features, 6e4), class_ids).indices
    used = quantizer.code_classes[huge]
    assert (used == class_ids[:, None, None]).all()


def test_the_owners_of_codes_are_no_weights():
    assert list(build().state_dict()) == ["codebook"]
