"""Conv2dEncoder against SpeechBrain's, and the laws of every encoder."""

import pytest
import torch
from speechbrain.lobes.models.PIQ import Conv2dEncoder_v2
from torch import nn

from focalaudio.encoders import build_encoder
from focalaudio.encoders.checkpoints import LoadReport, load_weights
from focalaudio.errors import ModelError


def randomize(module):
    """Give every weight, bias and running statistic a value of its own."""
    for name, values in module.state_dict().items():
        if name.endswith("running_var"):
            nn.init.uniform_(values, 0.5, 2)
        elif values.is_floating_point():
            fan_in = values[0].numel() if values.dim() > 1 else 1
            nn.init.normal_(values, 0, fan_in**-0.5)
        else:
            values.fill_(7)
    return module.eval().requires_grad_(False)


def build(dim=8):
    return randomize(build_encoder("conv2d_piq", dim=dim))


def assert_equal(ours, theirs, tolerance=1e-5):
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return randomize(Conv2dEncoder_v2(dim=8))


@pytest.fixture
def ours(theirs):
    encoder = build()
    load_weights(encoder, theirs.state_dict())
    return encoder


@pytest.mark.parametrize("size", [(431, 513), (417, 100), (16, 16)])
def test_features_are_those_of_speechbrain(ours, theirs, size):
    image = torch.rand(2, 1, *size) * 5
    output, expected = ours(image), theirs(image[:, 0])
    assert_equal(output.features, expected)
    assert_equal(output.embeddings, expected.mean((-1, -2)))


def test_features_in_training_are_those_of_speechbrain(ours):
    theirs = Conv2dEncoder_v2(dim=8)
    load_weights(ours, theirs.state_dict())
    image = torch.rand(2, 1, 64, 48)
    assert_equal(ours.train()(image).features, theirs(image[:, 0]).detach())


def test_all_published_keys_are_loaded(theirs):
    weights, encoder = theirs.state_dict(), build()
    report = load_weights(encoder, weights)
    assert report == LoadReport("SpeechBrain Conv2d")
    assert len(encoder.state_dict()) == len(weights)


def test_a_published_file_is_its_state_dict(theirs, tmp_path):
    torch.save(theirs.state_dict(), tmp_path / "embedding_modelft.ckpt")
    encoder, same = build(), build()
    load_weights(encoder, tmp_path / "embedding_modelft.ckpt")
    load_weights(same, theirs.state_dict())
    for key, weight in encoder.state_dict().items():
        assert torch.equal(weight, same.state_dict()[key]), key


def test_its_own_weights_are_loaded(ours):
    encoder = build()
    report = load_weights(encoder, ours.state_dict())
    assert report == LoadReport("focalaudio")
    image = torch.rand(1, 1, 32, 32)
    assert torch.equal(encoder(image).features, ours(image).features)


def refuse(weights, match):
    encoder = build()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    with pytest.raises(ModelError, match=match):
        load_weights(encoder, weights)
    for key, weight in encoder.state_dict().items():
        assert torch.equal(weight, before[key])


def test_every_key_is_needed(theirs):
    weights = theirs.state_dict()
    for key in weights:
        rest = {k: w for k, w in weights.items() if k != key}
        refuse(rest, r"1 missing \(")


def test_every_shape_is_checked(theirs):
    weights = theirs.state_dict()
    for key, weight in weights.items():
        refuse(weights | {key: weight[None]}, "1 of another shape")


@pytest.mark.parametrize("extra", ["conv5.weight", "bn0.bias", "fc.weight"])
def test_any_other_key_is_left_over(theirs, extra):
    weights = theirs.state_dict() | {extra: torch.zeros(8)}
    refuse(weights, rf"1 left over \({extra}\)")


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32, torch.bool])
def test_counts_are_counts(theirs, dtype):
    count = {"bn1.num_batches_tracked": torch.ones((), dtype=dtype)}
    refuse(theirs.state_dict() | count, r"1 no int64 counts \(stages.0.norm")


def test_whole_numbers_are_no_weights(theirs):
    whole = {"bn1.weight": torch.ones(8, dtype=torch.int64)}
    refuse(theirs.state_dict() | whole, r"1 no dense floats \(stages.0.norm")


def test_a_wider_encoder_does_not_fit():
    refuse(build(dim=16).state_dict(), "of another shape")


def test_published_size():
    with torch.device("meta"):
        encoder = build_encoder("conv2d_piq")
        theirs = Conv2dEncoder_v2(dim=256)
    image = torch.empty(2, 1, *encoder.image_size, device="meta")
    output = encoder(image)
    assert output.features.shape == (2, 256, 26, 32)
    assert output.embeddings.shape == (2, encoder.n_features)
    ours, expected = (
        sum(p.numel() for p in model.parameters())
        for model in (encoder, theirs)
    )
    assert ours == expected


def test_the_map_is_the_norm_of_the_features(ours):
    output = ours(torch.rand(2, 1, 64, 48))
    (last,) = output.maps
    assert ours.map_names == ("last",)
    assert_equal(last, output.features.square().sum(1).sqrt())
    assert (last >= 0).all()


def test_maps_take_a_gradient_from_silence(ours):
    image = torch.zeros(1, 1, 32, 32, requires_grad=True)
    ours(image).maps[0].sum().backward()
    assert image.grad.isfinite().all()


def test_cells_are_those_of_the_image(ours):
    image = torch.zeros(1, 1, 160, 160)
    louder = image.clone()
    louder[:, :, 128:136, 32:40] = 50.0
    change = (ours(louder).features - ours(image).features).norm(dim=1)[0]
    peak = divmod(int(change.argmax()), 10)
    assert abs(peak[0] - 8) <= 1
    assert abs(peak[1] - 2) <= 1
