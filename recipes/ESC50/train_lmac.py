#!/usr/bin/env python3
"""Train L-MAC on a trained classifier; see hparams/train_lmac.yaml.

python recipes/ESC50/train_lmac.py hparams/train_lmac.yaml \
    --data_folder ../shared/data/ESC-10 \
    --classifier results/classifier_focalnet_nano/1234
"""

import sys

from focalaudio.brains import InterpreterBrain, LMACBrain
from focalaudio.experiment import start_experiment
from focalaudio.models.run import save_decoder
from focalaudio.report.evaluation import write_evaluation


def main(argv: list[str]) -> None:
    """Train, test the most faithful checkpoint, write rows and averages."""
    experiment = start_experiment(argv)
    hparams, data = experiment.hparams, experiment.hparams["data"]
    data.save_folds(experiment.folder)
    save_decoder("lmac", hparams["decoder"], experiment.folder)
    brain = experiment.brain(LMACBrain)
    brain.fit(
        hparams["epoch_counter"],
        data.train,
        data.valid,
        train_loader_kwargs=hparams["train_loader"],
        valid_loader_kwargs=hparams["eval_loader"],
    )
    brain.on_evaluate_start(**brain.selection)
    hparams["history"].write_table(experiment.folder / "history.csv")
    tester = InterpreterBrain(
        {"interpreter": hparams["interpreter"]},
        hparams=hparams,
        run_opts=experiment.run_opts,
    )
    tester.evaluate(data.test, test_loader_kwargs=hparams["eval_loader"])
    fidelity = tester.tracker.mean("fidelity")
    hparams["train_logger"].log_stats({}, test_stats={"fidelity": fidelity})
    write_evaluation(
        experiment.folder,
        tester.tracker.rows(),
        hparams["interpreter"].settings,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
