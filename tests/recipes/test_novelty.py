"""Measuring which sounds get an answer, from a run to a bundle's rule."""

import json
from dataclasses import asdict

import pytest

from focalaudio.metrics.novelty import SCORES
from focalaudio.models.bundle import read_bundle
from focalaudio.models.export import export_run
from focalaudio.report.tables import read_csv

OPTIONS = {"n_noises": 2, "noise_levels": "[0, -100]"}


def test_a_model_is_moved_to_the_device(recipe, dataset, trained, tmp_path):
    """On `meta` nothing has a value: what is computed there cannot be read."""
    options = {"data_folder": dataset, "classifier": trained}
    flags = ["--device", "meta"]
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        recipe("novelty", tmp_path / "novelty", flags, **options)


def test_a_rule_goes_from_a_run_into_its_bundle(
    recipe, dataset, trained, tmp_path
):
    out = recipe(
        "novelty",
        tmp_path / "novelty",
        data_folder=dataset,
        classifier=trained,
        others=dataset / "audio",
        score="[evidence, spectrum]",
        **OPTIONS,
    )
    rows = read_csv(out / "novelty.csv")
    scores = [row["score"] for row in rows]
    assert scores == [*SCORES, "evidence and spectrum"]
    assert (out / "novelty.md").exists()
    rules = json.loads((out / "novelty.json").read_text())["novelty"]
    bundle = export_run(trained, tmp_path / "bundle", novelty=out)
    found = read_bundle(bundle).novelty
    assert [asdict(rule) for rule in found.rules] == rules
    assert (bundle / "spectral_shape.safetensors").is_file()
