"""ViT against transformers and timm, and the laws of every variant."""

import pytest
import timm
import torch
import transformers
from torch import nn

from focalaudio.encoders import ENCODERS, build_encoder
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.vit import ViT

VARIANTS = [name for name in ENCODERS if name.startswith("vit")]
MILLIONS = {  # published, with a head of 1000 classes
    "vit_tiny_patch16": 5.72,
    "vit_small_patch16": 22.05,
    "vit_base_patch16": 86.57,
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def materialize(module, seed=0):
    """Give every weight, bias, norm and token of a meta module a value."""
    module = module.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        is_kernel = parameter.dim() in (2, 4)
        fan_in = parameter[0].numel() if is_kernel else 1
        nn.init.normal_(parameter, 0, fan_in**-0.5, generator)
    return module.requires_grad_(False)


def build(name, **overrides):
    with torch.device("meta"):
        return build_encoder(name, **overrides)


def load(name, theirs, **overrides):
    ours = build(name, **overrides).to_empty(device="cpu").eval()
    load_weights(ours, theirs.state_dict())
    return ours.requires_grad_(False)


def assert_equal(ours, theirs, tolerance=1e-5):
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


def build_transformers(name, size, pooler=True):
    arguments = {"patch_size": 16} | ENCODERS[name][1]
    config = transformers.ViTConfig(
        hidden_size=arguments["dim"],
        num_hidden_layers=arguments["depth"],
        num_attention_heads=arguments["n_heads"],
        intermediate_size=4 * arguments["dim"],
        patch_size=arguments["patch_size"],
        image_size=size,
        attn_implementation="eager",
    )
    with torch.device("meta"):
        return transformers.ViTModel(config, add_pooling_layer=pooler)


@pytest.fixture(scope="module", params=["vit_nano_patch16", "vit_test"])
def pair(request):
    name, size = request.param, 64 if request.param == "vit_test" else 224
    theirs = materialize(build_transformers(name, size))
    return load(name, theirs), theirs


def test_tokens_are_those_of_transformers(pair):
    ours, theirs = pair
    image = torch.randn(2, 3, *ours.image_size)
    output = ours(image)
    tokens = theirs(image).last_hidden_state
    assert_equal(output.features.flatten(2).mT, tokens[:, 1:])
    assert_equal(output.embeddings, tokens.mean(1))


@pytest.mark.parametrize("patches", [(3, 5), (6, 6), (10, 9), (4, 16)])
def test_other_sizes_interpolate_as_transformers_does(pair, patches):
    ours, theirs = pair
    image = torch.randn(2, 3, *(ours.patch_size * n for n in patches))
    output = ours(image)
    tokens = theirs(image, interpolate_pos_encoding=True).last_hidden_state
    assert_equal(output.features, tokens[:, 1:].mT.unflatten(2, patches))
    assert_equal(output.embeddings, tokens.mean(1))


def test_maps_are_the_attention_of_transformers(pair):
    ours, theirs = pair
    image = torch.randn(2, 3, *ours.image_size)
    maps = ours(image).maps
    attentions = theirs(image, output_attentions=True).attentions
    *layers, pooled = maps
    for map_, attention in zip(layers, attentions, strict=True):
        assert_equal(map_.flatten(1), attention[:, :, 0, 1:].mean(1))
    assert_equal(pooled.flatten(1), attentions[-1].mean((1, 2))[:, 1:])


def test_base_is_that_of_transformers():
    theirs = materialize(build_transformers("vit_base_patch16", 64, False))
    ours = load("vit_base_patch16", theirs, image_size=(64, 64))
    image = torch.randn(1, 3, 64, 64)
    output, expected = ours(image), theirs(image, output_attentions=True)
    assert_equal(output.embeddings, expected.last_hidden_state.mean(1))
    usual = output.maps[ours.map_names.index("layer_12")]
    assert_equal(usual.flatten(1), expected.attentions[-1][:, :, 0, 1:].mean(1))


def test_features_are_those_of_timm():
    with torch.device("meta"):
        theirs = timm.create_model("vit_tiny_patch16_224")
    theirs = materialize(theirs)
    image = torch.randn(1, 3, 224, 224)
    output = load("vit_tiny_patch16", theirs, norm_eps=1e-6)(image)
    tokens = theirs.forward_features(image)
    assert_equal(output.features.flatten(2).mT, tokens[:, 1:])
    assert_equal(output.embeddings, tokens.mean(1))


@pytest.mark.parametrize("name", VARIANTS)
def test_shapes(name):
    encoder = build(name, in_channels=1)
    output = encoder(torch.empty(2, 1, 96, 70, device="meta"))
    grid = (-(-96 // encoder.patch_size), -(-70 // encoder.patch_size))
    assert output.features.shape == (2, encoder.n_features, *grid)
    assert output.embeddings.shape == (2, encoder.n_features)
    assert len(output.maps) == len(encoder.map_names)
    assert all(map_.shape == (2, *grid) for map_ in output.maps)


@pytest.mark.parametrize("name", MILLIONS)
def test_parameters_are_as_many_as_published(name):
    encoder = build(name)
    n_parameters = sum(p.numel() for p in encoder.parameters())
    head = encoder.n_features * 1000 + 1000
    assert (n_parameters + head) / 1e6 == pytest.approx(
        MILLIONS[name], abs=0.01
    )


def test_nano_is_as_large_as_the_nano_focalnet():
    ours, focalnet = (
        sum(p.numel() for p in build(name).parameters())
        for name in ("vit_nano_patch16", "focalnet_nano_srf")
    )
    assert ours == pytest.approx(focalnet, rel=0.15)


@pytest.mark.parametrize("fill", [0.0, 1.0, 1e4])
def test_maps_are_shares_of_attention(fill):
    encoder = materialize(build("vit_test"))
    for map_ in encoder(torch.full((1, 3, 64, 48), fill)).maps:
        assert map_.isfinite().all()
        assert (map_ >= 0).all()
        assert map_.sum() <= 1 + 1e-5


def test_without_positions_the_order_of_patches_does_not_matter():
    encoder = materialize(build("vit_test"))
    nn.init.zeros_(encoder.positions)
    image = torch.randn(1, 3, 64, 64)
    output, mirrored = encoder(image), encoder(image.roll((16, 8), (2, 3)))
    assert_equal(mirrored.embeddings, output.embeddings)
    assert_equal(mirrored.features, output.features.roll((2, 1), (2, 3)))
    for ours, theirs in zip(mirrored.maps, output.maps, strict=True):
        assert_equal(ours, theirs.roll((2, 1), (1, 2)))


def test_a_block_whose_branches_are_dropped_is_the_identity():
    block = ViT(8, 2, 2, drop_path=1 - 1e-9).blocks[-1]
    hidden = torch.randn(2, 5, 8)
    assert torch.equal(block(hidden)[0], hidden)
    assert not torch.equal(block.eval()(hidden)[0], hidden)


def test_heads_that_do_not_divide_the_tokens_are_refused():
    with pytest.raises(ValueError, match="n_heads=5 must divide dim=32"):
        ViT(dim=32, n_heads=5)
