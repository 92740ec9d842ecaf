"""Laws of the sounds that rules are tried on."""

import shutil

import pandas as pd
import pytest
import torch

from focalaudio.inference.novelty_sounds import Sounds, cut_loudest
from focalaudio.models import load_model


@pytest.fixture(scope="module")
def model(exported):
    return load_model(exported)


def test_no_piece_has_more_energy_than_the_loudest():
    wav = torch.randn(500) * torch.rand(500)
    piece = cut_loudest(wav, 70)
    energies = [wav[start : start + 70].square().sum() for start in range(431)]
    assert len(piece) == 70
    assert piece.square().sum() >= max(energies) - 1e-5
    assert cut_loudest(wav, 501).equal(wav)


def test_any_folder_of_sounds_has_its_groups(model, dataset, tmp_path):
    rows = pd.read_csv(dataset / "meta" / "esc50.csv", dtype=str)
    for row in rows.to_dict("records"):
        name = f"{row['fold']}_{row['category']}_{row['src_file']}.wav"
        shutil.copy(dataset / "audio" / row["filename"], tmp_path / name)
    pattern = "{fold}_{label}_{group}"
    folds = ([1, 2, 3], 4, "5")
    named = Sounds(model, tmp_path, *folds, pattern=pattern).rows
    usual = Sounds(model, dataset, *folds).rows
    for part, clips in usual.items():
        assert sorted(i for _, i in clips) == sorted(i for _, i in named[part])
