# make setup | demo | test | lint : each does the set-up it needs, once.
PYTHON ?= python3
BIN := .venv/bin
BASE := .venv/.installed-base
DEV := .venv/.installed-dev
DEMO_OUT ?= results/demo

.PHONY: setup demo test lint

setup: $(DEV)

$(BASE): setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(DEV): $(BASE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,baselines,tensorboard]'
	touch $@

demo: $(BASE)
	$(BIN)/python -m focalaudio demo --out $(DEMO_OUT)

test: $(DEV)
	$(BIN)/python -m pytest

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy focalaudio
