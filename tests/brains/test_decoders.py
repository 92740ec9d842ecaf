import logging
import math

import pytest
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.epoch_loop import EpochCounter

from focalaudio.augment import Augment, RandomGain
from focalaudio.brains import InterpreterBrain, LMACBrain, PIQBrain
from focalaudio.brains.checkpoints import History
from focalaudio.brains.training import WarmupCosine
from focalaudio.classifier import SoundClassifier
from focalaudio.encoders import build_encoder
from focalaudio.errors import ModelError
from focalaudio.interpreters import LMACInterpreter, PIQInterpreter, lmac, piq
from focalaudio.masks import apply_mask, quantile_mask
from focalaudio.spectrogram import Spectrogram

LABELS = ["low", "middle", "high"]
N_CLIPS = 6


class Logger:
    def __init__(self):
        self.calls = []

    def log_stats(self, stats, **kwargs):
        self.calls.append((stats, kwargs))

    def rewind(self, epoch):
        self.calls = [
            call for call in self.calls if call[0].get("epoch", 0) <= epoch
        ]


def make_clip(number):
    generator = torch.Generator().manual_seed(number)
    angle = 2 * math.pi * (500, 1500, 4000)[number % 3] / 16000
    tone = torch.sin(angle * torch.arange(2000 + 150 * number))
    return tone + 0.1 * torch.randn(tone.shape, generator=generator)


def make_dataset(numbers=range(N_CLIPS)):
    rows = {f"clip{number}": {"number": number} for number in numbers}
    dataset = DynamicItemDataset(rows)
    dataset.add_dynamic_item(make_clip, "number", "sig")
    dataset.add_dynamic_item(lambda number: number % 3, "number", "target")
    dataset.add_dynamic_item(lambda n: LABELS[n % 3], "number", "label")
    dataset.set_output_keys(["id", "sig", "label", "target"])
    return dataset


@pytest.fixture
def classifier():
    encoder = build_encoder("focalnet_test", in_channels=1)
    return SoundClassifier(encoder, 3, "linear", image_size=(32, 32))


@pytest.fixture
def encoded(classifier, monkeypatch):
    """How many images the encoder sees, call by call."""
    sizes, forward = [], classifier.encoder.forward
    monkeypatch.setattr(
        classifier.encoder,
        "forward",
        lambda image: sizes.append(len(image)) or forward(image),
    )
    return sizes


KINDS = {
    PIQBrain: (
        PIQInterpreter,
        lambda classifier: piq.build_decoder("light", classifier, n_codes=12),
        {"reconstruction_weight": 1.0},
    ),
    LMACBrain: (
        LMACInterpreter,
        lambda classifier: lmac.build_decoder(classifier, width=16),
        {"kept_weight": 4.0, "removed_weight": 0.2, "size_weight": 0.4},
    ),
}
TERMS = {
    PIQBrain: {"reconstruction": 1, "codebook": 1, "commitment": 1},
    LMACBrain: {"kept": 4, "removed": -0.2, "size": 0.4},
}
MEASURED = {"fidelity", "fidelity_at_quantile", "kept_fraction"}


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def make_brain(
    kind, classifier, max_gain=0.0, folder=None, epochs=3, select_by="score"
):
    spectrogram = Spectrogram()
    make_interpreter, build_decoder, weights = KINDS[kind]
    decoder = build_decoder(classifier)
    hparams = {
        "interpreter": make_interpreter(classifier, spectrogram, decoder),
        "select_quantile": 0.75,
        **weights,
        "schedule": WarmupCosine(0.01, epochs, 0),
        "history": History(),
        "train_logger": Logger(),
        "select_by": select_by,
    }
    modules = {
        "augment": Augment([RandomGain(max_gain)]),
        "spectrogram": spectrogram,
        "classifier": classifier,
        "decoder": decoder,
    }
    return kind(
        modules=modules,
        opt_class=lambda parameters: torch.optim.Adam(parameters, lr=0.01),
        hparams=hparams,
        run_opts={"device": "cpu", "noprogressbar": True},
        checkpointer=folder and Checkpointer(folder, {"decoder": decoder}),
    )


def fit(brain, epochs=3, valid=True, batch_size=3):
    brain.fit(
        EpochCounter(epochs),
        make_dataset(),
        make_dataset() if valid else None,
        train_loader_kwargs={"batch_size": batch_size, "shuffle": True},
        valid_loader_kwargs={"batch_size": 2},
    )


def measure(interpreter):
    """Rows of the clips, as any interpreter is tested."""
    tester = InterpreterBrain(
        {"interpreter": interpreter},
        hparams={"interpreter": interpreter, "labels": LABELS},
        run_opts={"device": "cpu", "noprogressbar": True},
    )
    tester.evaluate(make_dataset(), test_loader_kwargs={"batch_size": 2})
    return tester.tracker.rows()


# L-MAC asks about both parts of every clip in every epoch, too
PARTS = {PIQBrain: 0, LMACBrain: 2 * 3 * N_CLIPS}


def test_features_are_computed_once_per_clip(kind, classifier, encoded):
    brain = make_brain(kind, classifier)
    fit(brain, valid=False)
    assert sum(encoded) == N_CLIPS + PARTS[kind]


def test_augmented_clips_are_looked_at_in_every_epoch(
    kind, classifier, encoded, caplog
):
    brain = make_brain(kind, classifier, max_gain=6.0)
    with caplog.at_level(logging.INFO):
        fit(brain, valid=False)
    assert sum(encoded) == 3 * N_CLIPS + PARTS[kind]
    assert "in every epoch" in caplog.text


def cached(brain, number):
    clip = make_clip(number)[None]
    return brain.cache([f"clip{number}"], clip, torch.ones(1))


def test_cached_features_are_those_of_the_classifier(classifier, encoded):
    brain = make_brain(PIQBrain, classifier)
    fit(brain, epochs=1)
    for number in range(N_CLIPS):
        spectrum = Spectrogram()(make_clip(number)[None])
        with torch.no_grad():
            expected = classifier(spectrum.log_magnitude, spectrum.n_frames)
        n_seen = len(encoded)
        found = cached(brain, number)
        assert len(encoded) == n_seen
        torch.testing.assert_close(found.features, expected.features)
        torch.testing.assert_close(found.logits, expected.logits)


@pytest.mark.parametrize("batch_size", [1, 2, 6])
def test_neighbors_and_padding_change_no_bit_of_the_features(
    classifier, batch_size
):
    brains = [make_brain(PIQBrain, classifier) for _ in range(2)]
    for brain, size in zip(brains, (3, batch_size), strict=True):
        fit(brain, epochs=1, valid=False, batch_size=size)
    for number in range(N_CLIPS):
        one, other = (cached(brain, number) for brain in brains)
        assert torch.equal(one.features, other.features)
        assert torch.equal(one.logits, other.logits)


def test_the_classifier_stays_bit_identical_and_the_decoder_learns(
    kind, classifier
):
    brain = make_brain(kind, classifier)
    before = {k: v.clone() for k, v in classifier.state_dict().items()}
    decoder = brain.hparams.interpreter.decoder
    learned = {k: v.clone() for k, v in decoder.state_dict().items()}
    fit(brain)
    after = classifier.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not classifier.training
    changed = decoder.state_dict()
    own = "quantizer.codebook" if kind is PIQBrain else "gains.weight"
    for key in (own, "to_mask.weight"):
        assert not torch.equal(learned[key], changed[key])


def test_loss_falls_and_its_terms_are_logged_one_by_one(kind, classifier):
    brain = make_brain(kind, classifier, epochs=12)
    fit(brain, epochs=12)
    calls = brain.hparams.train_logger.calls
    terms = {"loss", *TERMS[kind]}
    assert all(set(kwargs["train_stats"]) == terms for _, kwargs in calls)
    assert set(calls[0][1]["valid_stats"]) == terms | MEASURED
    first, last = (calls[i][1]["train_stats"] for i in (0, -1))
    falls = "reconstruction" if kind is PIQBrain else "loss"
    assert last[falls] < first[falls]
    total = sum(weight * last[term] for term, weight in TERMS[kind].items())
    assert last["loss"] == pytest.approx(total, rel=1e-5)
    assert len(brain.hparams.history.rows) == 12


def test_the_most_faithful_checkpoint_is_kept_and_tested(
    kind, classifier, tmp_path
):
    brain = make_brain(kind, classifier, folder=tmp_path, epochs=4)
    fit(brain, epochs=4)
    tie = "reconstruction" if kind is PIQBrain else "loss"
    scores = [
        row["valid_fidelity_at_quantile"] - 1e-4 * row[f"valid_{tie}"]
        for row in brain.hparams.history.rows
    ]
    kept = brain.checkpointer.find_checkpoint(max_key="score")
    assert kept.meta["epoch"] == 1 + scores.index(max(scores))
    brain.on_evaluate_start(max_key="score")
    weights = torch.load(kept.paramfiles["decoder"], weights_only=True)
    tested = brain.hparams.interpreter.decoder.state_dict()
    assert all(torch.equal(tested[key], weights[key]) for key in weights)
    rows = measure(brain.hparams.interpreter)
    best = brain.hparams.history.rows[kept.meta["epoch"] - 1]
    for name in ("fidelity", "kept_fraction"):
        mean = sum(row[name] for row in rows) / len(rows)
        assert mean == pytest.approx(best[f"valid_{name}"])


def test_what_selects_is_the_fidelity_of_a_mask_of_fixed_size(classifier):
    brain = make_brain(PIQBrain, classifier, epochs=1)
    fit(brain, epochs=1)
    interpreter, same = brain.hparams.interpreter, []
    for number in range(N_CLIPS):
        with torch.no_grad():
            spectrum, output = interpreter.look(make_clip(number)[None])
            mask, _ = interpreter.explain(output, spectrum, output.class_ids)
            cut = quantile_mask(mask, 0.75)
            kept = apply_mask(cut, spectrum.log_magnitude)
            said = classifier(kept)
        same.append(float(said.class_ids == output.class_ids))
    (row,) = brain.hparams.history.rows
    assert row["valid_fidelity_at_quantile"] == pytest.approx(sum(same) / 6)


def test_a_mask_of_one_half_everywhere_is_worth_nothing(kind, classifier):
    """It keeps the class, since half a clip is the clip, only quieter."""
    brain = make_brain(kind, classifier)
    to_mask = brain.hparams.interpreter.decoder.to_mask
    torch.nn.init.zeros_(to_mask.weight), torch.nn.init.zeros_(to_mask.bias)
    brain.optimizers_step = lambda: None  # nothing is learnt
    fit(brain, epochs=1)
    (row,) = brain.hparams.history.rows
    assert row["valid_kept_fraction"] == pytest.approx(0.5)
    silence = torch.zeros(1, 9, 513)
    said = classifier(silence).class_ids
    chance = sum(
        float(cached(brain, number).class_ids == said) for number in range(6)
    )
    assert row["valid_fidelity_at_quantile"] == pytest.approx(chance / 6)


def test_without_a_validation_fold_the_last_decoder_is_kept(
    kind, classifier, tmp_path
):
    kwargs = {"folder": tmp_path, "epochs": 2, "select_by": "epoch"}
    brain = make_brain(kind, classifier, **kwargs)
    fit(brain, 2, valid=False)
    brain.on_evaluate_start(**brain.selection)
    best = brain.checkpointer.find_checkpoint(**brain.selection)
    assert best.meta["epoch"] == 2
    names = {"epoch", "lr", *(f"train_{name}" for name in kind.TERMS)}
    assert [set(row) for row in brain.hparams.history.rows] == [names] * 2


def test_selecting_by_what_is_not_measured_is_refused(classifier):
    with pytest.raises(ValueError, match="select_by='error' must be one of"):
        fit(make_brain(PIQBrain, classifier, select_by="error"))


def test_what_was_never_trained_is_not_tested(classifier, tmp_path):
    brain = make_brain(PIQBrain, classifier, folder=tmp_path)
    with pytest.raises(ModelError, match="holds no checkpoint"):
        brain.on_evaluate_start(max_key="score")
