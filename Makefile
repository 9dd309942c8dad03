# One front door. `make` alone lists what it can do.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
BUILD := build

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lint typecheck fuzz e2e bench clean

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## install the tested versions into .venv

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,dev]'
	touch $(READY)

demo: setup  ## the whole product in minutes: sample, prepare, sweep, report, export
	@rm -rf $(BUILD)/sample
	$(BIN)/segsweep sample $(BUILD)/sample --format coco
	$(BIN)/segsweep prepare $(BUILD)/sample --to $(BUILD)/bundles --name demo --imgsz 96
	$(BIN)/segsweep check jobs/demo.yaml
	$(BIN)/segsweep sweep jobs/demo.yaml
	$(BIN)/segsweep report $(BUILD)/runs/demo --out $(BUILD)/report
	$(BIN)/segsweep export $(BUILD)/runs/demo --out $(BUILD)/model
	@echo
	@echo "Look at:  $(BUILD)/report/index.html   the front, the table, learning curves, predictions"
	@echo "          $(BUILD)/model/              model.onnx, model.pt, model card, parity"
	@echo "          $(BUILD)/runs/demo/trials/   every trial: arguments, metrics, log, weights, predictions"

test: setup  ## unit and contract tests
	$(BIN)/python -m pytest tests/unit tests/contracts

check: format lint typecheck test  ## what CI runs before the end-to-end tests

format: setup  ## is the code formatted (FIX=1 formats it)
	$(BIN)/ruff format $(if $(FIX),,--check) src tests benchmarks

lint: setup  ## ruff, and the import direction of docs/architecture.md
	$(BIN)/ruff check $(if $(FIX),--fix) src tests benchmarks
	$(BIN)/lint-imports

typecheck: setup  ## mypy --strict
	$(BIN)/mypy

fuzz: setup  ## thousands of bad inputs, about 3 minutes
	$(BIN)/python -m pytest tests/fuzz

e2e: setup  ## whole commands, about 20 minutes
	$(BIN)/python -m pytest tests/e2e

bench: setup  ## every claim in benchmarks/, a ratio each
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:  ## remove everything that was made, .venv included
	rm -rf $(BUILD) $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
