"""The recipes, run as a user runs them, on sounds that are made here."""

import json


def test_training_leaves_the_listed_files(trained):
    print(sorted(p.name for p in trained.iterdir()), sorted(p.name for p in (trained/"save").glob("*/*")))
    print((trained/"train_log.txt").read_text())
    print((trained/"history.csv").read_text())


def test_interp(interpreted):
    print(sorted(p.name for p in interpreted.rglob("*")))
    print((interpreted/"metrics.json").read_text())
