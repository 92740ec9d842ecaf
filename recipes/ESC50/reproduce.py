#!/usr/bin/env python3
r"""Reproduce the paper's table and figures; see hparams/reproduce.yaml.

python recipes/ESC50/reproduce.py hparams/reproduce.yaml \
    --data_folder ../shared/data/ESC-10
"""

import sys

import focalaudio.starting  # noqa: F401  # what a Ctrl-C says from here on
from focalaudio.experiment import start_experiment
from focalaudio.report.conclusions import conclude_reproduction
from focalaudio.reproduction import (
    PLAN_KEYS,
    Plan,
    lead_or_follow,
    list_one,
    reproduce,
    reproduce_seeds,
)


def main(argv: list[str]) -> None:
    """Train what is missing, interpret, write tables and figures."""
    experiment = start_experiment(argv, "hparams/reproduce.yaml", PLAN_KEYS)
    plan = Plan.from_hparams(experiment.hparams, experiment.run_opts)
    seeds = list_one(experiment.hparams["seeds"])
    lead_or_follow(
        lambda: reproduce_seeds(plan, seeds) if seeds else reproduce(plan)
    )
    experiment.conclude(conclude_reproduction(plan.folder))


if __name__ == "__main__":
    main(sys.argv[1:])
