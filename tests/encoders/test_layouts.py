"""Laws of the published layouts, on the keys of the models themselves."""

import re

import pytest
import torch
import transformers
from timm.models.focalnet import FocalNet
from timm.models.vision_transformer import VisionTransformer

from focalaudio.encoders import build_encoder
from focalaudio.encoders.layouts import LAYOUTS, Layout

SIZES = {"depths": [1, 2], "embed_dim": 16, "focal_levels": [2, 2]}
FOCAL = transformers.FocalNetConfig(
    **SIZES, hidden_sizes=[16, 32], focal_windows=[3, 3]
)
TOKENS = transformers.ViTConfig(hidden_size=24, num_hidden_layers=2)
MODELS = {
    "focalaudio": lambda: build_encoder("vit_test"),
    "transformers FocalNet": lambda: transformers.FocalNetModel(FOCAL),
    "transformers ViT": lambda: transformers.ViTModel(TOKENS),
    "timm FocalNet": lambda: FocalNet(**SIZES),
    "timm ViT": lambda: VisionTransformer(embed_dim=24, depth=2, num_heads=3),
}


def read_keys(name):
    with torch.device("meta"):
        return list(MODELS[name]().state_dict())


@pytest.mark.parametrize("name", MODELS)
def test_a_layout_is_recognised_by_itself_alone(name):
    keys = read_keys(name)
    found = [
        layout.name
        for layout in LAYOUTS
        if any(re.search(layout.marker, key) for key in keys)
    ]
    # microsoft's blocks are timm's; what is around them decides, timm first
    assert found == [name] + ["microsoft FocalNet"] * (name == "timm FocalNet")


@pytest.mark.parametrize("name", MODELS)
def test_no_two_keys_become_one(name):
    layout = next(layout for layout in LAYOUTS if layout.name == name)
    keys = read_keys(name)
    assert len({layout.rename(key) for key in keys}) == len(keys)


@pytest.mark.parametrize("name", ["transformers FocalNet", "timm FocalNet"])
def test_focalnets_have_exactly_our_keys(name):
    layout = next(layout for layout in LAYOUTS if layout.name == name)
    with torch.device("meta"):
        ours = build_encoder("focalnet_test", depths=(1, 2)).state_dict()
    theirs = [key for key in read_keys(name) if not layout.drops(key)]
    assert {layout.rename(key) for key in theirs} == set(ours)


def test_only_whole_names_are_dropped():
    layout = Layout("x", "", prefix="net.", spare=("norm",))
    for key in ("norm.weight", "net.norm.bias"):
        assert layout.drops(key)
    for key in ("norm", "norm.gamma", "a.norm.bias", "norms.bias", "net.bias"):
        assert not layout.drops(key)
