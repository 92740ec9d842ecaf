"""`a started run -> a trained decoder, tested`: what PIQ and L-MAC share."""

from __future__ import annotations

from typing import Any

from focalaudio.brains.decoders import DecoderBrain
from focalaudio.brains.interpretation import InterpreterBrain
from focalaudio.brains.training import FIT_KEYS
from focalaudio.data.pipelines import need_clips
from focalaudio.experiment import Experiment
from focalaudio.models.run import save_decoder
from focalaudio.report.conclusions import conclude_interpretation
from focalaudio.report.evaluation import write_evaluation

DECODER_KEYS = (*FIT_KEYS, "decoder")  # that `train_decoder` reads


def train_decoder(
    experiment: Experiment, method: str, kind: type[DecoderBrain]
) -> dict[str, Any]:
    """Train, test the most faithful checkpoint, write rows and averages.

    Arguments
    ---------
    experiment : Experiment
        Of `train_piq.py` or `train_lmac.py`.
    method : str
        What the decoder is saved as, `piq` or `lmac`.
    kind : type
        The Brain that trains it.

    Returns
    -------
    dict
        What `metrics.json` holds.

    Raises
    ------
    ValueError
        If the YAML lacks a key that the Brain needs, or a batch is larger than
        the data.
    """
    hparams, data = experiment.hparams, experiment.hparams["data"]
    need_clips(data.test)  # now, not after hours
    data.save_folds(experiment.folder)
    save_decoder(method, hparams["decoder"], experiment.folder)
    brain = experiment.brain(kind)
    reading = data.read_ahead(hparams["num_workers"])
    brain.fit(
        hparams["epoch_counter"],
        data.train,
        data.valid,
        train_loader_kwargs=hparams["train_loader"] | reading,
        valid_loader_kwargs=hparams["eval_loader"] | reading,
    )
    brain.on_evaluate_start(**brain.selection)
    hparams["history"].write_table(experiment.folder / "history.csv")
    rows = _test(experiment)
    settings = hparams["interpreter"].settings
    metrics = write_evaluation(experiment.folder, rows, settings)
    experiment.conclude(conclude_interpretation(experiment.folder, metrics))
    return metrics


def _test(experiment: Experiment) -> list[dict[str, Any]]:
    """Test the trained decoder as any other interpreter."""
    hparams = experiment.hparams
    tester = InterpreterBrain(
        {"interpreter": hparams["interpreter"]},
        hparams=hparams,
        run_opts=experiment.run_opts,
    )
    tester.evaluate(
        hparams["data"].test, test_loader_kwargs=hparams["eval_loader"]
    )
    fidelity = tester.tracker.mean("fidelity")
    hparams["train_logger"].log_stats({}, test_stats={"fidelity": fidelity})
    return tester.tracker.rows()
