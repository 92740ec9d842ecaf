"""Every published layout loads to equal outputs; everything else is refused."""

import random
import re

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from timm.models.focalnet import FocalNet
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from focalaudio.encoders import build_encoder
from focalaudio.encoders.checkpoints import LoadReport, load_weights
from focalaudio.errors import ModelError

SIZES = {"depths": [1, 2], "embed_dim": 16, "focal_levels": [2, 2]}
FOCAL = transformers.FocalNetConfig(
    **SIZES, hidden_sizes=[16, 32], focal_windows=[3, 3], image_size=64
)
TOKENS = transformers.ViTConfig(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=128,
    patch_size=8,
    image_size=64,
)
TIMM_TOKENS = {
    "embed_dim": 32,
    "depth": 2,
    "num_heads": 2,
    "patch_size": 8,
    "img_size": 64,
    "num_classes": 5,
}
NORM = ("layernorm.weight", "layernorm.bias")
HEAD = ("classifier.weight", "classifier.bias")
FOCALNETS = {  # model, layout, what is dropped
    "model": (lambda: transformers.FocalNetModel(FOCAL), NORM),
    "backbone": (
        lambda: transformers.FocalNetBackbone(FOCAL),
        tuple(f"focalnet.{key}" for key in NORM),
    ),
    "classifier": (
        lambda: transformers.FocalNetForImageClassification(FOCAL),
        (*(f"focalnet.{key}" for key in NORM), *HEAD),
    ),
    "timm": (
        lambda: FocalNet(**SIZES, num_classes=5),
        ("norm.weight", "norm.bias", "head.fc.weight", "head.fc.bias"),
    ),
}
POOLER = ("pooler.dense.weight", "pooler.dense.bias")
VITS = {
    "model": (lambda: transformers.ViTModel(TOKENS), POOLER),
    "bare": (lambda: transformers.ViTModel(TOKENS, False), ()),
    "classifier": (
        lambda: transformers.ViTForImageClassification(TOKENS),
        HEAD,
    ),
    "timm": (
        lambda: VisionTransformer(**TIMM_TOKENS),
        ("head.weight", "head.bias"),
    ),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def randomize(module):
    """Give every weight, bias, norm and token a random value."""
    for parameter in module.eval().requires_grad_(False).parameters():
        is_kernel = parameter.dim() in (2, 4)
        fan_in = parameter[0].numel() if is_kernel else 1
        nn.init.normal_(parameter, 0, fan_in**-0.5)
    return module


def build_focalnet(**overrides):
    arguments = {"depths": (1, 2), "patch_size": 4} | overrides
    return randomize(build_encoder("focalnet_test", **arguments))


def build_vit(**overrides):
    return randomize(build_encoder("vit_test", **overrides))


def compute_tokens(model, image):
    """Return the last tokens of anybody's model, `[batch, tokens, dim]`."""
    if isinstance(model, VisionTransformer):
        return model.forward_features(image)
    if isinstance(model, FocalNet):
        return model.layers(model.stem(image)).flatten(2).mT
    if isinstance(model, transformers.FocalNetPreTrainedModel):
        model = getattr(model, "focalnet", model)
        model.layernorm = nn.Identity()
    model = getattr(model, "vit", model)
    return model(image).last_hidden_state


def assert_equal(ours, theirs, tolerance=1e-5):
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


def to_microsoft(weights):
    """Undo what timm's loader does to the weights of microsoft/FocalNet."""
    renamed = {}
    for key, weight in weights.items():
        key = re.sub(
            r"layers\.(\d)\.downsample",
            lambda match: f"layers.{int(match[1]) - 1}.downsample",
            key,
        )
        key = key.replace("stem", "patch_embed").replace("head.fc", "head")
        if re.search(r"(\.f|modulation\.proj|fc1|fc2)\.weight", key):
            weight = weight.flatten(1)
        renamed[key] = weight
    return renamed


@pytest.mark.parametrize("name", FOCALNETS)
def test_focalnets_of_others_give_their_features(name):
    make, dropped = FOCALNETS[name]
    theirs, ours = randomize(make()), build_focalnet()
    report = load_weights(ours, theirs.state_dict())
    assert set(report.dropped) == set(dropped)
    assert report.layout == (
        "timm FocalNet" if name == "timm" else "transformers FocalNet"
    )
    image = torch.randn(2, 3, 64, 64)
    features = ours(image).features.flatten(2).mT
    assert_equal(features, compute_tokens(theirs, image))


@pytest.mark.parametrize("name", VITS)
def test_vits_of_others_give_their_tokens(name):
    make, dropped = VITS[name]
    eps = 1e-6 if name == "timm" else 1e-12
    theirs, ours = randomize(make()), build_vit(norm_eps=eps)
    report = load_weights(ours, theirs.state_dict())
    assert set(report.dropped) == set(dropped)
    assert report.layout == (
        "timm ViT" if name == "timm" else "transformers ViT"
    )
    image = torch.randn(2, 3, 64, 64)
    tokens = compute_tokens(theirs, image)
    assert_equal(ours(image).embeddings, tokens.mean(1))
    assert_equal(ours(image).features.flatten(2).mT, tokens[:, 1:])


@pytest.mark.parametrize("wrapped", [True, False])
def test_microsoft_is_timm_under_other_names(wrapped):
    theirs = randomize(FocalNet(**SIZES, num_classes=5))
    weights = to_microsoft(theirs.state_dict())
    ours = build_focalnet()
    report = load_weights(ours, {"model": weights} if wrapped else weights)
    assert report.layout == "microsoft FocalNet"
    dropped = {"norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert set(report.dropped) == dropped
    image = torch.randn(1, 3, 64, 64)
    expected = compute_tokens(theirs, image)
    assert_equal(ours(image).features.flatten(2).mT, expected)


def test_the_keys_of_older_transformers_load_equally(tmp_path):
    theirs = randomize(transformers.ViTModel(TOKENS))
    theirs.save_pretrained(tmp_path)  # writes the older keys
    path = tmp_path / "model.safetensors"
    assert any("attention.attention.query" in key for key in load_file(path))
    ours, same = build_vit(), build_vit()
    report = load_weights(ours, path)
    load_weights(same, theirs.state_dict())
    assert set(report.dropped) == set(POOLER)
    for key, weight in ours.state_dict().items():
        assert torch.equal(weight, same.state_dict()[key]), key


@pytest.mark.parametrize("build", [build_focalnet, build_vit])
@pytest.mark.parametrize("name", ["a.safetensors", "a.ckpt", "a.pt", "a.bin"])
def test_a_file_is_its_state_dict(build, name, tmp_path):
    ours, theirs = build(), build()
    save = save_file if name.endswith("safetensors") else torch.save
    save(theirs.state_dict(), tmp_path / name)
    assert load_weights(ours, tmp_path / name) == LoadReport("focalaudio")
    assert load_weights(ours, str(tmp_path / name)) == LoadReport("focalaudio")
    for key, weight in ours.state_dict().items():
        assert torch.equal(weight, theirs.state_dict()[key])


def test_the_order_of_keys_does_not_matter():
    weights = list(transformers.ViTModel(TOKENS).state_dict().items())
    ours, same = build_vit(), build_vit()
    load_weights(ours, dict(weights))
    random.Random(0).shuffle(weights)
    load_weights(same, dict(weights))
    image = torch.randn(1, 3, 64, 64)
    assert torch.equal(ours(image).embeddings, same(image).embeddings)


@pytest.mark.parametrize("build", [build_focalnet, build_vit])
def test_one_channel_is_the_image_repeated(build):
    ours, theirs = build(in_channels=1), build()
    report = load_weights(ours, theirs.state_dict())
    assert report.summed_channels
    image = torch.randn(2, 1, 64, 64)
    repeated = theirs(image.expand(-1, 3, -1, -1))
    assert_equal(ours(image).features, repeated.features)
    assert_equal(ours(image).maps[0], repeated.maps[0])


def test_only_the_patch_kernel_is_summed():
    encoder = build_focalnet()
    weights, key = encoder.state_dict(), "stages.0.blocks.0.modulation.levels.0"
    dense = weights[f"{key}.weight"].expand(-1, 16, -1, -1)
    refuse(weights | {f"{key}.weight": dense}, "1 of another shape", encoder)


def test_one_channel_is_not_made_three():
    with pytest.raises(ModelError, match="1 of another shape .stages.0.embedd"):
        load_weights(
            build_focalnet(), build_focalnet(in_channels=1).state_dict()
        )


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float64]
)
def test_other_precisions_become_ours(dtype):
    theirs = build_focalnet().to(dtype)
    ours = build_focalnet()
    load_weights(ours, theirs.state_dict())
    for key, weight in ours.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, theirs.state_dict()[key].float())


def test_the_state_of_a_training_is_dropped_and_named():
    weights = {"model": build_vit().state_dict(), "epoch": 3, "optimizer": {}}
    report = load_weights(build_vit(), weights)
    assert report.dropped == ("epoch", "optimizer")
    weights["teacher"] = {}
    with pytest.raises(ModelError, match="1 left over .teacher."):
        load_weights(build_vit(), weights)


def refuse(weights, match, encoder=None):
    """Loading must fail and must leave the encoder as it was."""
    encoder = encoder or build_vit()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    with pytest.raises(ModelError, match=match):
        load_weights(encoder, weights)
    for key, weight in encoder.state_dict().items():
        assert torch.equal(weight, before[key])


SOURCES = {  # whose keys, and the encoder they are for
    "backbone": (FOCALNETS["backbone"][0], build_focalnet),
    "timm FocalNet": (FOCALNETS["timm"][0], build_focalnet),
    "transformers ViT": (VITS["bare"][0], build_vit),
    "timm ViT": (VITS["timm"][0], build_vit),
    "ours": (build_vit, build_vit),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_key_is_needed_unless_it_is_dropped(name):
    make, build = SOURCES[name]
    weights, encoder = make().state_dict(), build()
    spare = set(load_weights(encoder, weights).dropped)
    for key in weights:
        rest = {k: v for k, v in weights.items() if k != key}
        if key in spare:
            load_weights(encoder, rest)
        else:
            refuse(rest, "1 missing", encoder)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("extra", ["stray.weight", "norm.gamma", "gamma_1"])
def test_any_other_key_is_left_over(name, extra):
    make, build = SOURCES[name]
    weights = make().state_dict() | {extra: torch.zeros(3)}
    refuse(weights, rf"1 left over \({re.escape(extra)}\)", build())


@pytest.mark.parametrize("name", SOURCES)
def test_every_value_is_checked(name):
    make, build = SOURCES[name]
    weights, encoder = make().state_dict(), build()
    spare = set(load_weights(encoder, weights).dropped)
    for key in set(weights) - spare:
        weight = weights[key]
        spoiled = weight.clone()
        spoiled.view(-1)[-1] = float("nan")
        # queries, keys and values that do not match cannot be joined
        shape = "1 of another shape|1 missing"
        refuse(weights | {key: weight[None]}, shape, encoder)
        refuse(weights | {key: weight[:-1]}, shape, encoder)
        refuse(weights | {key: spoiled}, "1 not finite", encoder)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda w: w.int(), r"1 no dense floats \(norm.bias torch.int32\)"),
        (lambda w: w.bool(), "1 no dense floats"),
        (lambda w: w.to(torch.complex64), "1 no dense floats"),
        (lambda w: w.to_sparse(), "1 no dense floats"),
        (lambda w: w.to("meta"), "1 no dense floats"),
        (lambda w: w.double() + 1e300, "1 not finite"),
        (lambda w: w.double() / 0, "1 not finite"),
        (lambda w: w.tolist(), r"1 no tensors \(norm.bias\)"),
        (lambda w: None, "1 no tensors"),
    ],
)
def test_what_is_no_number_of_ours_is_refused(change, match):
    weights = build_vit().state_dict()
    refuse(weights | {"norm.bias": change(weights["norm.bias"])}, match)


HUGE = {  # shapes of more values than any memory holds
    "norm.bias": (10**15,),
    "blocks.0.mlp.expand.weight": (32, 10**15, 1, 1),
    "embedding.weight": (32, 10**12, 8, 8),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("key", HUGE)
def test_a_few_bytes_that_claim_to_be_many_take_no_memory(
    key, channels, dtype, tmp_path
):
    encoder = build_vit(in_channels=channels)
    claimed = torch.zeros(1, dtype=dtype).expand(HUGE[key])
    torch.save(encoder.state_dict() | {key: claimed}, tmp_path / "a.ckpt")
    refuse(tmp_path / "a.ckpt", f"1 of another shape .{key}", encoder)


def test_queries_are_stacked_only_where_they_fit(tmp_path):
    weights = transformers.ViTModel(TOKENS).state_dict()
    for part in "qkv":
        key = f"layers.0.attention.{part}_proj.bias"
        weights[key] = torch.zeros(1).expand(10**15)
    torch.save(weights, tmp_path / "a.ckpt")
    refuse(tmp_path / "a.ckpt", "3 left over .*1 missing")


def test_a_repeated_value_is_a_weight_like_any_other(tmp_path):
    weights = build_vit().state_dict() | {
        "norm.bias": torch.ones(()).expand(32)
    }
    torch.save(weights, tmp_path / "a.ckpt")
    encoder = build_vit()
    load_weights(encoder, tmp_path / "a.ckpt")
    assert torch.equal(encoder.state_dict()["norm.bias"], torch.ones(32))


def test_faults_are_counted_and_the_first_are_named():
    weights = build_vit().state_dict()
    with pytest.raises(ModelError) as caught:
        load_weights(build_focalnet(), weights)
    assert "30 left over (cls_token, positions, embedding.weight, ...)" in str(
        caught.value
    )
    assert "56 missing (stages.0.embedding.projection.weight, " in str(
        caught.value
    )


def test_queries_that_come_twice_are_left_over():
    weights = transformers.ViTModel(TOKENS).state_dict()
    stray = {"layers.0.attention.project_in.bias": torch.zeros(96)}
    refuse(weights | stray, "3 left over .layers.0.attention.q_proj.bias")


def test_a_key_that_comes_twice_is_left_over():
    weights = transformers.FocalNetModel(FOCAL).state_dict()
    key = "embeddings.norm.bias"
    twice = weights | {f"focalnet.{key}": weights[key]}
    refuse(twice, f"1 left over .focalnet.{key}", build_focalnet())


@pytest.mark.parametrize(
    "weights", [{}, {"weight": torch.ones(2)}, {"model": {}}]
)
def test_an_unknown_layout_is_answered_with_those_that_are_known(weights):
    refuse(weights, "of no known layout .*microsoft FocalNet")


def test_keys_must_be_names():
    refuse({0: torch.ones(2)}, r"1 no tensors \(0\)")


def test_a_larger_variant_does_not_fit():
    larger = build_encoder("focalnet_test", dim=32).state_dict()
    refuse(
        larger,
        "40 of another shape .* Build the encoder",
        build_focalnet(depths=(1, 1), patch_size=8),
    )


def test_a_missing_file_is_no_model_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path))):
        load_weights(build_vit(), tmp_path / "missing.ckpt")


def test_a_file_that_does_not_fit_is_named(tmp_path):
    torch.save(build_vit().state_dict(), tmp_path / "a.ckpt")
    with pytest.raises(ModelError, match=re.escape(str(tmp_path / "a.ckpt"))):
        load_weights(build_focalnet(), tmp_path / "a.ckpt")
