"""PIQ's decoders: the published ones against SpeechBrain's, ours by laws."""

import pytest
import torch
import torch.nn.functional as F
from speechbrain.lobes.models import PIQ
from torch import nn
from torchvision.transforms.functional import resize

from focalaudio.interpreters.decoder_weights import load_decoder_weights
from focalaudio.interpreters.decoders import (
    DECODERS,
    LightDecoder,
    PaperDecoder,
    _Enlarge,
    _init_convolution,
)

DIM, N_CODES, N_CLASSES = 8, 64, 5
PUBLISHED = {  # layout -> SpeechBrain's decoder, grid of the encoder's features
    "conv2d": (PIQ.VectorQuantizedPSI_Audio, (26, 32)),
    "focalnet": (PIQ.VectorQuantizedPSIFocalNet_Audio, (7, 7)),
    "vit": (PIQ.VectorQuantizedPSIViT_Audio, (14, 14)),
}
CLASS_IDS = torch.tensor([4, 1])


def randomize(module):
    """Give every weight, bias and running statistic a value of its own."""
    for name, values in module.state_dict().items():
        if name.endswith("running_var"):
            nn.init.uniform_(values, 0.5, 2)
        elif values.is_floating_point():
            fan_in = values[0].numel() if values.dim() > 1 else 1
            nn.init.normal_(values, 0, fan_in**-0.5)
    return module


def assert_equal(ours, theirs, tolerance=1e-5):
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


def build_pair(layout, n_shared=0):
    """SpeechBrain's decoder and ours, with the same weights."""
    theirs = PUBLISHED[layout][0](
        dim=DIM, K=N_CODES, numclasses=N_CLASSES, shared_keys=n_shared
    )
    ours = PaperDecoder(DIM, N_CLASSES, N_CODES, n_shared, layout)
    load_decoder_weights(ours, randomize(theirs).state_dict())
    return ours, theirs


def prepare(layout, features):
    """What the published recipe does to a FocalNet's features."""
    if layout != "focalnet":
        return features
    return resize(features, [2 * side for side in features.shape[2:]])


@pytest.fixture(params=PUBLISHED)
def layout(request):
    return request.param


@pytest.fixture
def features(layout):
    return torch.randn(2, DIM, *PUBLISHED[layout][1])


# shared codes: SpeechBrain shuts them out in training, which ours does not
@pytest.mark.parametrize(
    ("training", "n_shared"), [(False, 0), (False, 9), (True, 0)]
)
def test_outputs_are_those_of_speechbrain(layout, features, training, n_shared):
    ours, theirs = build_pair(layout, n_shared)
    decoded = ours.train(training)(features, CLASS_IDS)
    logits, latents, codes = theirs.train(training)(
        prepare(layout, features), CLASS_IDS
    )
    frames = 417 if layout == "conv2d" else 431
    assert logits.shape == (2, 1, frames, 513)
    assert_equal(decoded.mask_logits[:, :frames], logits[:, 0])
    assert_equal(decoded.latents, latents)
    assert_equal(decoded.quantized.codes, codes)


def test_gradients_are_those_of_speechbrain(layout, features):
    ours, theirs = build_pair(layout)
    decoded = ours.eval()(features, CLASS_IDS)
    logits, latents, codes = theirs.eval()(prepare(layout, features), CLASS_IDS)
    frames = logits.shape[2]
    weights = torch.randn_like(logits)
    (decoded.mask_logits[:, None, :frames] * weights).mean().backward()
    (
        decoded.quantized.codes - decoded.latents.detach()
    ).square().mean().backward()
    (logits * weights).mean().backward()
    (codes - latents.detach()).square().mean().backward()
    expected = {name: p.grad for name, p in theirs.named_parameters()}
    expected["quantizer.codebook"] = expected.pop("codebook.embedding.weight")
    for name, parameter in ours.named_parameters():
        assert_equal(parameter.grad, expected[name], 1e-4)


def test_published_decoders_fill_five_seconds(layout, features):
    decoder = PaperDecoder(DIM, N_CLASSES, N_CODES, layout=layout).eval()
    mask_logits = decoder(features, CLASS_IDS).mask_logits
    assert mask_logits.shape == (2, 431, 513)
    if layout == "conv2d":
        last = mask_logits[:, 416:417].expand(-1, 15, -1)
        assert torch.equal(mask_logits[:, 416:], last)


def test_published_decoders_are_as_large_as_published(layout):
    with torch.device("meta"):
        ours = PaperDecoder(1024, 50, 1024, layout=layout)
        theirs = PUBLISHED[layout][0](dim=1024, K=1024)
    sizes = (
        sum(p.numel() for p in model.parameters()) for model in (ours, theirs)
    )
    assert len(set(sizes)) == 1


def test_an_unknown_layout_is_answered_with_those_that_are_known():
    with pytest.raises(
        ValueError, match="layout='cnn14'.*conv2d, focalnet, vit"
    ):
        PaperDecoder(4, 2, 8, layout="cnn14")


def test_convolutions_start_without_bias_and_with_the_right_variance():
    layer = nn.ConvTranspose2d(64, 64, 3)
    _init_convolution(layer)
    assert (layer.bias == 0).all()
    variance = 2 / (2 * 64 * 9)
    assert layer.weight.var().item() == pytest.approx(variance, rel=0.05)
    norm = nn.BatchNorm2d(4)
    _init_convolution(norm)
    assert (norm.weight == 1).all()


@pytest.mark.parametrize("n_doublings", [0, 1, 3])
@pytest.mark.parametrize("grid", [(1, 1), (2, 5), (7, 7), (14, 9), (26, 32)])
def test_light_decoder_enlarges_any_grid(grid, n_doublings):
    decoder = LightDecoder(
        6, N_CLASSES, N_CODES, width=16, n_doublings=n_doublings
    )
    decoded = decoder(torch.randn(2, 6, *grid), CLASS_IDS)
    rows, cols = (side * 2**n_doublings for side in grid)
    assert decoded.mask_logits.shape == (2, rows, cols)
    halves = tuple(-(-side // 2) for side in grid)
    assert decoded.latents.shape == (2, 16, *halves)
    assert decoded.quantized.indices.shape == (2, *halves)
    assert decoded.mask_logits.isfinite().all()


def test_light_decoder_answers_where_the_features_are():
    decoder = randomize(LightDecoder(6, N_CLASSES, N_CODES, width=16)).eval()
    nn.init.normal_(decoder.quantizer.codebook)
    quiet = torch.zeros(1, 6, 14, 10)
    louder = quiet.clone()
    louder[:, :, 8:10, 2:4] = 20.0
    before, after = (
        decoder(features, CLASS_IDS[:1]).mask_logits[0]
        for features in (quiet, louder)
    )
    times, bins = (after - before).abs().gt(1e-4).nonzero().T
    assert abs(times.float().mean() / 8 - 9) < 2
    assert abs(bins.float().mean() / 8 - 3) < 2


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_every_parameter(name, training):
    decoder = randomize(DECODERS[name](6, N_CLASSES, N_CODES)).train(training)
    decoded = decoder(torch.randn(3, 6, 7, 7), torch.tensor([0, 1, 2]))
    codes = F.mse_loss(decoded.quantized.codes, decoded.latents.detach())
    (decoded.mask_logits.square().mean() + codes).backward()
    for key, parameter in decoder.named_parameters():
        assert parameter.grad.isfinite().all(), key
        # batch statistics take the bias away from what comes before them
        assert training or parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", DECODERS)
def test_gradients_reach_the_features(name):
    decoder = randomize(DECODERS[name](6, N_CLASSES, N_CODES)).eval()
    features = torch.randn(1, 6, 7, 7, requires_grad=True)
    decoder(features, CLASS_IDS[:1]).mask_logits.square().mean().backward()
    assert (features.grad.abs().amax((0, 1)) > 0).all()


@pytest.mark.parametrize("name", DECODERS)
def test_batch_of_two_is_two_batches_of_one(name):
    decoder = randomize(DECODERS[name](6, N_CLASSES, N_CODES)).eval()
    features = torch.randn(2, 6, 7, 7)
    together = decoder(features, CLASS_IDS)
    for index in range(2):
        one = slice(index, index + 1)
        alone = decoder(features[one], CLASS_IDS[one])
        assert_equal(alone.mask_logits, together.mask_logits[one])
        assert torch.equal(
            alone.quantized.indices, together.quantized.indices[one]
        )


@pytest.mark.parametrize("name", DECODERS)
def test_the_class_decides_which_codes_are_used(name):
    decoder = randomize(DECODERS[name](6, N_CLASSES, N_CODES)).eval()
    features = torch.randn(1, 6, 7, 7).expand(5, -1, -1, -1)
    quantized = decoder(features, torch.arange(5)).quantized
    owners = decoder.quantizer.code_classes[quantized.indices]
    assert torch.equal(owners, torch.arange(5)[:, None, None].expand_as(owners))


def test_light_is_far_smaller_than_paper():
    with torch.device("meta"):
        light, paper = (
            sum(p.numel() for p in DECODERS[name](1024, 50).parameters())
            for name in ("light", "paper")
        )
    assert light < paper / 100


def test_enlarging_repeats_cells():
    enlarge = _Enlarge(1, 1).eval()
    nn.init.dirac_(enlarge[1].weight)
    grid = torch.rand(1, 1, 3, 2)
    expected = grid.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(enlarge(grid), expected)
