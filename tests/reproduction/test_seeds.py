"""Laws of several seeds: a clip counts once, however often it was tried."""

import statistics

import pandas as pd
import pytest

from focalaudio.metrics.statistics import describe
from focalaudio.reproduction.seeds import (
    pool_seeds,
    write_seeds,
    write_seeds_of_classifiers,
)

# fidelity of two clips of fold 1 and one of fold 2, by seed
SEEN = {1: (1.0, 0.0, 1.0), 2: (1.0, 1.0, 1.0), 3: (1.0, 0.0, 0.0)}


def make_clips(seed, condition="clean", quantile=0.9):
    """What one seed left of a system under a condition."""
    name = f"stage_3, quantile {quantile}"
    shared = {"system": "vit", "interpreter": name, "quantile": quantile}
    shared |= {"seed": seed, "condition": condition, "auc": None}
    places = ((1, "a"), (1, "b"), (2, "a"))  # one name in two folds
    return pd.DataFrame(
        [
            {"fold": fold, "clip_id": clip, "fidelity": value, **shared}
            for (fold, clip), value in zip(places, SEEN[seed], strict=True)
        ]
    )


def pool(clips):
    (row,) = pool_seeds(clips, ["system"], ["fidelity"])
    return row


def test_seeds_are_averaged_and_clips_are_drawn():
    row = pool(pd.concat([make_clips(seed) for seed in SEEN]))
    of_seeds = [2 / 3, 1.0, 1 / 3]
    assert (row["n_seeds"], row["n_clips"]) == (3, 3)
    assert row["fidelity"] == pytest.approx(statistics.fmean(of_seeds))
    assert row["fidelity_std"] == pytest.approx(statistics.stdev(of_seeds))
    clips = describe([1.0, 1 / 3, 2 / 3])
    assert row["fidelity_low"] == pytest.approx(clips["low"])
    assert row["fidelity_high"] == pytest.approx(clips["high"])


def test_the_same_seed_twice_makes_nobody_surer():
    once = make_clips(1)
    twice = pd.concat([once, once.assign(seed=2)])
    one, two = pool(once), pool(twice)
    for end in ("", "_low", "_high"):
        assert two[f"fidelity{end}"] == pytest.approx(one[f"fidelity{end}"])
    assert two["fidelity_std"] == 0
    assert pd.isna(one["fidelity_std"])


def test_the_interval_is_of_the_mean_where_a_metric_is_not_always_defined():
    """Of a seed that names the source of one clip, ten of another seed."""
    places = [
        {"fold": 1, "clip_id": str(i), "system": "vit"} for i in range(10)
    ]
    first = pd.DataFrame([{**p, "seed": 1, "fidelity": 0.0} for p in places])
    other = first.assign(seed=2, fidelity=[1.0, 0.9, *[None] * 8])
    row = pool(pd.concat([first, other]))
    assert row["fidelity"] == pytest.approx(0.475)
    assert row["fidelity_low"] == pytest.approx(0.45)
    assert row["fidelity_high"] == pytest.approx(0.5)
    assert row["fidelity_std"] == pytest.approx(statistics.stdev([0, 0.95]))


def test_the_order_of_the_rows_does_not_show():
    clips = pd.concat([make_clips(seed) for seed in SEEN])
    assert pool(clips[::-1]) == pytest.approx(pool(clips))


def test_every_condition_is_a_row_at_the_tables_quantile(tmp_path):
    clips = [
        make_clips(seed, condition, quantile)
        for condition, quantile in (("clean", 0.9), ("noise", 0.9))
        for seed in (1, 2)
    ]
    clips += [make_clips(seed, "clean", 0.5) for seed in (1, 2)]
    write_seeds(clips, 0.9, tmp_path)
    table = pd.read_csv(tmp_path / "seeds.csv")
    assert table["condition"].tolist() == ["clean", "noise"]
    assert table["interpreter"].tolist() == ["stage_3"] * 2
    assert table["n_seeds"].tolist() == [2, 2]
    assert table["fidelity"].tolist() == pytest.approx([5 / 6] * 2)
    text = (tmp_path / "seeds.md").read_text(encoding="utf-8")
    assert "| clean | vit | stage_3 | 2 | 3 | 0.833 \u00b1 0.236 [" in text
    assert "| - |" in text  # what was never defined


def test_one_seed_has_no_deviation(tmp_path):
    write_seeds([make_clips(1)], 0.9, tmp_path)
    text = (tmp_path / "seeds.md").read_text(encoding="utf-8")
    assert "| vit | stage_3 | 1 | 3 | 0.667 [" in text
    assert "nan" not in text


def test_classifiers_have_a_table_of_their_own(tmp_path):
    clips = [
        make_clips(seed).rename(columns={"fidelity": "accuracy"})
        for seed in SEEN
    ]
    write_seeds_of_classifiers(clips, tmp_path)
    (row,) = pd.read_csv(tmp_path / "seeds_classifiers.csv").to_dict("records")
    assert row["accuracy"] == pytest.approx(2 / 3)
    text = (tmp_path / "seeds_classifiers.md").read_text(encoding="utf-8")
    assert "| vit | 3 | 3 | 0.667 \u00b1 0.333 [" in text
