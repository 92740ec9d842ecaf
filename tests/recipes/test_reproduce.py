"""The whole reproduction, as small as it can be, on sounds that are made."""

import json
import shutil

import pandas as pd
import pytest
import soundfile

from focalaudio.errors import DataError
from focalaudio.pictures import draw_spectrograms
from focalaudio.reproduction import figures
from focalaudio.reproduction.figures import write_mixture_figures

SYSTEMS = {
    "tiny": {
        "training": {"encoder_name": "focalnet_test_pyramid"},
        "interpret": {"maps": ["class_evidence"]},
        "piq": {},
        "lmac": {},
        "compare": [{"maps": ["top_down"]}, {"method": "gradcam"}],
    }
}
CONDITIONS = {
    "overlap": {
        "condition": "overlap",
        "quantiles": [0.5, 0.9],
        "max_clips": 6,
    }
}
OPTIONS = {
    "systems": json.dumps(SYSTEMS),
    "wanted_systems": "[tiny]",
    "wanted_conditions": "[overlap]",
    "conditions": json.dumps(CONDITIONS),
    "compare": json.dumps([{"method": "random"}]),
    "figure_2": "overlap",
    "figure_3": "overlap",
}


@pytest.fixture(scope="module")
def reproduced(recipe, dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "reproduced"
    flags = ("--debug",)
    recipe("reproduce", out, flags, data_folder=dataset, **OPTIONS)
    return out


def test_every_table_and_figure_is_there(reproduced):
    left = {path.name for path in reproduced.iterdir()}
    for name in ("overlap", "classifiers"):
        assert {f"{name}.csv", f"{name}.md", f"{name}.json"} <= left
    assert {"figure_3.png", "figure_3.csv", "figure_2_tiny.png"} <= left
    sounds = sorted((reproduced / "figure_2_tiny").glob("*.wav"))
    assert len(sounds) == 4
    parts = [soundfile.read(path)[0] for path in sounds]
    assert abs(parts[0] + parts[1] - parts[2]).max() < 1e-3


def test_one_page_collects_scores_and_pages(reproduced):
    text = (reproduced / "report.html").read_text(encoding="utf-8")
    for name in ("tiny: gradcam, quantile 0.9", "tiny: cleanest"):
        assert name in text
    own = "fold_5/tiny/overlap/report.html"
    assert f"./{own}" in text
    assert 'class="clip"' in (reproduced / own).read_text(encoding="utf-8")


def test_the_table_has_every_interpreter_floor_and_oracle(reproduced):
    table = pd.read_csv(reproduced / "overlap.csv").set_index("interpreter")
    assert list(table.index) == [
        "class_evidence",
        "top_down",
        "gradcam",
        "piq, decoder LightDecoder",
        "piq, decoder LightDecoder, mask binary",
        "lmac, decoder LMACDecoder",
        "lmac, decoder LMACDecoder, mask binary",
        "random",
        "cleanest",
        "ideal",
    ]
    assert (table["n_clips"] == 6).all()
    share = table["source_share"]
    assert share["cleanest"] >= share.drop("cleanest").max()
    others = table.drop(["cleanest", "ideal"])
    assert others["fidelity"].between(0, 1).all()
    assert table.loc[["cleanest", "ideal"], "fidelity"].isna().all()
    text = (reproduced / "overlap.md").read_text()
    assert "| tiny: gradcam | 6 |" in text


def test_the_figure_has_every_quantile(reproduced):
    rows = pd.read_csv(reproduced / "figure_3.csv")
    assert set(rows["quantile"]) == {0.5, 0.9}
    assert set(rows["interpreter"]) == {
        f"tiny: {name}"
        for name in (
            "class_evidence",
            "top_down",
            "gradcam",
            "piq, decoder LightDecoder, mask binary",
            "lmac, decoder LMACDecoder, mask binary",
            "random",
        )
    }


def test_a_second_run_repeats_no_step_and_changes_nothing(
    reproduced, recipe, dataset, monkeypatch
):
    from focalaudio.reproduction import plan as reproduction

    before = (reproduced / "overlap.json").read_bytes()
    monkeypatch.setattr(reproduction, "run_recipe", pytest.fail)
    recipe(
        "reproduce", reproduced, ("--debug",), data_folder=dataset, **OPTIONS
    )
    assert (reproduced / "overlap.json").read_bytes() == before


def test_sounds_of_a_folder_are_drawn_as_the_second_source(
    recipe, dataset, trained, tmp_path, monkeypatch
):
    titles = []

    def draw(panels, spectrogram):
        titles.extend(title for title, _ in panels)
        return draw_spectrograms(panels, spectrogram)

    monkeypatch.setattr(figures, "draw_spectrograms", draw)
    place = tmp_path / "fold_5" / "tiny" / "speech"
    recipe(
        "interpret",
        place,
        data_folder=dataset,
        classifier=trained,
        condition="folder",
        added_folder=dataset / "stems",
        snr=30,
    )
    shutil.copytree(trained, place.with_name("classifier"))
    clips = pd.read_csv(place / "clips.csv")
    clips["source_found"] = 1.0  # whatever three epochs have taught
    clips.to_csv(place / "clips.csv", index=False)
    (figure,) = write_mixture_figures([(5, "tiny", place)], tmp_path)
    assert figure.exists()
    assert "source: added" in titles
    assert clips["other_label"].isna().all()


@pytest.mark.slow
def test_seeds_of_four_to_one_are_pooled(recipe, dataset, tmp_path):
    plain = {key: SYSTEMS["tiny"][key] for key in ("training", "interpret")}
    small = {"overlap": {"condition": "overlap", "max_clips": 0}}
    changed = {
        "systems": json.dumps({"tiny": plain}),
        "conditions": json.dumps(small),
        "figure_2": "null",
        "figure_3": "null",
        "protocol": "4/1",
        "seeds": "[1, 2]",
    }
    options = OPTIONS | changed
    recipe("reproduce", tmp_path, ("--debug",), data_folder=dataset, **options)
    table = pd.read_csv(tmp_path / "seeds.csv")
    assert table["n_seeds"].eq(2).all()
    assert {"class_evidence", "random"} <= set(table["interpreter"])
    assert (tmp_path / "seeds_classifiers.md").exists()
    for seed in "12":
        run = tmp_path / seed / "fold_5" / "tiny" / "classifier"
        history = pd.read_csv(run / "history.csv")
        assert set(history) == {"epoch", "lr", "train_loss"}
        assert (
            json.loads((run / "metrics.json").read_text())["temperature"] == 1
        )
    other = options | {"protocol": "3/1/1"}
    with pytest.raises(DataError, match="made with protocol=4/1"):
        recipe(
            "reproduce", tmp_path, ("--debug",), data_folder=dataset, **other
        )
