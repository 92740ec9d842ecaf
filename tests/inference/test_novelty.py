"""Laws of measuring which sounds get an answer."""

import math
import shutil
from dataclasses import replace

import pandas as pd
import pytest
import torch

from focalaudio.audio import load_wav, write_wav
from focalaudio.classifier import SoundClassifier
from focalaudio.data.esc50 import read_metadata
from focalaudio.encoders import build_encoder
from focalaudio.errors import DataError, ModelError
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.novelty import measure_novelty
from focalaudio.inference.novelty_scores import describe_sounds, score_sounds
from focalaudio.inference.novelty_sounds import Sounds
from focalaudio.metrics.novelty import SCORES, STORABLE, NoveltyRule
from focalaudio.metrics.spectral_shape import SpectralShape
from focalaudio.models import load_model
from focalaudio.models.model import Explanation
from focalaudio.models.novelty import SPECTRUM, Novelty
from focalaudio.report.novelty import AND
from focalaudio.report.training import write_training_report

FOLDS = ([1, 2, 3], [4], [5])


@pytest.fixture(scope="module")
def model(exported):
    return load_model(exported)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    folder = tmp_path_factory.mktemp("others")
    torch.manual_seed(0)
    for place in range(5):
        write_wav(folder / f"{place}.wav", torch.rand(4000) - 0.5, 8000)
    (folder / "no_sound.txt").touch()
    return folder


@pytest.fixture(scope="module")
def more(dataset, tmp_path_factory):
    """The model's data, and a class that it does not know."""
    folder = tmp_path_factory.mktemp("more") / "data"
    shutil.copytree(dataset, folder)
    path = folder / "meta" / "esc50.csv"
    rows = pd.read_csv(path)
    added = rows[rows["category"] == "bell"].copy()
    for index, row in added.iterrows():
        parts = row["filename"].split("-")
        name = "-".join([parts[0], f"9{parts[1]}", *parts[2:-1], "49.wav"])
        shutil.copy(folder / "audio" / row["filename"], folder / "audio" / name)
        added.loc[index, "filename"] = name
    added["category"], added["target"] = "gong", 49
    added["src_file"] = added["src_file"].map(lambda source: f"9{source}")
    pd.concat((rows, added)).to_csv(path, index=False)
    return folder


@pytest.fixture(scope="module")
def measured(model, more, others):
    sounds = Sounds(
        model,
        more,
        *FOLDS,
        others,
        3,
        noise_levels=[0, -40, -100],
        n_noises=2,
        piece_seconds=[0.1, 9],
    )
    return measure_novelty(sounds, 0.5, ["evidence", "spectrum"])[0]


def test_every_score_and_group_is_measured(measured):
    scores = [row["score"] for row in measured["rows"]]
    assert scores == [*SCORES, "evidence and spectrum"]
    assert measured["n_clips"] == {
        "valid": 3,
        "test": 3,
        "test_0.1_s": 3,
        "test_9_s": 3,
        "noise_0_db": 2,
        "noise_-40_db": 2,
        "noise_-100_db": 2,
        "silence": 2,
        "others": 3,
        "left_out": 1,
    }
    for row in measured["rows"]:
        shares = [row[name] for name in measured["n_clips"]]
        assert all(0 <= share <= 1 for share in shares)
    for row in measured["rows"][:-1]:
        assert math.isfinite(row["threshold"])


def test_the_chosen_rules_are_those_of_the_table(measured):
    row = measured["rows"][-1]
    scores = [rule["score"] for rule in measured["novelty"]]
    assert row["score"] == AND.join(scores)
    assert row["threshold"] is None


def test_rules_together_are_looser_to_keep_as_much(measured):
    *singles, both = measured["rows"]
    tight = {row["score"]: row["threshold"] for row in singles}
    for rule in measured["novelty"]:
        sign = 1 if SCORES[rule["score"]].higher_is_known else -1
        assert sign * rule["threshold"] <= sign * tight[rule["score"]]


@pytest.mark.parametrize("score", ["neighbors", "luck"])
def test_a_score_that_no_model_can_hold_is_refused_at_once(model, score):
    sounds = Sounds(model, "no/such/folder", *FOLDS)
    with pytest.raises(ValueError, match=f"score='{score}' must be one of"):
        measure_novelty(sounds, score=score)


def test_the_share_of_valid_clips_is_kept(measured):
    *shares, together = [row["valid"] for row in measured["rows"]]
    assert shares == pytest.approx([2 / 3] * len(SCORES))  # half of three
    assert together >= 0.5


def test_a_piece_that_holds_all_of_a_clip_is_the_clip(measured):
    for row in measured["rows"]:
        assert row["test_9_s"] == row["test"]


def test_silence_never_gets_an_answer(measured):
    for row in measured["rows"]:
        assert row["silence"] == row["noise_-100_db"] == 0


def test_the_level_of_noise_does_not_matter(measured):
    for row in measured["rows"]:
        assert row["noise_0_db"] == row["noise_-40_db"]


def test_the_left_out_class_sounds_as_the_one_it_is_a_copy_of(
    model, more, measured
):
    (path,) = (more / "audio").glob("5-*-49.wav")
    for row in measured["rows"]:
        if row["score"] in set(STORABLE) - {SPECTRUM}:
            rule = Novelty((NoveltyRule(row["score"], row["threshold"]),))
            ruled = SoundInterpreter(replace(model, novelty=rule))
            known = ruled.explain_file(path).is_known
            assert row["left_out"] == float(known)


def test_without_cells_the_other_scores_are_measured(model):
    encoder = build_encoder("focalnet_test")
    encoder.n_embedding = encoder.n_features  # whatever they are the mean of
    blind = SoundClassifier(encoder, len(model.labels)).eval()
    other = replace(model, classifier=blind, explanation=Explanation())
    scored, _ = score_sounds(other, [torch.randn(9000)])
    assert [*scored.scores] == ["probability", "entropy", "energy"]
    with pytest.raises(ValueError, match="one of probability, entropy, energy"):
        measure_novelty(
            Sounds(other, "no/such/folder", *FOLDS), 0.9, "evidence"
        )
    with pytest.raises(ModelError, match="cannot hold score='evidence'"):
        replace(other, novelty=Novelty((NoveltyRule("evidence", 0.5),)))


def test_data_without_the_models_classes_is_refused(model, more, tmp_path):
    other = replace(model, labels=["a", "b", "c"])
    with pytest.raises(DataError, match="has no clip of the model's classes"):
        _ = Sounds(other, more, *FOLDS).rows
    (tmp_path / "empty").mkdir()
    sounds = Sounds(model, more, *FOLDS, tmp_path / "empty", n_noises=1)
    with pytest.raises(DataError, match="holds no sound"):
        dict(sounds.unknown())


@pytest.fixture
def held_out(model, dataset, tmp_path):
    """Three runs of other clips, without checkpoints."""
    names = iter(sorted((dataset / "audio").glob("*.wav")))
    for fold in range(3):
        draw = torch.Generator().manual_seed(fold)
        logits = torch.randn(4 + fold, 3, generator=draw) * (1 + fold)
        ids = torch.randint(3, (4 + fold,), generator=draw)
        rows = [
            {
                "clip_id": next(names).stem,
                "label": model.labels[int(ids[place])],
                "predicted": model.labels[int(own.argmax())],
                "probability": float(own.softmax(0).max()),
                "accuracy": float(own.argmax() == ids[place]),
                "energy": float(own.logsumexp(0)),
            }
            for place, own in enumerate(logits)
        ]
        said = logits, torch.eye(3)[ids]
        folder = tmp_path / f"fold_{fold}"
        folder.mkdir()
        write_training_report(folder, rows, model.labels, 1.0, said)
    return [tmp_path / f"fold_{fold}" for fold in range(3)]


NONE_LEFT = ([1, 2, 3, 4, 5], [], [])  # to validate or test on


def test_where_all_clips_train_others_choose_the_threshold(
    model, more, others, held_out, tmp_path
):
    sounds = Sounds(model, more, *NONE_LEFT, others, 5, n_noises=2)
    sounds = replace(sounds, held_out=str(tmp_path / "fold_*"))
    found, _ = measure_novelty(sounds, 0.8, "energy")
    assert [row["score"] for row in found["rows"]] == [
        "probability",
        "entropy",
        "energy",
        "spectrum",
    ]
    energies = [pd.read_csv(run / "clips.csv")["energy"] for run in held_out]
    right = pd.concat(
        [pd.read_csv(run / "clips.csv")["accuracy"] for run in held_out]
    )
    row = found["rows"][2]
    pooled = sorted(pd.concat(energies))
    middle = (pooled[2] + pooled[3]) / 2  # 12 of 15 are kept
    assert row["threshold"] == pytest.approx(middle)
    known = []
    for place, own in enumerate(energies):
        rest = pd.concat([*energies[:place], *energies[place + 1 :]])
        last = math.ceil(0.8 * len(rest))
        limit = sum(sorted(rest, reverse=True)[last - 1 : last + 1]) / 2
        known += [value >= limit for value in own]
    assert row["test"] == pytest.approx(sum(known) / 15)
    assert row["test_accuracy"] == pytest.approx(right.mean())
    assert row["test_known_accuracy"] == pytest.approx(right[known].mean())
    assert found["n_clips"]["valid"] == found["n_clips"]["test"] == 15
    # the model itself hears what is of no class, in whatever fold it is
    assert found["n_clips"]["left_out"] == 5
    rule = NoveltyRule("energy", row["threshold"])
    wavs = [load_wav(path, 16000) for path in sorted(others.glob("*.wav"))]
    scored, _ = score_sounds(model, wavs)
    assert row["others"] == float(scored.known([rule]).float().mean())


def test_a_held_out_clip_is_judged_by_spectra_that_did_not_learn_it(
    model, dataset, held_out
):
    sounds = Sounds(model, dataset, *NONE_LEFT, held_out=held_out, n_noises=1)
    found, novelty = measure_novelty(sounds, 0.8)
    assert novelty.scores == ("energy", "spectrum")
    shape = SpectralShape(n_classes=len(model.labels))
    described = {
        path.stem: describe_sounds(model, [load_wav(path, 16000)], shape)[0]
        for path in sorted((dataset / "audio").glob("*.wav"))
    }
    clips = read_metadata(dataset).set_index("clip_id")

    def fit(names):
        ids = [model.labels.index(clips["label"][name]) for name in names]
        rows = [described[name] for name in names]
        shape.fit(torch.stack(rows), torch.tensor(ids))

    distances = []
    for run in held_out:
        table = pd.read_csv(run / "clips.csv").set_index("clip_id")
        rest = [name for name in described if name not in table.index]
        fit(rest)
        distances += [
            shape.distance(
                described[name][None],
                torch.tensor([model.labels.index(predicted)]),
            )
            for name, predicted in table["predicted"].items()
        ]
    row = next(row for row in found["rows"] if row["score"] == "spectrum")
    rule = NoveltyRule.calibrate("spectrum", torch.cat(distances), 0.8)
    assert row["threshold"] == pytest.approx(rule.threshold, rel=1e-4)
    fit(described)
    assert torch.allclose(novelty.shape.precision, shape.precision, rtol=1e-3)


def test_clips_that_are_gone_are_needed_for_their_spectra_only(
    model, dataset, held_out
):
    path = held_out[0] / "clips.csv"
    for name in ("clips.csv", "probabilities.csv"):
        path = held_out[0] / name
        text = path.read_text()
        gone = next(iter(pd.read_csv(path)["clip_id"]))
        path.write_text(text.replace(gone, "0-0-A-0"))
    sounds = Sounds(model, dataset, *NONE_LEFT, held_out=held_out, n_noises=1)
    found, novelty = measure_novelty(sounds, 0.8, "energy")
    assert "spectrum" not in [row["score"] for row in found["rows"]]
    assert novelty.shape is None
    with pytest.raises(DataError, match="1 are not in data_folder.*0-0-A-0"):
        measure_novelty(sounds)


@pytest.mark.parametrize("score", [[], ["energy", "energy"]])
def test_scores_that_are_none_or_the_same_are_refused(score, model, dataset):
    with pytest.raises(ValueError, match="must be scores that differ"):
        measure_novelty(Sounds(model, dataset, *FOLDS), score=score)


def test_what_others_did_not_say_chooses_nothing(
    model, dataset, held_out, tmp_path
):
    sounds = Sounds(model, dataset, *NONE_LEFT, held_out=held_out)
    with pytest.raises(ValueError, match="one of probability, entropy, energy"):
        measure_novelty(sounds, score="evidence")
    none = replace(sounds, held_out=str(tmp_path / "no_*"))
    with pytest.raises(DataError, match="finds no folder"):
        measure_novelty(none)
    with pytest.raises(DataError, match="must be .. then"):
        measure_novelty(replace(sounds, test_folds=[5]))
    (held_out[2] / "probabilities.csv").unlink()
    with pytest.raises(DataError, match="older version made it"):
        measure_novelty(replace(sounds))
    other = replace(model, labels=["x", "y", "z"])
    with pytest.raises(DataError, match="knows other classes"):
        measure_novelty(replace(sounds, model=other, held_out=held_out[:1]))


@pytest.mark.parametrize("name", ["noise_levels", "piece_seconds"])
def test_levels_and_pieces_are_numbers(model, name):
    assert getattr(Sounds(model, "data", *FOLDS, **{name: 1}), name) == [1]
    assert getattr(Sounds(model, "data", *FOLDS, **{name: None}), name) == []
    with pytest.raises(ValueError, match=f"{name}='0,-20' must be numbers"):
        Sounds(model, "data", *FOLDS, **{name: "0,-20"})


def test_a_piece_lasts(model):
    with pytest.raises(ValueError, match="piece_seconds=.* above 0 s"):
        Sounds(model, "data", *FOLDS, piece_seconds=[1, 0])
