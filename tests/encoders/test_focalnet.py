"""FocalNet against transformers and timm, and the laws of every variant."""

import pytest
import timm
import torch
import torch.nn.functional as F
import transformers
from torch import nn

from focalaudio.encoders import ENCODERS, build_encoder
from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.focalnet import FocalModulation, FocalNet

VARIANTS = [name for name in ENCODERS if name.startswith("focalnet")]
MILLIONS = {  # published, with a head of 1000 classes
    "focalnet_tiny_srf": 28.4,
    "focalnet_tiny_lrf": 28.6,
    "focalnet_small_srf": 49.9,
    "focalnet_small_lrf": 50.3,
    "focalnet_base_srf": 88.1,
    "focalnet_base_lrf": 88.7,
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def materialize(module, seed=0):
    """Give every weight, bias and norm of a meta module a random value."""
    module = module.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
        nn.init.normal_(parameter, 0, fan_in**-0.5, generator)
    return module.requires_grad_(False)


def build(name, **overrides):
    with torch.device("meta"):
        return build_encoder(name, **overrides)


def build_transformers(name, cls=transformers.FocalNetBackbone, size=64):
    dim, depths, _, levels = build_arguments(name)
    config = transformers.FocalNetConfig(
        image_size=size,
        embed_dim=dim,
        depths=depths,
        hidden_sizes=[dim * 2**stage for stage in range(len(depths))],
        focal_levels=[levels] * len(depths),
        focal_windows=[3] * len(depths),
    )
    with torch.device("meta"):
        return cls(config)


def build_arguments(name):
    arguments = ENCODERS[name][1]
    defaults = {"patch_size": 4, "focal_levels": 2}
    keys = ("dim", "depths", "patch_size", "focal_levels")
    return [(defaults | arguments)[key] for key in keys]


def load(name, theirs):
    ours = build(name).to_empty(device="cpu").eval()
    load_weights(ours, theirs.state_dict())
    return ours.requires_grad_(False)


def assert_equal(ours, theirs, tolerance=1e-5):
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


def record_outputs(modules, pick=lambda output: output):
    """Return a list that the modules append their outputs to."""
    outputs = []
    for module in modules:
        module.register_forward_hook(
            lambda _module, _input, output: outputs.append(pick(output))
        )
    return outputs


@pytest.fixture(scope="module")
def tiny():
    theirs = materialize(build_transformers("focalnet_tiny_srf"))
    return load("focalnet_tiny_srf", theirs), theirs


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (31, 96)])
def test_features_are_those_of_transformers(tiny, size):
    ours, theirs = tiny
    image = torch.randn(2, 3, *size)
    assert_equal(ours(image).features, theirs(image).feature_maps[-1])


@pytest.mark.parametrize("name", ["focalnet_tiny_srf", "focalnet_base_srf"])
def test_modulators_are_those_of_transformers(name):
    theirs = materialize(build_transformers(name))
    ours = load(name, theirs)
    last = [stage.layers[-1] for stage in theirs.focalnet.encoder.stages]
    expected = record_outputs(
        layer.modulation.projection_context for layer in last
    )
    modulators = record_outputs(
        (stage.blocks[-1].modulation for stage in ours.stages),
        pick=lambda output: output[1],
    )
    image = torch.randn(1, 3, 64, 64)
    output = ours(image)
    assert_equal(output.features, theirs(image).feature_maps[-1])
    for ours, map_, theirs in zip(
        modulators, output.maps, expected, strict=True
    ):
        assert_equal(ours, theirs)
        assert_equal(map_, theirs.square().sum(1).sqrt())


def test_logits_are_those_of_transformers():
    cls = transformers.FocalNetForImageClassification
    theirs = materialize(build_transformers("focalnet_tiny_srf", cls))
    image = torch.randn(2, 3, 64, 64)
    features = load("focalnet_tiny_srf", theirs)(image).features
    norm = theirs.focalnet.layernorm
    tokens = F.layer_norm(
        features.flatten(2).mT, (768,), norm.weight, norm.bias
    )
    logits = theirs.classifier(tokens.mean(1))
    assert_equal(logits, theirs(image).logits)


@pytest.mark.parametrize(
    "name", ["focalnet_tiny_srf", "focalnet_tiny_lrf", "focalnet_base_srf"]
)
def test_features_are_those_of_timm(name):
    with torch.device("meta"):
        theirs = timm.create_model(name)
    theirs = materialize(theirs)
    image = torch.randn(1, 3, 96, 64)
    _, stages = theirs.forward_intermediates(image)
    assert_equal(load(name, theirs)(image).features, stages[-1])


@pytest.mark.parametrize(
    "name", [name for name in VARIANTS if not name.endswith("pyramid")]
)
def test_shapes(name):
    encoder = build(name, in_channels=1)
    dim, depths, patch, _ = build_arguments(name)
    output = encoder(torch.empty(2, 1, 96, 70, device="meta"))
    rows, cols = -(-96 // patch), -(-70 // patch)
    for map_ in output.maps:
        assert map_.shape == (2, rows, cols)
        final, rows, cols = (rows, cols), -(-rows // 2), -(-cols // 2)
    assert encoder.n_features == dim * 2 ** (len(depths) - 1)
    assert output.features.shape == (2, encoder.n_features, *final)
    assert output.embeddings.shape == (2, encoder.n_features)
    assert len(output.maps) == len(encoder.map_names)


@pytest.mark.parametrize("name", MILLIONS)
def test_parameters_are_as_many_as_published(name):
    encoder = build(name)
    n_parameters = sum(p.numel() for p in encoder.parameters())
    norm_and_head = encoder.n_features * (2 + 1000) + 1000
    assert (n_parameters + norm_and_head) / 1e6 == pytest.approx(
        MILLIONS[name], abs=0.1
    )


@pytest.mark.parametrize("fill", [0.0, 1.0, 1e4])
def test_maps_of_constant_images_are_finite_and_non_negative(fill):
    output = materialize(build("focalnet_test"))(
        torch.full((1, 3, 64, 64), fill)
    )
    for map_ in output.maps:
        assert map_.isfinite().all()
        assert (map_ >= 0).all()


def test_embedding_is_the_mean_of_the_features():
    output = materialize(build("focalnet_test"))(torch.randn(2, 3, 64, 64))
    assert_equal(output.embeddings, output.features.flatten(2).mean(2))


def test_last_map_is_the_final_stage_and_named_so():
    encoder = build("focalnet_tiny_srf")
    assert encoder.map_names == ("stage_1", "stage_2", "stage_3", "stage_4")


def test_global_context_is_the_same_everywhere_but_local_is_not():
    modulation = materialize(FocalModulation(8, 3, 2))
    hidden = torch.randn(1, 5, 6, 8)
    assert modulation(hidden)[1].std((2, 3)).min() > 0.01
    modulation.project_in.weight[-3:] = 0
    modulation.project_in.bias[-3:] = torch.tensor([0.0, 0.0, 1.0])  # gates
    modulator = modulation(hidden)[1]
    assert_equal(modulator, modulator[:, :, :1, :1].expand_as(modulator))


def test_kernels_grow_by_two_per_level():
    sizes = [c.kernel_size for c in FocalModulation(4, 3, 3).levels]
    assert sizes == [(3, 3), (5, 5), (7, 7)]


def test_a_block_whose_branches_are_dropped_is_the_identity():
    block = FocalNet(8, (2,), drop_path=1 - 1e-9).stages[-1].blocks[-1]
    hidden = torch.randn(2, 5, 6, 8)
    assert torch.equal(block(hidden)[0], hidden)
    assert not torch.equal(block.eval()(hidden)[0], hidden)


def test_even_window_is_refused():
    with pytest.raises(ValueError, match="focal_window=4 must be odd"):
        FocalNet(focal_window=4)


@pytest.mark.parametrize("finest", [1, 2, 3])
def test_a_top_down_path_has_the_resolution_of_its_stage(finest):
    encoder = FocalNet(8, (1, 1, 1), in_channels=1, finest=finest, width=12)
    output = encoder(torch.rand(2, 1, 70, 64))
    assert encoder.map_names[-1] == "top_down"
    assert output.features.shape == (
        2,
        12,
        *output.maps[finest - 1].shape[1:],
    )
    assert output.maps[-1].shape == output.maps[finest - 1].shape
    torch.testing.assert_close(output.embeddings, output.features.mean((2, 3)))


def test_a_top_down_path_hears_every_stage_that_takes_part():
    encoder = FocalNet(8, (1, 1, 1), in_channels=1, finest=2, width=12)
    encoder(torch.rand(2, 1, 64, 64)).embeddings.square().sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_a_top_down_path_changes_none_of_the_stages_maps():
    image = torch.rand(1, 1, 64, 64)
    plain = FocalNet(8, (1, 1), in_channels=1)
    fine = FocalNet(8, (1, 1), in_channels=1, finest=1)
    fine.load_state_dict(plain.state_dict(), strict=False)
    for one, other in zip(plain(image).maps, fine(image).maps, strict=False):
        assert torch.equal(one, other)


@pytest.mark.parametrize("finest", [0, 4])
def test_a_stage_that_does_not_exist_cannot_be_the_finest(finest):
    with pytest.raises(ValueError, match=f"finest={finest}"):
        FocalNet(8, (1, 1, 1), finest=finest)


def test_gradients_of_the_convolutions_lie_as_their_outputs_do():
    modulation = FocalModulation(dim=8, focal_window=3, focal_levels=2)
    layouts = []

    def look(module, inputs, output):
        output.register_hook(
            lambda slope: layouts.append(
                slope.is_contiguous(memory_format=torch.channels_last)
            )
        )

    for level in modulation.levels:
        level.register_forward_hook(look)
    output, modulator = modulation(torch.randn(2, 6, 5, 8))
    (output.sum() + modulator.square().sum()).backward()
    assert layouts == [True, True]


class Twice(torch.nn.Module):
    def forward(self, merged):
        return merged, merged


def test_a_top_down_path_reads_all_stages_at_the_same_place():
    encoder = FocalNet(4, (1, 1, 1), in_channels=1, finest=1, width=1)
    path = encoder.top_down
    path.laterals = torch.nn.ModuleList(3 * [torch.nn.Identity()])
    path.block = Twice()
    rows = 13  # of the first stage: 7 of the second, 4 of the third
    grids = [
        ((torch.arange(-(-rows // step)) + 0.5) * step)[None, None, :, None]
        for step in (1, 2, 4)
    ]
    features, _ = path(grids)
    middles = 3 * (torch.arange(rows) + 0.5)
    torch.testing.assert_close(features[0, 0, 2:, 0], middles[2:])
