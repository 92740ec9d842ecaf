#!/usr/bin/env python3
r"""Reproduce the paper's table and figures; see hparams/reproduce.yaml.

python recipes/ESC50/reproduce.py hparams/reproduce.yaml \
    --data_folder ../shared/data/ESC-10
"""

import sys

from focalaudio.experiment import start_experiment
from focalaudio.reproduction import Plan, choose, find_folds, reproduce


def main(argv: list[str]) -> None:
    """Train what is missing, interpret, write tables and figures."""
    experiment = start_experiment(argv)
    hparams, run_opts = experiment.hparams, experiment.run_opts
    small = hparams["when_debugging"] if run_opts["debug"] else {}
    plan = Plan(
        hparams["data_folder"],
        experiment.folder,
        find_folds(hparams["folds"]),
        hparams["seed"],
        choose(hparams["systems"], hparams["wanted_systems"]),
        choose(hparams["conditions"], hparams["wanted_conditions"]),
        {**hparams["training"], **small.get("training", {})},
        {**hparams["piq"], **small.get("piq", {})},
        hparams["interpret"],
        hparams["compare"],
        ("--device", run_opts["device"], "--noprogressbar"),
    )
    reproduce(
        plan, hparams["quantile"], hparams["figure_3"], hparams["figure_2"]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
