"""Measuring which sounds get an answer, from a run to a bundle's rule."""

import json

from focalaudio.metrics.novelty import SCORES
from focalaudio.models.bundle import read_bundle
from focalaudio.models.export import export_run
from focalaudio.report.tables import read_csv

OPTIONS = {"n_noises": 2, "noise_levels": "[0, -100]"}


def test_a_rule_goes_from_a_run_into_its_bundle(
    recipe, dataset, trained, tmp_path
):
    out = recipe(
        "novelty",
        tmp_path / "novelty",
        data_folder=dataset,
        classifier=trained,
        others=dataset / "audio",
        score="evidence",
        **OPTIONS,
    )
    rows = read_csv(out / "novelty.csv")
    assert [row["score"] for row in rows] == list(SCORES)
    assert (out / "novelty.md").exists()
    rule = json.loads((out / "novelty.json").read_text())["novelty"]
    bundle = export_run(trained, tmp_path / "bundle", novelty=out)
    found = read_bundle(bundle).novelty
    assert (found.score, found.threshold) == ("evidence", rule["threshold"])
