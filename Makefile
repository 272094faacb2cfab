# The verbs of this project. `make` alone lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export CHANGERISK_HOME ?= var

.DEFAULT_GOAL := help
.PHONY: help setup run test lint bench chaos notebooks docs lock clean

help:
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## make .venv from the lock (the others call it where needed)

.venv/.ready: requirements.lock pyproject.toml
	@test -x $(BIN)/python || "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "expected Python 3.11; name yours with PYTHON=/path/to/python3.11" >&2; exit 2; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
# On all cores at once, and whether or not later starts may write: a worker's start takes half as long.
	$(BIN)/python -m compileall -q -j 0 .venv/lib || true
	@touch $@

run: setup ## synthetic organisation, model, example score, service on 127.0.0.1:3000
	$(BIN)/changerisk demo --if-empty
	$(BIN)/changerisk train --if-missing
	$(BIN)/changerisk serve --example

test: setup ## all tests but the slow ones and those on Spark
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not spark" $(ARGS)

lint: setup ## format check, rules, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## measure the engine, the model and the service; prints ratios
	$(BIN)/python -m tests.benchmarks

chaos: setup ## kill, fill, move and damage what the service stands on while it is asked
	$(BIN)/python -m tests.chaos $(ARGS)

notebooks: setup ## run the notebooks as notebooks, on BPIC14 where its files are found
	$(BIN)/python -m tests.run_notebooks

docs: setup ## build the documentation into dist/docs
	$(BIN)/python -m mkdocs build --strict -d dist/docs

COMPILE := uv pip compile --quiet --generate-hashes --no-header --no-annotate \
  --no-emit-index-url --python-version 3.11
SPARK := import tomllib; \
  print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"])

lock: setup ## compile requirements.lock and requirements-spark.lock from pyproject.toml
	$(BIN)/$(COMPILE) --extra dev pyproject.toml -o requirements.lock
	$(BIN)/python -c '$(SPARK)' | $(BIN)/$(COMPILE) --constraint requirements.lock - -o requirements-spark.lock

clean: ## remove .venv and what the tools left (never $(CHANGERISK_HOME))
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
