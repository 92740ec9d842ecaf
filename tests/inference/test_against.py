"""Laws of what speaks for a class rather than for another one."""

import csv

import pytest
import torch

from focalaudio.audio import write_wav
from focalaudio.errors import DataError
from focalaudio.inference.folder import explain_files
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.inference.reporting import explain_for_page
from focalaudio.interpreters.maps import CLASS_MAPS
from focalaudio.interpreters.threshold import CLASS_METHODS

CHOICE = {"maps": "class_probability", "quantile": 0.5}
ITSELF = "xplained against itself: nothing is kept."


@pytest.fixture(scope="module")
def model(exported):
    return SoundInterpreter.from_hparams(exported)


@pytest.fixture
def wav():
    return 0.2 * torch.randn(16000)


@pytest.fixture
def clip(tmp_path, wav):
    return write_wav(tmp_path / "clip.wav", wav, 16000)


@pytest.fixture
def heard(model, clip):
    """The class that the clip is heard as."""
    return model.explain_file(clip).describe(0).split(" (")[0]


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_speaks_for_a_class_rather_than_another(model, wav):
    """The difference of the two maps where it is above 0."""
    dog, bell = (
        model.explain_batch(wav, target=i, **CHOICE).saliency for i in (0, 1)
    )
    found = model.explain_batch(wav, target=0, against=1, **CHOICE)
    torch.testing.assert_close(found.saliency, (dog - bell).relu())
    named = model.explain_batch(
        wav, target=model.labels[0], against=model.labels[1], **CHOICE
    )
    assert torch.equal(named.mask, found.mask)


def test_no_class_is_explained_against_itself_at_any_door(
    model, clip, wav, tmp_path
):
    label, out = model.labels[1], tmp_path / "out"
    rule = f"^target='{label}' must be another class than against='{label}'; "
    way = model.interpreter(against=1, **CHOICE)
    pair = {"target": label, "against": 1, **CHOICE}
    for door in (
        lambda: model.explain_batch(wav, **pair),
        lambda: model.explain_batch(
            torch.stack((wav, wav)), target=[0, 1], against=1, **CHOICE
        ),
        lambda: model.explain_file(clip, **pair),
        lambda: model.explain_with([way], model.look(wav), 1),
        lambda: model.explain_stream(clip, out, **pair),
        lambda: explain_files(clip, out, model, **pair),
    ):
        with pytest.raises(ValueError, match=rule):
            door()
    assert not out.exists()


def test_no_class_of_a_clip_is_explained_against_itself(model, wav):
    others = {"maps": "class_probability", "against": model.labels[1]}
    found = model.explain_present(wav, 0.0, **others)
    assert set(found) == {*model.labels} - {model.labels[1]}


def test_what_is_heard_is_explained_against_itself_with_a_word(
    model, wav, clip, heard, tmp_path
):
    for against in model.labels:
        clip_of = explain_for_page(model, wav, "a", against=against, **CHOICE)
        is_itself = against == heard
        assert (clip_of.views[0].warnings == [f"E{ITSELF}"]) == is_itself
        for stream in (False, True):
            out = tmp_path / f"{against}_{stream}"
            how = {"against": against, "stream": stream, "media": False}
            explain_files(clip, out, model, **CHOICE, **how)
            (row,) = read(out / "clips.csv")
            assert (ITSELF in row["warnings"]) == is_itself
            assert "Mask nearly empty" not in row["warnings"]


def test_the_other_class_is_called_by_its_label(model, clip, tmp_path):
    first, second, third = model.labels
    way = model.interpreter(against=1, **CHOICE)
    assert way.name == f"class_probability, quantile 0.5, against {second}"
    how = {"target": first, "media": False, "compare": ("random",), **CHOICE}
    explain_files(clip, tmp_path / "out", model, against=1, **how)
    own, floor = read(tmp_path / "out" / "comparison.csv")
    assert own["method"] == way.name
    assert floor["method"] == "random, quantile 0.5"
    said = f'against="{second}", not "{third}"'
    with pytest.raises(DataError, match=said):
        explain_files(clip, tmp_path / "out", model, against=2, **how)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"maps": "stage_2"}, "means nothing to stage_2"),
        ({"method": "random"}, "means nothing to random"),
        ({"method": "piq"}, ".*means nothing to method='piq'"),
    ],
)
def test_what_knows_no_classes_speaks_against_none(model, choice, said):
    said = f"against='{model.labels[1]}'.*{said}"
    with pytest.raises(ValueError, match=said):
        model.explain_batch(torch.randn(8000), against=1, **choice)
    with pytest.raises(ValueError, match="against='cat' is no class"):
        model.explain_batch(torch.randn(8000), against="cat")


def test_all_that_knows_classes_is_named_where_something_is_refused(model):
    with pytest.raises(ValueError, match="choose one of") as caught:
        model.interpreter(method="loudest", against=0)
    for name in (*CLASS_MAPS, *CLASS_METHODS):
        assert f" {name}" in str(caught.value)
    for method in CLASS_METHODS:
        model.interpreter(method=method, against=0)
