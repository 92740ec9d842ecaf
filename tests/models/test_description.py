import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from focalaudio.encoders import build_encoder, list_encoders
from focalaudio.interpreters.decoders import DECODERS
from focalaudio.models.description import (
    Description,
    all_arguments,
    decoder_variant,
    variant,
)
from focalaudio.models.safe_yaml import read_objects
from focalaudio.models.schema import KEYS, MAKERS

VALUES = {
    "sample_rate": 22050,
    "n_fft": 512,
    "win_length": 20.0,
    "hop_length": 10.0,
    "clip_seconds": None,
    "n_classes": 4,
    "head": "linear",
    "logit_scale": 1.0,
    "image_size": None,
}


def shapes(module):
    return {key: value.shape for key, value in module.state_dict().items()}


@pytest.mark.parametrize("name", list_encoders())
def test_every_encoder_can_be_described_and_built_again(name, tmp_path):
    text = Description(VALUES, *variant(name, in_channels=1)).to_yaml()
    path = tmp_path / "hyperparams.yaml"
    path.write_text(text)
    with torch.device("meta"):
        ours = read_objects(path, KEYS, MAKERS)
        theirs = load_hyperpyyaml(text)
        built = build_encoder(name, in_channels=1)
    assert shapes(ours["encoder"]) == shapes(built)
    assert shapes(ours["classifier"]) == shapes(theirs["classifier"])
    assert ours["encoder"].image_size == built.image_size
    assert ours["reader"].sample_rate == 22050
    assert ours["reader"].clip_seconds is None
    assert set(ours) == set(KEYS) == set(theirs)


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_can_be_described_and_built_again(name, tmp_path):
    from focalaudio.models.schema import DECODER_KEYS

    kind, arguments = decoder_variant(name, 8, 4, 16, 0, {})
    description = Description(
        VALUES,
        *variant("focalnet_test", in_channels=1),
        decoder=kind,
        decoder_arguments=arguments,
        mask_threshold=0.3,
    )
    path = tmp_path / "hyperparams.yaml"
    path.write_text(description.to_yaml())
    parts = read_objects(path, KEYS | DECODER_KEYS, MAKERS)
    assert shapes(parts["decoder"]) == shapes(kind(**arguments))
    assert parts["mask_threshold"] == 0.3


def test_interpretation_survives(tmp_path):
    settings = {
        "method": "by_design",
        "quantile": 0.75,
        "stages": ["stage_1", -1],
    }
    description = Description(
        VALUES, *variant("focalnet_test", in_channels=1), settings
    )
    path = tmp_path / "hyperparams.yaml"
    path.write_text(description.to_yaml())
    assert read_objects(path, KEYS, MAKERS)["interpretation"] == settings


def test_defaults_are_written_out():
    _, arguments = variant("focalnet_tiny", in_channels=1)
    assert arguments["focal_window"] == 3
    assert arguments["drop_path"] == 0.0


def test_every_argument_of_the_table_exists():
    for name, maker in MAKERS.items():
        known = all_arguments(maker.make, {}).keys()
        parameters = maker.make.__init__.__code__.co_varnames
        for argument in maker.rules:
            assert argument in (*known, *parameters), (name, argument)
