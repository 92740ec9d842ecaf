import pytest
import torch
from transformers import (
    FocalNetConfig,
    FocalNetModel,
    ViTConfig,
    ViTModel,
)

from focalaudio.encoders.checkpoints import load_weights
from focalaudio.encoders.configs import read_config
from focalaudio.errors import ModelError

CONFIGS = {
    "focalnet": FocalNetConfig(
        embed_dim=8,
        depths=[1, 2, 1],
        focal_levels=[3, 3, 3],
        focal_windows=[5, 5, 5],
        mlp_ratio=2.0,
        patch_size=2,
        num_channels=2,
        image_size=32,
    ),
    "vit": ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=60,
        patch_size=8,
        num_channels=2,
        image_size=32,
        layer_norm_eps=1e-6,
    ),
}
MODELS = {"focalnet": FocalNetModel, "vit": ViTModel}


@pytest.mark.parametrize("name", CONFIGS)
def test_an_encoder_of_any_size_says_what_transformers_says(name, tmp_path):
    theirs = MODELS[name](CONFIGS[name]).eval()
    CONFIGS[name].save_pretrained(tmp_path)
    kind, arguments = read_config(tmp_path / "config.json")
    ours = kind(**arguments).eval()
    load_weights(ours, theirs.state_dict())
    image = torch.rand(2, 2, 32, 32)
    with torch.no_grad():
        output, tokens = ours(image), theirs(image).last_hidden_state
    if name == "vit":
        torch.testing.assert_close(output.embeddings, tokens.mean(1))
    else:
        cells = output.features.flatten(2).mT
        torch.testing.assert_close(theirs.layernorm(cells), tokens)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("focalnet", {"use_layerscale": True}, "use_layerscale=True"),
        ("focalnet", {"use_conv_embed": True}, "use_conv_embed=True"),
        ("focalnet", {"use_post_layernorm": True}, "use_post_layernorm=True"),
        ("focalnet", {"normalize_modulator": True}, "normalize_modulator"),
        ("focalnet", {"hidden_act": "relu"}, "hidden_act='relu'"),
        ("focalnet", {"focal_levels": [2, 3, 2]}, "same in all stages"),
        ("vit", {"qkv_bias": False}, "qkv_bias=False"),
        ("vit", {"model_type": "swin"}, "must be 'focalnet' or 'vit'"),
        ("vit", {"hidden_size": "wide"}, "no configuration"),
    ],
)
def test_what_our_encoders_cannot_do_is_refused(name, change, said, tmp_path):
    import json

    config = CONFIGS[name].to_dict() | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=said) as error:
        read_config(tmp_path / "config.json")
    assert "config.json" in str(error.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", '"focalnet"'])
def test_what_is_no_configuration_is_an_error(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError, match="no configuration"):
        read_config(tmp_path / "config.json")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.json does not exist"):
        read_config(tmp_path / "none.json")


def test_defaults_are_those_of_transformers(tmp_path):
    for kind in ("focalnet", "vit"):
        (tmp_path / "config.json").write_text(f'{{"model_type": "{kind}"}}')
        encoder, arguments = read_config(tmp_path / "config.json")
        config = FocalNetConfig() if kind == "focalnet" else ViTConfig()
        with torch.device("meta"):
            ours, theirs = encoder(**arguments), MODELS[kind](config)
        count = sum(p.numel() for p in ours.parameters())
        spare = {"focalnet": ("layernorm.",), "vit": ("pooler.",)}[kind]
        assert count == sum(
            parameter.numel()
            for name, parameter in theirs.named_parameters()
            if not name.startswith(spare)
        )
