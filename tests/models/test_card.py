import json

import pytest
import yaml

from focalaudio.models.card import Card, Measurement, read_measurements
from focalaudio.report.tables import write_csv, write_json

CARD = Card(
    "focalnet_nano_srf",
    ["dog", "can `opening`"],
    "5 s, 16000 Hz",
    "Data: `ESC-10`.",
    "synthesized",
    license="cc-by-nc-4.0",
    measurements=(Measurement("Accuracy", 0.85, 0.775, 0.925, 80),),
)


def test_the_head_is_yaml_that_a_hub_reads():
    head = yaml.safe_load(CARD.to_markdown().split("---")[1])
    assert head["license"] == "cc-by-nc-4.0"
    assert head["pipeline_tag"] == "audio-classification"


def test_a_license_cannot_add_keys_to_the_head():
    card = Card("x", ["a"], "s", "o", "e", license="mit\nevil: 1")
    head = yaml.safe_load(card.to_markdown().split("\n---\n")[0])
    assert "evil" not in head


@pytest.mark.parametrize(
    "said",
    [
        "`dog`, `can opening`",
        "| Accuracy | 0.850 | 0.775 to 0.925 | 80 |",
        "SoundInterpreter.from_hparams",
        "focalaudio explain",
        "2402.02754",
        "Data: `ESC-10`.",
        "`cc-by-nc-4.0`",
        "one of 2 labels",
    ],
)
def test_the_card_says(said):
    assert said in CARD.to_markdown()


def test_decoders_are_named_only_where_they_are():
    assert "PIQ" not in CARD.to_markdown()
    card = Card("x", ["a"], "s", "o", "e", decoders=["piq", "lmac"])
    for said in ("PIQ", "`decoder.safetensors`", "L-MAC", "`lmac.safetensors`"):
        assert said in card.to_markdown()


@pytest.mark.parametrize("column", ["accuracy", "correct"])
def test_measurements_are_the_runs_own_old_or_new(tmp_path, column):
    rows = [{"clip_id": str(i), column: float(i < 3)} for i in range(4)]
    write_csv(rows, tmp_path / "clips.csv")
    write_json({"accuracy": 0.75, "loss": 1.0}, tmp_path / "metrics.json")
    (measured,) = read_measurements(tmp_path)
    assert (measured.value, measured.n_clips) == (0.75, 4)
    assert 0 <= measured.low < 0.75 < measured.high == 1


def test_what_an_interpretation_measured_is_there_too(tmp_path):
    names = ["accuracy", "fidelity", "faithfulness", "kept_fraction"]
    rows = [dict.fromkeys(names, 0.5)] * 3
    write_csv(rows, tmp_path / "clips.csv")
    (tmp_path / "metrics.json").write_text(json.dumps(rows[0]))
    measured = read_measurements(tmp_path)
    assert [one.value for one in measured] == [0.5] * 4
    assert {one.low for one in measured} == {0.5}
