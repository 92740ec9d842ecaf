"""Laws of the registry, and of every encoder in it."""

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from focalaudio.encoders import (
    ENCODERS,
    EncoderOutput,
    build_encoder,
    list_encoders,
)
from focalaudio.encoders.base import DropPath
from focalaudio.errors import ModelError

PUBLISHED_NAMES = [
    f"focalnet_{size}_{field}"
    for size in ("nano", "tiny", "small", "base")
    for field in ("srf", "lrf")
] + [f"vit_{size}_patch16" for size in ("nano", "tiny", "small", "base")]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def build(name, **overrides):
    with torch.device("meta"):
        return build_encoder(name, **overrides)


# one of each kind, small
SMALL = {
    "focalnet_test": {},
    "focalnet_nano_lrf": {"image_size": (64, 64)},
    "focalnet_test_pyramid": {},
    "vit_test": {},
    "vit_nano_patch16": {},
    "conv2d_piq": {"dim": 8, "image_size": (64, 48)},
}


@pytest.fixture(params=SMALL)
def encoder(request):
    """With a value of its own in every weight, bias and running statistic."""
    encoder = build_encoder(request.param, **SMALL[request.param]).eval()
    for name, values in encoder.state_dict().items():
        if name.endswith("running_var"):
            nn.init.uniform_(values, 0.5, 2)
        elif values.is_floating_point():
            kernel = values.dim() in (2, 4)
            nn.init.normal_(
                values, 0, values[0].numel() ** -0.5 if kernel else 1
            )
    return encoder


def draw(encoder, batch, height=None, width=None):
    size = height or encoder.image_size[0], width or encoder.image_size[1]
    return torch.randn(batch, encoder.in_channels, *size)


def assert_equal(ours, theirs, tolerance=1e-5):
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


def test_every_parameter_gets_a_gradient(encoder):
    image = draw(encoder, 2)
    encoder(image).embeddings.square().sum().backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 0, key


@torch.no_grad()
def test_batch_of_two_is_two_batches_of_one(encoder):
    images = draw(encoder, 2, 64, 41)
    together = encoder(images)
    for index, image in enumerate(images):
        alone = encoder(image[None])
        assert_equal(alone.features[0], together.features[index])
        assert_equal(alone.embeddings[0], together.embeddings[index])
        for ours, theirs in zip(alone.maps, together.maps, strict=True):
            assert_equal(ours[0], theirs[index])


@torch.no_grad()
@pytest.mark.parametrize(
    "encoder", ["focalnet_test", "vit_test"], indirect=True
)
def test_edges_are_padded_with_zeros(encoder):
    image = draw(encoder, 1, 61, 50)
    padded = F.pad(image, (0, 6, 0, 3))
    assert torch.equal(encoder(image).features, encoder(padded).features)


@torch.no_grad()
@pytest.mark.parametrize("name", SMALL)
def test_drop_path_only_acts_in_training(name):
    encoder = build_encoder(name, drop_path=0.9, **SMALL[name]).eval()
    images = draw(encoder, 8)
    plain = encoder(images).embeddings
    assert torch.equal(encoder(images).embeddings, plain)
    for module in encoder.modules():
        module.training = isinstance(module, DropPath)
    assert not torch.allclose(encoder(images).embeddings, plain)


@pytest.mark.parametrize("name", ["focalnet_test", "vit_test"])
def test_test_variants_are_small(name):
    assert sum(p.numel() for p in build(name).parameters()) < 100_000


def test_all_published_names_and_the_test_variants_are_there():
    expected = {*PUBLISHED_NAMES, "conv2d_piq", "focalnet_test", "vit_test"}
    expected |= {"focalnet_nano_pyramid", "focalnet_test_pyramid"}
    assert set(list_encoders()) == set(ENCODERS) == expected


def test_the_list_is_a_copy():
    list_encoders().clear()
    assert list_encoders()


@pytest.mark.parametrize("name", ENCODERS)
def test_every_variant_keeps_the_contract(name):
    encoder = build(name)
    height, width = encoder.image_size
    image = torch.empty(2, encoder.in_channels, height, width, device="meta")
    output = encoder(image)
    assert isinstance(output, EncoderOutput)
    assert output.features.shape[:2] == (2, encoder.n_features)
    assert output.embeddings.shape == (2, encoder.n_features)
    n_maps = len(output.maps)
    assert len(encoder.map_names) == len(set(encoder.map_names)) == n_maps
    assert all(len(map_) == 2 and map_.dim() == 3 for map_ in output.maps)
    last = ("last", "pooled", "top_down", f"stage_{n_maps}")
    assert encoder.map_names[-1] in last


@pytest.mark.parametrize("name", ENCODERS)
def test_arguments_of_every_variant_are_arguments_of_its_class(name):
    cls, arguments = ENCODERS[name]
    assert set(arguments) <= set(inspect.signature(cls).parameters)


@pytest.mark.parametrize("name", ["focalnet_test", "vit_test"])
@pytest.mark.parametrize("channels", [1, 3])
def test_overrides_reach_the_encoder(name, channels):
    encoder = build_encoder(name, in_channels=channels).eval()
    output = encoder(torch.randn(1, channels, 64, 64))
    assert encoder.in_channels == channels
    assert output.embeddings.isfinite().all()


def test_a_build_leaves_the_registry_as_it_was():
    before = {name: dict(ENCODERS[name][1]) for name in ENCODERS}
    build("focalnet_test", dim=32)
    build("vit_test", depth=1)
    assert {name: ENCODERS[name][1] for name in ENCODERS} == before


@pytest.mark.parametrize("size", ["nano", "tiny", "small", "base"])
def test_a_focalnet_without_its_field_has_the_small_one(size):
    ours, full = build(f"focalnet_{size}"), build(f"focalnet_{size}_srf")
    assert list(ours.state_dict()) == list(full.state_dict())


@pytest.mark.parametrize(
    ("name", "meant"),
    [("focalnet_bass_srf", "focalnet_base_srf"), ("vit_tset", "vit_test")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, meant):
    with pytest.raises(ValueError, match=f"'{name}'.*'{meant}'.*Available"):
        build_encoder(name)


def test_a_wrong_argument_is_refused():
    with pytest.raises(TypeError, match="dept"):
        build_encoder("focalnet_test", dept=3)


@pytest.mark.parametrize("channels", [1, 3])
def test_pretrained_weights_are_those_of_the_file(tmp_path, channels):
    trained = build_encoder("focalnet_test", in_channels=channels)
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    path = str(tmp_path / "weights.pt")
    ours = build_encoder("focalnet_test", pretrained=path, in_channels=channels)
    for name, weight in trained.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name


def test_pretrained_weights_say_how_many_channels_they_need(tmp_path):
    trained = build_encoder("focalnet_test", in_channels=3)
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="give in_channels: 3"):
        build_encoder(
            "focalnet_test",
            pretrained=str(tmp_path / "weights.pt"),
            in_channels=1,
        )


def test_pretrained_weights_of_another_encoder_are_an_error(tmp_path):
    torch.save(build_encoder("vit_test").state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="does not fit FocalNet"):
        build_encoder("focalnet_test", pretrained=str(tmp_path / "weights.pt"))
    with pytest.raises(FileNotFoundError, match="none.pt"):
        build_encoder("focalnet_test", pretrained="none.pt")
