# make setup | demo | test | test-slow | test-all | lint | docs | bench : each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
BASE := .venv/.installed-base
DEV := .venv/.installed-dev
DEMO_OUT ?= results/demo
BENCH_DATA ?= ../shared/data/ESC-10
BENCH_REFERENCE ?= $(wildcard ../speechbrain)
BENCH_THREADS ?= 1
TEST_WORKERS ?= auto
BENCH_FLAGS ?=

.PHONY: setup demo test test-slow test-all lint docs bench

setup: $(DEV)

$(BASE): setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(DEV): $(BASE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,docs,baselines,tensorboard]'
	touch $@

demo: $(BASE)
	$(BIN)/python -m focalaudio demo --out $(DEMO_OUT)

test: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n $(TEST_WORKERS) --dist loadfile

test-slow: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests

test-all: test test-slow

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy focalaudio

docs: $(DEV)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -q docs docs/_build/html
	$(BIN)/jupytext --quiet --to ipynb --set-kernel python3 docs/tutorial.md \
		--output docs/_build/html/tutorial.ipynb
	@echo docs/_build/html/index.html

bench: $(DEV)
	OMP_NUM_THREADS=$(BENCH_THREADS) $(BIN)/python benchmarks/run.py --data_folder $(BENCH_DATA) \
		$(if $(BENCH_REFERENCE),--reference $(BENCH_REFERENCE)) $(BENCH_FLAGS)
