import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.errors import HubError, ModelError, UnsafeModelError
from focalaudio.inference.interpreter import SoundInterpreter
from focalaudio.models import (
    Explanation,
    SoundModel,
    load,
    load_compared,
    load_interpreter,
    load_judge,
    load_model,
)
from focalaudio.models.hub import fetch_bundle, push_bundle
from focalaudio.models.load import _locate
from focalaudio.spectrogram import Spectrogram


def locate(source, savedir=None, revision=None, local_files_only=False):
    return _locate(source, savedir, revision, local_files_only)


@pytest.fixture
def asked(monkeypatch, exported):
    """What a hub that has one model was asked for."""
    asked = []

    def fetch_bundle(source, savedir, revision, local_files_only):
        asked.append((source, savedir, revision, local_files_only))
        return exported

    monkeypatch.setattr(load, "fetch_bundle", fetch_bundle)
    return asked


@pytest.mark.parametrize(
    "path",
    [
        "./me/sounds",
        "/me/sounds",
        "../me/sounds",
        "sounds",
        "results/classifier_focalnet_nano/1234",
        "me/sounds/",
        Path("me/sounds"),
    ],
)
def test_a_path_is_a_path(path, asked):
    assert locate(path) == Path(path)
    assert asked == []


@pytest.mark.parametrize("name", ["me/sounds", "me/sounds@v1.0"])
def test_a_name_is_never_a_folder(name, asked, exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    assert locate(name) == exported
    assert [source for source, *_ in asked] == [name]


def test_home_is_found():
    assert locate("~/x/y") == Path.home() / "x" / "y"


def test_revision_and_cache_are_passed_on(asked, exported):
    assert locate("me/sounds@abc", "cache", None, True) == exported
    assert locate("me/sounds", revision="abc") == exported
    assert asked == [
        ("me/sounds@abc", "cache", None, True),
        ("me/sounds", None, "abc", False),
    ]


def test_a_revision_is_given_once_and_for_a_name(asked):
    with pytest.raises(ValueError, match="revision='def'"):
        locate("me/sounds@abc", revision="def")
    with pytest.raises(ValueError, match="revision='def'"):
        locate("./me/sounds", revision="def")
    assert asked == []


def test_what_is_fetched_is_read(asked, exported):
    model = load_model("me/sounds")
    assert model.labels == load_model(exported).labels


def test_runs_and_bundles_are_told_apart(finished, exported, monkeypatch):
    monkeypatch.setattr(load, "load_run", lambda folder: "run")
    monkeypatch.setattr(load, "read_bundle", lambda folder, trust: "bundle")
    assert load_model(finished) == "run"
    assert load_model(exported) == "bundle"


def test_opening_writes_nothing(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in exported.iterdir())
    load_model(exported, savedir=tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []
    assert sorted(path.name for path in exported.iterdir()) == before


@pytest.fixture
def published(hub, exported, monkeypatch):
    """The bundle on a hub of this machine, which is everybody's hub now."""
    push_bundle(exported, "me/sounds", endpoint=hub.url)
    fetch = partial(fetch_bundle, endpoint=hub.url)
    monkeypatch.setattr(load, "fetch_bundle", fetch)
    return hub


def test_a_folder_of_a_missing_name_is_hinted_at(
    published, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other" / "name").mkdir(parents=True)
    with pytest.raises(HubError, match="For the folder, write ./other/name"):
        locate("other/name")
    with pytest.raises(HubError, match="check the name.$"):
        locate("no/name")


def test_what_was_published_is_what_is_loaded(published, exported, tmp_path):
    ours = SoundInterpreter.from_hparams(exported)
    theirs = SoundInterpreter.from_hparams("me/sounds", savedir=tmp_path)
    wavs = torch.randn(2, 16000)
    for method in ("by_design", "piq"):
        found = theirs.explain_batch(wavs, method=method)
        expected = ours.explain_batch(wavs, method=method)
        assert torch.equal(found.logits, expected.logits)
        assert torch.equal(found.mask, expected.mask)


def test_what_was_fetched_once_needs_no_hub(published, tmp_path):
    SoundInterpreter.from_hparams("me/sounds", savedir=tmp_path)
    published.requests.clear()
    model = SoundInterpreter.from_hparams(
        "me/sounds", savedir=tmp_path, local_files_only=True
    )
    assert model.labels == ["siren", "bell", "cricket"]
    assert published.requests == []
    with pytest.raises(HubError, match="not in"):
        SoundInterpreter.from_hparams(
            "me/others", savedir=tmp_path, local_files_only=True
        )


def test_a_stranger_on_the_hub_is_refused(published, exported, tmp_path):
    files = {path.name: path.read_bytes() for path in exported.iterdir()}
    del files["SHA256SUMS"]
    files["hyperparams.yaml"] += b"x: !apply:os.getcwd []\n"
    published.add("stranger/sounds", files)
    with pytest.raises(UnsafeModelError, match="tag '!apply:os.getcwd'"):
        SoundInterpreter.from_hparams("stranger/sounds", savedir=tmp_path)


def make_model(**explanation):
    torch.manual_seed(0)
    classifier = SoundClassifier(build_encoder("focalnet_test"), 3, "linear")
    parts = (classifier.eval(), Spectrogram(), ClipReader(), ("a", "b", "c"))
    return SoundModel(*parts, Explanation(**explanation))


@pytest.fixture(scope="module")
def model():
    return make_model()


def test_a_decoder_comes_from_the_model_or_from_its_run(
    exported, finished, finished_piq, finished_lmac
):
    wavs = torch.randn(1, 16000)
    for method, run in {"piq": finished_piq, "lmac": finished_lmac}.items():
        with torch.no_grad():
            inside = load_interpreter(load_model(exported), method)(wavs)
            beside = load_interpreter(
                load_model(finished), method, **{method: run}
            )(wavs)
        assert torch.equal(inside.mask, beside.mask)


def test_a_sweep_holds_what_a_decoder_drew_once_and_cut_at_each_point(
    exported,
):
    model = load_model(exported)
    others = [{"method": "lmac"}, {"method": "lmac", "mask": "binary"}]
    compared = load_compared(model, load_interpreter(model), others, [0.5, 0.8])
    named = [each.name for each in compared if "lmac" in each.name]
    drawn = "lmac, decoder LMACDecoder"
    assert named == [
        drawn,
        *(f"{drawn}, quantile {q}, mask binary" for q in (0.9, 0.5, 0.8)),
    ]


def test_the_decoder_of_another_classifier_is_refused(model, finished_piq):
    with pytest.raises(ModelError, match="decoder of another classifier"):
        load_interpreter(model, "piq", piq=finished_piq)


def test_a_decoder_goes_with_its_method_only(model):
    with pytest.raises(ValueError, match="piq='x' goes with method='piq' only"):
        load_interpreter(model, "random", piq="x")
    with pytest.raises(ValueError, match="lmac='x' goes with method='lmac' "):
        load_interpreter(model, "piq", lmac="x")


def test_a_comparison_holds_everything_once(model):
    one = load_interpreter(model)
    others = [{"method": "random"}, {"maps": "stage_1", "quantile": 0.5}]
    compared = load_compared(model, one, others, [0.5, 0.9])
    assert [each.name for each in compared] == [
        "random, quantile 0.9",
        "stage_1, quantile 0.5",
        "stage_2, quantile 0.5",
        "random, quantile 0.5",
        "stage_1, quantile 0.9",
    ]


def test_what_is_compared_takes_the_first_ones_quantile(model):
    one = load_interpreter(model, quantile=0.7)
    [other] = load_compared(model, one, [{"method": "random"}])
    assert other.quantile == 0.7


def test_a_part_of_a_run_is_answered_with_the_run(finished, finished_piq):
    for run in (finished, finished_piq):
        parts = [path for path in run.rglob("*") if path.is_dir()]
        assert run / "save" in parts
        for part in parts:
            with pytest.raises(FileNotFoundError) as error:
                load_model(part)
            assert f"{part} is a part of a run" in str(error.value)
            assert str(error.value).endswith(f"folder, {run}.")
    with pytest.raises(FileNotFoundError, match="is a part of a run"):
        load_interpreter(load_model(finished), "piq", piq=finished_piq / "save")


def test_a_bundle_in_a_run_is_a_bundle(finished, exported, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    bundle = shutil.copytree(exported, run / "bundle")
    assert load_model(bundle).folder == bundle


@pytest.mark.parametrize("others", ["random", ["random"], {"method": "random"}])
@pytest.mark.parametrize("quantiles", [0.5, [0.5]])
def test_one_stands_for_a_list(model, others, quantiles):
    one = load_interpreter(model)
    compared = load_compared(model, one, others, quantiles)
    wanted = load_compared(model, one, [{"method": "random"}], [0.5])
    assert [a.name for a in compared] == [a.name for a in wanted]
    assert len(load_compared(model, one, None, None)) == 0


@pytest.mark.parametrize(
    ("others", "quantiles", "said"),
    [
        ((), "0.5,0.9", r"quantiles='0.5,0.9' .* such as \"\[0.5, 0.9\]\""),
        ((), [0.5, "x"], r"quantiles=\[0.5, 'x'\] must be numbers"),
        ((), True, "quantiles=True must be numbers"),
        (3, (), "compare=3 must be methods, or mappings"),
        ([["random"]], (), "compare=.* must be methods"),
        ("gradcam,random", (), "method='gradcam,random' must be one of"),
        ([{"method": "rise", "options": "n: 4"}], (), "options='n: 4' must be"),
    ],
)
def test_what_says_nothing_of_a_comparison_is_named(
    model, others, quantiles, said
):
    with pytest.raises(ValueError, match=said):
        load_compared(model, load_interpreter(model), others, quantiles)


def test_stages_are_called_maps_now(model):
    one = load_interpreter(model)
    with pytest.raises(ValueError, match="stages.* is called maps now"):
        load_compared(model, one, [{"stages": [-1]}])
    with pytest.raises(ValueError, match="stages.* is called maps now"):
        load_interpreter(model, stages=[-1])


def test_without_another_judge_the_classifier_judges(model):
    assert load_judge(model) is model.classifier


def test_a_judge_is_frozen_and_its_own(finished, exported):
    model = load_model(finished)
    judge = load_judge(model, exported)
    assert judge is not model.classifier
    assert judge.frozen
    assert not any(p.requires_grad for p in judge.parameters())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": ["c", "b", "a"]}, r"labels \['c', 'b', 'a'\] instead of"),
        (
            {"spectrogram": Spectrogram(8000)},
            "sample_rate 8000 instead of 16000",
        ),
        ({"spectrogram": Spectrogram(n_fft=512)}, "n_fft 512 instead of 1024"),
        (
            {"spectrogram": Spectrogram(hop_length=5.0)},
            "hop_samples 80 instead of",
        ),
    ],
)
def test_a_judge_of_other_sounds_is_refused(model, change, said, monkeypatch):
    other = replace(model, **change)
    monkeypatch.setattr(load, "load_model", lambda source: other)
    with pytest.raises(ModelError, match=f"judge='x' has .*{said}"):
        load_judge(model, "x")


def test_a_model_knows_where_it_was_read(asked, exported, finished):
    """There are the folds that were made for it, if they were."""
    for source in ("me/sounds", str(exported)):
        assert load_model(source).folder == exported
    assert load_model(finished).folder == finished
