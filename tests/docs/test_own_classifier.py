"""The pages on one's own classifier and one's own Brain, word for word."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch
import transformers
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.inference.classifiers import EncoderClassifier

from focalaudio.audio import write_wav
from focalaudio.interpreters import Interpretation

ROOT = Path(__file__).parents[2]


def blocks(page, language):
    """Return the code of a page by its section."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = {}
    for section in text.split("\n## ")[1:]:
        title = section.split("\n")[0]
        codes = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
        found[title] = codes
    return found


OWN = blocks("own-classifier.md", "python")
BRAIN = blocks("in-my-brain.md", "python")


def load_doors():
    """The tiny models that the doors are tested with."""
    path = ROOT / "tests" / "foreign" / "test_doors.py"
    spec = importlib.util.spec_from_file_location("doors_of_tests", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a clip; what would be fetched is tiny and there."""
    # a length that no whole number divides
    write_wav(tmp_path / "clip.wav", 0.1 * torch.randn(8009), 16000)
    monkeypatch.chdir(tmp_path)
    doors = load_doors()
    model, extractor = doors.ast_model()
    for kind, name, made in (
        (EncoderClassifier, "from_hparams", doors.speechbrain_model()),
        (
            transformers.AutoModelForAudioClassification,
            "from_pretrained",
            model,
        ),
        (transformers.AutoFeatureExtractor, "from_pretrained", extractor),
    ):
        monkeypatch.setattr(kind, name, lambda source, made=made: made)
    return tmp_path


def run(code, **given):
    exec(compile(code, "<page>", "exec"), given)  # noqa: S102
    return given


def test_the_page_has_all_that_it_promises():
    assert [title for title, codes in OWN.items() if codes] == [
        "A function",
        "A torch module",
        "SpeechBrain",
        "Hugging Face",
        "An image model of timm, as an encoder of ours",
        "Your own encoder",
    ]


@pytest.mark.parametrize(
    "title", ["A function", "A torch module", "SpeechBrain", "Hugging Face"]
)
def test_a_classifier_of_any_make_is_explained(title, place):
    (code,) = OWN[title]
    found = run(code)["found"]
    assert isinstance(found, Interpretation)
    assert found.wavs.shape == (1, 8009)
    assert found.mask.any()


@pytest.mark.parametrize("title", list(OWN)[4:6])
def test_an_encoder_of_any_make_classifies(title):
    (code,) = OWN[title]
    classifier = run(code)["classifier"].eval()
    with torch.no_grad():
        assert classifier(torch.rand(1, 40, 513)).logits.shape == (1, 10)


def test_the_page_says_what_the_commands_take():
    text = (ROOT / "docs" / "own-classifier.md").read_text(encoding="utf-8")
    for name in ("interpret", "train_lmac"):
        yaml = (ROOT / "hparams" / f"{name}.yaml").read_text(encoding="utf-8")
        assert "classifier_from:" in yaml
        assert f"{name}.py" in text
    assert "--encoder_name timm:convnext_tiny" in text


@pytest.fixture
def yours(tmp_path, monkeypatch):
    """A data set and a YAML file of somebody else's."""
    monkeypatch.chdir(tmp_path)
    page = blocks("in-my-brain.md", "yaml")
    (text,) = page["A FocalNet that explains itself"]
    (tmp_path / "mine.yaml").write_text(text)
    rows = {
        str(n): {"sig": torch.randn(8000), "target": n % 3} for n in range(8)
    }
    data = DynamicItemDataset(rows, output_keys=["id", "sig", "target"])
    wavs, lens = torch.randn(2, 8000), torch.tensor([1.0, 0.5])
    wavs[1, 4000:] = 0
    return {"train_set": data, "wavs": wavs, "lens": lens}


def test_a_focalnet_in_somebody_elses_brain_explains_itself(yours):
    train, interpret = BRAIN["A FocalNet that explains itself"]
    made = run(train + interpret, **yours)
    assert made["brain"].optimizer_step == 2  # batches of four
    found = made["found"]
    assert found.wavs.shape == (2, 8000)
    assert not found.wavs[1, 4000:].any()
    assert made["kept"].shape == made["removed"].shape == (2, 3)


def test_the_encoder_and_the_masks_work_alone(yours):
    (encoder,), (masks,) = BRAIN["Only the encoder"], BRAIN["Only the masks"]
    output = run(encoder, **yours)["output"]
    assert output.embeddings.shape[0] == len(output.maps[-1]) == 2
    made = run(masks, **yours)
    rest = made["spectrogram"].invert(
        made["removed"], made["spectrum"].n_samples
    )
    torch.testing.assert_close(
        made["heard"] + rest, yours["wavs"], atol=1e-5, rtol=0
    )
