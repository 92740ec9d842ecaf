"""How models and explanations show, save and move themselves."""

import csv
import html
from dataclasses import replace

import pytest
import torch

from focalaudio.audio import load_wav
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.report import clips

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e"


@pytest.fixture(scope="module")
def model(exported):
    return SoundInterpreter.from_hparams(exported)


@pytest.fixture(scope="module")
def found(model):
    torch.manual_seed(0)
    return model.explain_batch(0.2 * torch.randn(2, 12000))


def test_a_model_is_one_line(model):
    text = repr(model)
    assert text.isprintable()
    for word in ("3 classes", *model.labels, "16000 Hz", "clips of 1 s", "cpu"):
        assert word in text
    assert model.model.interpreter().name in text


def test_an_explanation_is_one_line(model, found):
    text = repr(found)
    assert text.isprintable()
    assert len(text) < 300
    assert text.startswith("<Interpretation of 2 clips: ")
    for row in range(2):
        assert found.describe(row) in text
    many = model.explain_batch(torch.randn(9, 8000))
    assert "and 6 more" in repr(many)
    assert len(repr(many)) < 400


def test_labels_are_shown_escaped(found):
    odd = replace(found, labels=(HOSTILE,) * 3)
    assert repr(odd).isprintable()
    shown = odd._repr_html_()
    assert "<script>" not in shown
    assert html.escape("<script>") in shown


def test_a_notebook_sees_and_hears_the_first_clips(model, found):
    shown = found._repr_html_()
    assert shown.count("<audio controls") == shown.count("<img ") == 2
    assert "http" not in shown
    many = model.explain_batch(torch.randn(5, 8000))._repr_html_()
    assert many.count("<audio controls") == 3
    assert "and 2 more clips" in many


def test_boxes_know_their_clip_class_and_offset(found):
    boxes = found.boxes()
    assert {box.clip for box in boxes} == {0, 1}
    for box in boxes:
        assert box.class_id == int(found.class_ids[box.clip])
        assert box.label == found.labels[box.class_id]
        assert 0 <= box.begin < box.end <= 0.75
        assert 0 <= box.low < box.high <= 8000
    assert found.boxes(offset=60.0) == [box.move(60.0) for box in boxes]
    by_energy = found.boxes(by="energy")
    assert all(0 < box.score <= 1 for box in by_energy)
    with pytest.raises(ValueError, match="by='x' must be"):
        found.boxes(by="x")


def test_a_clip_without_evidence_has_no_box(found):
    none = replace(found, is_known=torch.tensor([False, True]))
    assert {box.clip for box in none.boxes()} == {1}


def test_what_is_saved_is_what_the_command_writes(found, tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "save_picture", lambda figure, path: path)
    assert found.save(tmp_path / "out", ["a", "b"]) == tmp_path / "out"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    for clip_id in "ab":
        assert f"{clip_id}_kept.wav" in names
        assert f"{clip_id}.Table.1.selections.txt" in names
    kept = load_wav(tmp_path / "out" / "a_kept.wav", 16000)
    torch.testing.assert_close(kept, found.wavs[0], atol=2**-14, rtol=0)
    with (tmp_path / "out" / "clips.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip_id"] for row in rows] == ["a", "b"]
    # but what it does not know, and the report
    unknown = ("path", "kept_probability", "removed_probability")
    assert {rows[0][name] for name in unknown} == {""}
    assert "report.html" not in names
    assert float(rows[0]["kept_fraction"]) == pytest.approx(
        float(found.kept_fraction[0]), abs=1e-5
    )


@pytest.mark.parametrize("names", [["a"], ["a", "a"]])
def test_names_must_be_one_for_each_clip(found, tmp_path, names):
    with pytest.raises(ValueError, match="must be 2 different names"):
        found.save(tmp_path / "out", names)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "x/y", "../out", "/x", "\0"])
def test_a_name_is_no_path(found, tmp_path, name):
    with pytest.raises(ValueError, match="must be the name of a file"):
        found.save(tmp_path / "out", ["a", name])
    assert not [*tmp_path.iterdir()]


def test_a_model_moves_to_a_device(exported):
    model = SoundInterpreter.from_hparams(exported)
    assert model.to("cpu") is model
    assert model.device == torch.device("cpu")
    with pytest.raises(ValueError, match="device='toaster' is not there"):
        model.to("toaster")
    meta = model.to("meta")
    parameters = [
        p for d in model.model.decoders.values() for p in d.parameters()
    ]
    parameters += list(meta.classifier.parameters())
    assert {p.device.type for p in parameters} == {"meta"}
