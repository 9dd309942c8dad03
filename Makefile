# One front door. `make` alone lists what it can do.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
BUILD := build

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lint typecheck fuzz e2e e2e-hosts bench clean \
	cluster-up submit status logs dashboard report stop cluster-down

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## install the tested versions into .venv

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,cluster,app,dev]'
	@# Without what it asks for: a `typing` of Python 2 is among it.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps cityscapesscripts pyquaternion
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

e2e-hosts: setup  ## a cluster of three hosts made here: root, iproute2, openssh-server, rsync; 10 minutes
	$(BIN)/python -m pytest -s tests/hosts

bench: setup  ## every claim in benchmarks/, a ratio each
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# A cluster. CLUSTER=cluster-onprem.yaml, JOB=jobs/mine.yaml and RUN=s3://bucket/sweeps/mine name others than these.
CLUSTER ?= cluster.yaml
JOB ?= jobs/cityscapes.yaml

cluster-up: setup  ## start or mend the cluster of CLUSTER, and make what it needs
	$(BIN)/segsweep cluster $(CLUSTER)
	$(BIN)/ray up --yes $(CLUSTER)
	@echo "next: make submit JOB=$(JOB) CLUSTER=$(CLUSTER)"

submit: setup  ## send JOB to it, or come back to it, and follow its log
	$(BIN)/segsweep submit $(JOB) --cluster $(CLUSTER)

status: setup  ## where RUN stands; needs its storage alone
	$(BIN)/segsweep status $(RUN)
	@echo "next: make logs, make report RUN=$(RUN), or make stop"

logs: setup  ## the log of JOB on the cluster
	$(BIN)/segsweep submit $(JOB) --cluster $(CLUSTER) --logs

dashboard: setup  ## Ray's dashboard of the cluster, through a tunnel
	$(BIN)/ray dashboard $(CLUSTER)

report: setup  ## the report of RUN, in build/report
	$(BIN)/segsweep report $(RUN) --out $(BUILD)/report
	@echo "next: segsweep export $(RUN) --out $(BUILD)/model"

stop: setup  ## end JOB in order, its checkpoints kept
	$(BIN)/segsweep submit $(JOB) --cluster $(CLUSTER) --stop

cluster-down: setup  ## end all machines of the cluster; runs stay in their storage
	$(BIN)/ray down --yes $(CLUSTER)
	@echo "next: make report RUN=..., or make cluster-up and make submit to go on"

clean:  ## remove everything that was made, .venv included
	rm -rf $(BUILD) $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
