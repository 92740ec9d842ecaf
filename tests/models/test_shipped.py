"""Laws of the model that comes with the package, whichever it is."""

import pytest

from focalaudio import SoundInterpreter
from focalaudio.data.examples import list_examples
from focalaudio.errors import ModelError
from focalaudio.models import DEFAULT, default_model, load_model, shipped
from focalaudio.models.bundle_files import is_bundle_file


def test_it_is_a_whole_bundle_that_is_not_large():
    sizes = {path.name: path.stat().st_size for path in DEFAULT.iterdir()}
    assert all(map(is_bundle_file, sizes))
    assert {"README.md", "example.wav", "SHA256SUMS"} <= set(sizes)
    assert sum(sizes.values()) < 5_000_000
    assert default_model() == DEFAULT


def test_no_source_is_the_default():
    ours, theirs = (load_model(source) for source in (None, DEFAULT))
    assert ours.labels == theirs.labels
    model = SoundInterpreter.from_hparams()
    assert model.labels == list(ours.labels)
    found = model.explain_file(DEFAULT / "example.wav")
    assert found.is_known.shape == (1,)


def test_it_knows_what_is_in_the_examples():
    assert {each.label for each in list_examples()} <= set(load_model().labels)


def test_a_revision_means_nothing_to_it():
    with pytest.raises(ValueError, match="revision='v1' is for a hub"):
        load_model(revision="v1")


def test_it_is_checked_as_any_bundle_is(monkeypatch, bundle):
    with (bundle / "model.safetensors").open("ab") as file:
        file.write(b"x")
    monkeypatch.setattr(shipped, "DEFAULT", bundle)
    with pytest.raises(ModelError, match="does not have the digest"):
        load_model()


def test_one_that_is_missing_is_said_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "DEFAULT", tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="or give a model"):
        load_model()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_every_precision_says_the_same_of_real_clips(precision):
    exact = SoundInterpreter.from_hparams()
    options = {"device": "cpu", "precision": precision}
    low = SoundInterpreter.from_hparams(run_opts=options)
    for example in list_examples():
        labels = [each.classify_file(example.path)[-1] for each in (exact, low)]
        assert labels[0] == labels[1], example.path.name
