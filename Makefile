PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint types check up down deploy worker bench schema clean

help: ## Say what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# The stamp is younger than both files only when pip has finished with them.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "onnxproof needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo 'Installing the pinned packages into .venv; the first time takes minutes.'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq -c constraints.txt pip hatchling editables
	@$(BIN)/python -m pip install -qq -c constraints.txt --no-build-isolation -e '.[cpu,examples,dev]'
	@touch $@

demo: $(INSTALLED) ## Prove and register a small network, from nothing
	$(BIN)/python -m examples.digits_cnn
	$(BIN)/onnxproof export digits-cnn

test: $(INSTALLED) ## Run every test
	$(BIN)/python -m pytest

lint: $(INSTALLED) ## Formatting, lint, and who imports what
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: $(INSTALLED) ## Type check
	$(BIN)/mypy

check: lint types test ## What CI runs

up: $(INSTALLED) ## Start a Prefect and an MLflow server on loopback
	$(BIN)/python -m onnxproof.servers up

down: $(INSTALLED) ## Stop them
	$(BIN)/python -m onnxproof.servers down

deploy: $(INSTALLED) ## Create the work pools and the deployments on the running server
	$(BIN)/python -m onnxproof.servers deploy

worker: $(INSTALLED) ## Run what the deployments ask for, until Ctrl-C
	$(BIN)/python -m onnxproof.servers worker $(if $(POOL),--pool $(POOL))

bench: $(INSTALLED) ## Overhead, unchanged and import time, as ratios
	$(BIN)/python -m benchmarks.import_time
	$(BIN)/python -m benchmarks.unchanged
	$(BIN)/python -m benchmarks.overhead

schema: $(INSTALLED) ## Write docs/proof.schema.json again
	$(BIN)/python -c 'import json; from onnxproof.records import Proof; \
		print(json.dumps(Proof.model_json_schema(mode="serialization"), indent=2))' > docs/proof.schema.json

clean: ## Remove what is made again in seconds; the registry stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -not -path './.venv/*' -exec rm -rf {} +
