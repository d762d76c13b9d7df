# mmext: `make demo` and `make test` need only Python 3.11+, make and a C++ compiler.

PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
WORKERS ?= 2
PYTEST_ARGS ?=
SOAK_ARGS ?=

BIN := .venv/bin
# a worker that dies ends the run with an error; a new one in its place would leave it hanging.
# five failures tell enough: a fault that makes a whole file hang is named before CI's time is up
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 0 --maxfail 5
SOURCES := mmext configs tools tests setup.py
MATHS := tests/functional tests/metrics/test_*_quality.py tests/*/test_*_targets.py \
  tests/*/test_*_decoding.py tests/retinaface/test_matching.py \
  tests/upsnet/test_mask_pruning.py tests/upsnet/test_panoptic_*.py

.DEFAULT_GOAL := help
.PHONY: help setup demo test maths soak lint format clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: ## make .venv with everything in it (does only what is still missing)
	@$(PYTHON) tools/setup_env.py

demo: setup ## train and evaluate UPSNet on a generated data set, with pictures and an MLflow run
	@$(BIN)/python tools/demo.py

test: lint maths ## everything CI runs: linters, type check, import contracts, tests
	@$(PYTEST) $(PYTEST_ARGS)

maths: setup ## the pure maths alone, as torch computes it without vector instructions
	@ATEN_CPU_CAPABILITY=default $(PYTEST) $(MATHS)

soak: setup ## ten minutes of kills, outages and spoiled files at random (not in CI)
	@$(BIN)/python tools/soak.py $(SOAK_ARGS)

lint: setup ## linters, type check and import contracts alone
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup ## let ruff repair and format the sources
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

clean: ## remove .venv, build folders and caches (not the cached mmcv wheel)
	rm -rf .venv .cache build dist mmext.egg-info mmext/.mim \
	  .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
