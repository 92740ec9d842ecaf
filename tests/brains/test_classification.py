import math
import sys
import types

import pytest
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.epoch_loop import EpochCounter

from focalaudio.augment import (
    Augment,
    MaskedViews,
    MaskSpectrogram,
    MixClips,
    RandomOutliers,
    TimeShift,
)
from focalaudio.brains import ClassifierBrain
from focalaudio.brains.averaging import build_average
from focalaudio.brains.checkpoints import History, WholeCheckpointer
from focalaudio.brains.loggers import TrainLoggers, build_logger
from focalaudio.classifier import SoundClassifier
from focalaudio.data.pipelines import ClipReader
from focalaudio.encoders import build_encoder
from focalaudio.errors import FocalAudioError, ModelError
from focalaudio.models import SoundModel
from focalaudio.shares import build_share_decoder
from focalaudio.spectrogram import Spectrogram

LABELS = ["low", "middle", "high"]
WRITES = []  # what was opened for writing while a test watches
WATCHING = []


def watch(event, arguments):
    if not WATCHING:
        return
    if event == "open" and set(str(arguments[1])) & set("wax+"):
        WRITES.append(arguments[0])
    if event in ("os.mkdir", "os.rename", "os.remove"):
        WRITES.append(arguments[0])


sys.addaudithook(watch)


def make_clip(number, samples=3000):
    """A tone of the class `number % 3` in a little noise."""
    generator = torch.Generator().manual_seed(number)
    frequency = (500, 1500, 4000)[number % 3]
    time = torch.arange(samples) / 16000
    noise = 0.1 * torch.randn(samples, generator=generator)
    return torch.sin(2 * math.pi * frequency * time) + noise


def make_dataset(numbers, samples=lambda number: 3000):
    rows = {f"clip{number:02}": {"number": number} for number in numbers}
    dataset = DynamicItemDataset(rows)
    dataset.add_dynamic_item(
        lambda number: make_clip(number, samples(number)), "number", "sig"
    )
    dataset.add_dynamic_item(lambda number: number % 3, "number", "target")
    dataset.add_dynamic_item(lambda n: LABELS[n % 3], "number", "label")
    dataset.set_output_keys(["id", "sig", "label", "target"])
    return dataset


def make_brain(
    folder=None,
    steps=(),
    mix=0.0,
    outliers=0.0,
    run_opts=None,
    stripes=0,
    views=0.0,
    classifier=None,
    decay=0.0,
    **hparams,
):
    """A tiny brain; with a folder it keeps checkpoints and a log there."""
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_test", in_channels=1)
    modules = {
        "outliers": RandomOutliers(outliers),
        "augment": Augment(steps),
        "mixer": MixClips(mix, 0.0),
        "mask_spectrogram": MaskSpectrogram(stripes, 5, 5),
        "views": MaskedViews(views),
        "spectrogram": Spectrogram(),
        "classifier": classifier
        or SoundClassifier(encoder, 3, "linear", image_size=(32, 32)),
    }
    own = (modules["classifier"], modules["spectrogram"], ClipReader())
    history = History()
    average = build_average(modules["classifier"], decay)
    hparams = {
        "average": average,
        "evidence_floor": 1.0,
        "evidence_weight": 0.0,
        "history": history,
        "label_smoothing": 0.0,
        "labels": LABELS,
        "model": SoundModel(*own, LABELS),
        "share_weight": 0.0,
        "schedule": lambda epoch: 0.003,
        "select_by": "error",
        "train_logger": build_logger(str(folder))
        if folder
        else TrainLoggers([]),
    } | hparams
    checkpointer = folder and WholeCheckpointer(
        folder / "save",
        {
            "average": average,
            "classifier": modules["classifier"],
            "history": history,
        },
    )
    return ClassifierBrain(
        modules=modules,
        opt_class=lambda parameters: torch.optim.Adam(parameters, 0.003),
        hparams=hparams,
        run_opts={"device": "cpu", "noprogressbar": True} | (run_opts or {}),
        checkpointer=checkpointer,
    )


def fit(brain, n_epochs=1, batch_size=3, n_train=6, valid=range(50, 56)):
    brain.fit(
        EpochCounter(n_epochs),
        make_dataset(range(n_train)),
        make_dataset(valid) if valid else None,
        train_loader_kwargs={"batch_size": batch_size, "drop_last": True},
        valid_loader_kwargs={"batch_size": 4},
    )


def evaluate(brain, dataset=None, batch_size=4, **kwargs):
    brain.evaluate(
        dataset or make_dataset(range(70, 76)),
        test_loader_kwargs={"batch_size": batch_size},
        **kwargs,
    )
    return brain.tracker.rows()


def batch_of(numbers, **kwargs):
    return PaddedBatch(list(make_dataset(numbers, **kwargs)))


def test_loss_falls_on_one_batch():
    brain = make_brain()
    brain.init_optimizers()
    brain.modules.train()
    batch, losses = batch_of(range(6)), []
    for _ in range(40):
        losses.append(brain.fit_batch(batch).item())
    assert losses[0] == pytest.approx(math.log(3), rel=0.2)
    assert losses[-1] < 0.2 * losses[0]


def test_training_loss_is_the_smoothed_cross_entropy():
    brain = make_brain(label_smoothing=0.3)
    batch = batch_of(range(4))
    output = brain.compute_forward(batch, sb.Stage.TRAIN)
    loss = brain.compute_objectives(output, batch, sb.Stage.TRAIN)
    truth = torch.eye(3)[[0, 1, 2, 0]]
    wanted = -((0.7 * truth + 0.1) * output.output.logits.log_softmax(-1)).sum(
        -1
    )
    torch.testing.assert_close(loss, wanted.mean())


def test_mixed_clips_get_mixed_targets():
    brain = make_brain(mix=1.0)
    brain.modules.train()
    batch = batch_of(range(3))
    targets = brain.compute_forward(batch, sb.Stage.TRAIN).targets
    torch.testing.assert_close(targets.sum(1), torch.ones(3))
    assert ((targets > 0) & (targets < 1)).any()


def test_nothing_is_augmented_in_evaluation():
    plain = make_brain()
    brain = make_brain(steps=[TimeShift(1.0)], mix=1.0, stripes=3)
    rows = [evaluate(one) for one in (plain, brain)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("order", [1, -1])
def test_a_clip_counts_the_same_in_every_batch_and_order(batch_size, order):
    brain, lengths = make_brain(), lambda number: 500 + 37 * (number % 70)
    wanted = evaluate(brain, make_dataset(range(70, 76), lengths), 6)
    clips = make_dataset(range(70, 76)[::order], lengths)
    rows = evaluate(brain, clips, batch_size)
    for row, one in zip(rows, wanted, strict=True):
        assert row == pytest.approx(one, abs=1e-5)


def test_rows_say_what_the_classifier_said():
    brain = make_brain()
    rows = evaluate(brain)
    assert [row["clip_id"] for row in rows] == [
        f"clip{n}" for n in range(70, 76)
    ]
    for number, row in zip(range(70, 76), rows, strict=True):
        spectrum = brain.modules.spectrogram(make_clip(number)[None])
        logits = brain.modules.classifier(spectrum.log_magnitude).logits[0]
        truth, said = number % 3, int(logits.argmax())
        assert (row["label"], row["predicted"]) == (LABELS[truth], LABELS[said])
        assert row["accuracy"] == (truth == said)
        probabilities = logits.softmax(-1)
        assert row["probability"] == pytest.approx(probabilities.max().item())
        loss = -probabilities[truth].log().item()
        assert row["loss"] == pytest.approx(loss, rel=1e-5)


def test_forward_writes_no_file(tmp_path):
    brain = make_brain(tmp_path)
    brain.on_stage_start(sb.Stage.TEST)
    batch = batch_of(range(4))
    WATCHING.append(True)
    try:
        for stage in (sb.Stage.TRAIN, sb.Stage.TEST):
            output = brain.compute_forward(batch, stage)
            brain.compute_objectives(output, batch, stage)
        assert WRITES == []
        fit(brain)  # the logger and the checkpointer do write
        assert WRITES
    finally:
        WATCHING.clear()
        WRITES.clear()


class Watched(ClassifierBrain):
    """Remembers the weights at the end of each epoch, and what was tested."""

    def on_stage_end(self, stage, stage_loss, epoch=None):
        weights = self.modules.classifier.head.weight.detach().clone()
        if stage == sb.Stage.VALID:
            self.__dict__.setdefault("seen", []).append(weights)
        if stage == sb.Stage.TEST:
            self.tested = weights
        super().on_stage_end(stage, stage_loss, epoch)


@pytest.mark.parametrize("select_by", ["error", "loss"])
def test_what_is_tested_is_the_best_checkpoint(tmp_path, select_by):
    rates = {1: 0.003, 2: 0.003, 3: 3.0, 4: 3.0}  # the last epochs do harm
    brain = make_brain(tmp_path, select_by=select_by, schedule=rates.get)
    brain.__class__ = Watched
    fit(brain, n_epochs=4)
    evaluate(brain, min_key=select_by)
    rows = brain.hparams.history.rows
    scores = [
        row["valid_loss"] if select_by == "loss" else 1 - row["valid_accuracy"]
        for row in rows
    ]
    best = 4 - scores[::-1].index(min(scores))  # of equals the last
    assert best in (1, 2, 3)
    assert torch.equal(brain.tested, brain.seen[best - 1])
    assert brain.best_epoch() == best
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    last = (tmp_path / "train_log.txt").read_text().splitlines()[-1]
    assert last.startswith(f"best epoch tested: {best} ")


def test_without_a_validation_fold_the_last_epoch_is_kept(tmp_path):
    brain = make_brain(tmp_path, select_by="epoch", decay=0.9)
    epochs = []

    class Last(ClassifierBrain):
        def on_stage_end(self, stage, stage_loss, epoch=None):
            super().on_stage_end(stage, stage_loss, epoch)
            epochs.append((stage, self.classifier.head.weight.detach().clone()))

    brain.__class__ = Last
    fit(brain, n_epochs=3, valid=())
    assert [stage for stage, _ in epochs] == [sb.Stage.TRAIN] * 3
    evaluate(brain, **brain.selection)
    assert torch.equal(brain.classifier.head.weight, epochs[2][1])
    assert brain.best_epoch() == 3
    rows = brain.hparams.history.rows
    assert [set(row) for row in rows] == [{"epoch", "lr", "train_loss"}] * 3
    log = (tmp_path / "train_log.txt").read_text().splitlines()
    assert "valid" not in "".join(log)
    assert log[-1].startswith("best epoch tested: 3 ")


def test_validating_changes_nothing_of_what_is_trained(tmp_path):
    losses = []
    for valid in ((), range(50, 56)):
        brain = make_brain(decay=0.9, select_by="epoch")
        fit(brain, 3, n_train=12, valid=valid)
        losses.append([row["train_loss"] for row in brain.hparams.history.rows])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("select_by", ["error", "loss"])
def test_nothing_is_selected_without_a_validation_fold(tmp_path, select_by):
    brain = make_brain(tmp_path, select_by=select_by)
    with pytest.raises(ValueError, match=f"select_by='{select_by}' needs a"):
        fit(brain, valid=())


def test_what_is_tested_has_the_temperature_of_its_checkpoint(tmp_path):
    rates = {1: 0.003, 2: 0.003, 3: 3.0}
    brain = make_brain(tmp_path, select_by="loss", schedule=rates.get)
    found = []

    class Known(ClassifierBrain):
        def _find_temperature(self):
            found.append(super()._find_temperature())
            return found[-1]

    brain.__class__ = Known
    fit(brain, n_epochs=3)
    rows = evaluate(brain, **brain.selection)
    assert len(set(found)) > 1
    assert brain.temperature == found[brain.best_epoch() - 1]
    for number, row in zip(range(70, 76), rows, strict=True):
        spectrum = brain.modules.spectrogram(make_clip(number)[None])
        logits = brain.modules.classifier(spectrum.log_magnitude).logits[0]
        sure = (logits / brain.temperature).softmax(-1).max().item()
        assert row["probability_scaled"] == pytest.approx(sure, abs=1e-5)
        assert "logits" not in row


def test_nothing_is_scaled_without_a_validation_fold(tmp_path):
    brain = make_brain(tmp_path, select_by="epoch")
    fit(brain, valid=())
    rows = evaluate(brain, **brain.selection)
    assert brain.temperature == 1
    assert all(r["probability_scaled"] == r["probability"] for r in rows)


def test_a_key_that_is_never_measured_cannot_select(tmp_path):
    brain = make_brain(tmp_path, select_by="accuracy")
    with pytest.raises(ValueError, match="select_by='accuracy' must be one of"):
        fit(brain)
    assert not (tmp_path / "train_log.txt").exists()


def test_what_was_never_trained_is_not_tested(tmp_path):
    brain = make_brain(tmp_path, run_opts={"test_only": True})
    with pytest.raises(ModelError, match="holds no checkpoint with 'error'"):
        evaluate(brain, min_key="error")


def test_an_epoch_without_a_batch_is_refused(tmp_path):
    with pytest.raises(ValueError, match="batch_size=7 leaves no whole batch"):
        fit(make_brain(tmp_path), batch_size=7)


def test_rate_of_every_epoch_is_the_schedule():
    rates = {1: 0.1, 2: 0.05, 3: 0.01}
    used = []

    class Rates(ClassifierBrain):
        def on_fit_batch_end(self, *args):
            used.append(self.optimizer.param_groups[0]["lr"])

    brain = make_brain(schedule=rates.get)
    brain.__class__ = Rates
    fit(brain, n_epochs=3)
    assert used == [0.1, 0.1, 0.05, 0.05, 0.01, 0.01]


def test_log_of_epochs_that_are_done_again_is_forgotten(tmp_path):
    fit(make_brain(tmp_path), n_epochs=2)
    log = tmp_path / "train_log.txt"
    text = log.read_text()
    log.write_text(text + "epoch: 3, lr: what a killed run left\n")
    brain = make_brain(tmp_path)
    fit(brain, n_epochs=0)
    assert log.read_text() == text
    assert len(brain.hparams.history.rows) == 2


def test_debugging_leaves_an_old_log_alone(tmp_path):
    log = tmp_path / "train_log.txt"
    log.write_text("epoch: 9, lr: 1\n")
    fit(make_brain(tmp_path, run_opts={"debug": True}))
    assert log.read_text().startswith("epoch: 9, lr: 1\nepoch: 1, ")


def test_evidence_adds_its_weighted_loss_to_that_of_the_clips():
    losses = []
    for weight in (0.0, 1.0, 3.0):
        brain = make_brain(mix=1.0, evidence_weight=weight)
        brain.modules.train()
        batch = batch_of(range(3))
        torch.manual_seed(1)
        output = brain.compute_forward(batch, sb.Stage.TRAIN)
        losses.append(brain.compute_objectives(output, batch, sb.Stage.TRAIN))
    plain, once, thrice = losses
    assert once > plain
    torch.testing.assert_close(thrice - plain, 3 * (once - plain))


def test_cells_learn_what_is_louder_in_them():
    brain = make_brain(mix=1.0, evidence_weight=3.0)
    brain.init_optimizers()
    brain.modules.train()
    batch, losses = batch_of(range(3)), []
    for _ in range(40):
        torch.manual_seed(0)  # the same mixtures every time
        brain.fit_batch(batch)
        with torch.no_grad():
            output = brain.compute_forward(batch, sb.Stage.TRAIN)
            losses.append(float(brain._cell_losses(output)))
    assert losses[-1] < 0.7 * losses[0]


def test_evidence_is_not_trained_through_a_cosine_head():
    brain = make_brain(evidence_weight=1.0)
    head = SoundClassifier(build_encoder("focalnet_test"), 3, "cosine").head
    brain.modules.classifier.head = head
    with pytest.raises(ValueError, match="evidence_weight=1.0 needs"):
        fit(brain)


def test_only_the_input_is_masked_and_targets_are_of_the_visible():
    brain = make_brain(views=1.0, mix=1.0)
    brain.modules.train()
    batch = batch_of(range(6))
    step = brain.compute_forward(batch, sb.Stage.TRAIN)
    plain = brain.modules.spectrogram(step.mixed.wavs, step.mixed.lens)
    assert torch.equal(step.spectrum.log_magnitude, plain.log_magnitude)
    hidden = step.weighed != plain.log_magnitude
    assert (step.weighed[hidden] == 0).all()
    assert hidden.flatten(1).any(1).all()
    torch.testing.assert_close(step.targets.sum(1), torch.ones(6))
    assert not torch.equal(step.targets, step.mixed.targets)
    assert step.floor.tolist() == [0.0] * 6
    assert brain.classifier.training  # as before its own maps were found


def test_without_views_nothing_is_hidden():
    brain = make_brain(mix=1.0)
    brain.modules.train()
    step = brain.compute_forward(batch_of(range(4)), sb.Stage.TRAIN)
    assert torch.equal(step.weighed, step.spectrum.log_magnitude)
    assert torch.equal(step.targets, step.mixed.targets)


def test_fine_cells_learn_the_ratio_of_the_parts():
    torch.manual_seed(0)
    encoder = build_encoder("focalnet_test_pyramid", in_channels=1)
    classifier = SoundClassifier(
        encoder,
        3,
        "linear",
        image_size=(32, 32),
        share_decoder=build_share_decoder(encoder, 3, 4, 6),
    )
    brain = make_brain(
        classifier=classifier, mix=1.0, views=0.5, share_weight=3.0
    )
    losses = []
    brain.on_fit_start()
    brain.modules.train()
    for _ in range(30):
        torch.manual_seed(1)  # the same mixtures, the same views
        step = brain.compute_forward(batch_of(range(6)), sb.Stage.TRAIN)
        loss = brain._cell_losses(step)
        loss.backward()
        brain.optimizer.step()
        brain.optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_without_a_decoder_there_are_no_shares_to_train():
    losses = []
    for weight in (0.0, 3.0):
        brain = make_brain(mix=1.0, share_weight=weight)
        fit(brain)
        losses.append(brain.hparams.history.rows[0]["train_loss"])
    assert losses[0] == losses[1]


def test_what_is_validated_and_saved_is_the_average(tmp_path):
    brain = make_brain(tmp_path, decay=0.9)
    average, seen = brain.hparams.average, []
    update = average.update_parameters

    def watch(module):
        update(module)
        weights = zip(module.parameters(), average.parameters(), strict=True)
        seen.append([(w.detach().clone(), a.clone()) for w, a in weights])

    average.update_parameters = watch
    fit(brain, 3, n_train=12)
    trained, averaged = zip(*seen[-1], strict=True)
    assert not torch.equal(trained[0], averaged[0])
    for weight, mean in zip(
        brain.classifier.parameters(), averaged, strict=True
    ):
        assert torch.equal(weight, mean)
    # the weights that were trained stand back, and training goes on with them
    for weight, last in zip(average.module.parameters(), trained, strict=True):
        assert torch.equal(weight, last)
    saved = brain.checkpointer.find_checkpoint().paramfiles["classifier"]
    state = torch.load(saved, weights_only=True)
    name = next(name for name, _ in brain.classifier.named_parameters())
    assert torch.equal(state[name], averaged[0])


def test_averaging_does_not_change_what_is_trained():
    losses = []
    for decay in (0.0, 0.9):
        brain = make_brain(decay=decay)
        fit(brain, 3, n_train=12)
        losses.append([row["train_loss"] for row in brain.hparams.history.rows])
    assert losses[0] == losses[1]


def test_what_a_class_was_heard_in_cut_out_is_nobodys():
    brain = make_brain(views=1.0)
    brain.modules.views = MaskedViews(1.0, ["own_cut"], 0.5, 0.9).train()
    brain.modules.train()
    batch = PaddedBatch([make_dataset([0, 1])[row] for row in range(2)])
    step = brain.compute_forward(batch, sb.Stage.TRAIN)
    wanted = torch.full((2, 3), 1 / 3)
    torch.testing.assert_close(step.targets, wanted)
    hidden = (step.weighed == 0).float().mean()
    assert 0.05 < hidden < 0.6


def test_sounds_of_no_class_are_nobodys_clip_by_clip_and_cell_by_cell():
    brain = make_brain(outliers=1.0, evidence_weight=1.0)
    brain.modules.train()
    batch = PaddedBatch([make_dataset([0, 1])[row] for row in range(2)])
    step = brain.compute_forward(batch, sb.Stage.TRAIN)
    even = torch.full((2, 3), 1 / 3)
    torch.testing.assert_close(step.targets, even)
    torch.testing.assert_close(step.mixed.own_targets, even)
    assert brain.compute_objectives(step, batch, sb.Stage.TRAIN) >= math.log(3)
    brain.modules.eval()
    step = brain.compute_forward(batch, sb.Stage.VALID)
    assert torch.equal(step.targets, torch.eye(3)[:2])


def test_crops_are_shown_as_snug_images():
    encoder = build_encoder("focalnet_test", in_channels=1)
    classifier = SoundClassifier(
        encoder, 3, "linear", image_size=(32, 32), image_frames=60
    )
    brain = make_brain(classifier=classifier, evidence_weight=1.0)
    shapes = []
    encoder.register_forward_pre_hook(
        lambda _, given: shapes.append(tuple(given[0].shape[2:]))
    )
    batch = PaddedBatch([make_dataset([0, 1])[row] for row in range(2)])
    step = brain.compute_forward(batch, sb.Stage.TRAIN)
    assert brain.compute_objectives(step, batch, sb.Stage.TRAIN).isfinite()
    brain.compute_forward(batch, sb.Stage.VALID)
    assert shapes == [(10, 32), (32, 32)]  # 17 of 60 frames, and all


class Spoilt(ClassifierBrain):
    """The losses of some batches are no numbers."""

    def compute_objectives(self, predictions, batch, stage):
        loss = super().compute_objectives(predictions, batch, stage)
        bad = stage == sb.Stage.TRAIN and self.step in self.hparams.bad
        return loss * math.nan if bad else loss


def make_spoilt(bad, **run_opts):
    brain = make_brain(bad=bad, run_opts=run_opts)
    brain.__class__ = Spoilt
    return brain


@pytest.mark.parametrize("skip", [False, True])
def test_a_loss_that_is_no_number_is_named_and_changes_no_weight(skip, caplog):
    spoilt = make_spoilt((1,), skip_nonfinite_grads=skip)
    before = {k: v.clone() for k, v in spoilt.classifier.named_parameters()}
    spoilt.fit_batch = types.MethodType(no_step_but_a_bad_one, spoilt)
    fit(spoilt)
    for name, parameter in spoilt.classifier.named_parameters():
        assert torch.equal(parameter, before[name]), name
    assert "loss=nan in batch 1 of epoch 1 ('clip" in caplog.text
    assert math.isfinite(spoilt.train_loss)


def no_step_but_a_bad_one(self, batch):
    if self.step in self.hparams.bad:
        return ClassifierBrain.fit_batch(self, batch)
    return torch.ones(())


def test_training_survives_what_patience_allows():
    spoilt = make_spoilt((1,), nonfinite_patience=1)
    fit(spoilt, n_epochs=3)
    for parameter in spoilt.classifier.parameters():
        assert torch.isfinite(parameter).all()
    evaluate(spoilt)
    assert math.isfinite(spoilt.tracker.mean("loss"))


def test_the_norm_that_is_clipped_is_that_of_all_weights():
    found = []
    for most in (math.inf, 0.1):
        brain = make_brain(
            run_opts={"max_grad_norm": most, "remove_vector_weight_decay": True}
        )
        brain.init_optimizers()
        assert len(brain.optimizer.param_groups) == 2
        brain.modules.train()

        def keep(optimizer, *_):
            found.append(
                [
                    weight.grad.clone()
                    for group in optimizer.param_groups
                    for weight in group["params"]
                ]
            )

        brain.optimizer.register_step_pre_hook(keep)
        brain.fit_batch(batch_of(range(3)))
    whole, clipped = found
    norm = torch.nn.utils.get_total_norm(whole)
    assert norm > 0.2
    for one, other in zip(whole, clipped, strict=True):
        torch.testing.assert_close(
            other, 0.1 / norm * one, atol=1e-6, rtol=1e-3
        )


def test_a_batch_that_is_no_number_leaves_nothing_in_what_normalizes():
    encoder = build_encoder("focalnet_test", in_channels=1)
    classifier = SoundClassifier(encoder, 3, "cosine", image_size=(32, 32))
    brain = make_brain(classifier=classifier)
    (norm,) = (
        module
        for module in classifier.modules()
        if isinstance(module, torch.nn.BatchNorm1d)
    )
    seen = []

    def spoil(module, given):
        if not module.training:
            return None
        seen.append(module.running_mean.clone())
        return (given[0] * (math.inf if len(seen) == 2 else 1),)

    norm.register_forward_pre_hook(spoil)
    fit(brain, n_train=9)
    first, second, third = seen
    assert not torch.equal(first, second)
    assert torch.equal(second, third)
    assert norm.running_mean.isfinite().all()
    assert math.isfinite(brain.hparams.history.rows[0]["valid_loss"])


@pytest.mark.parametrize("select_by", ["error", "loss"])
def test_what_is_no_number_is_never_the_best(tmp_path, select_by):
    brain = make_brain(tmp_path, select_by=select_by)
    for epoch, value in enumerate((0.5, 1.0, math.nan, 2.0, 2.0), 1):
        meta = {"error": value, "loss": value}
        brain.close_epoch(epoch, {"loss": 1.0}, {}, {}, meta)
    best = brain.checkpointer.find_checkpoint(min_key=select_by)
    assert best.meta["epoch"] == 1


def test_too_many_of_them_end_the_run_in_one_line():
    spoilt = make_spoilt((1, 2), nonfinite_patience=1)
    message = r"loss=nan in batch 2 of epoch 1 .*nonfinite_patience=1\. .*lr"
    with pytest.raises(FocalAudioError, match=message) as caught:
        fit(spoilt)
    assert "\n" not in str(caught.value)
