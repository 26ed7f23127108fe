# Each target sets up what it needs: a virtual environment in .venv, with every dependency pinned by hash.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header

.PHONY: help demo up test test-long test-faults check bench bench-peers bench-readme lock wheel clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 14

# The pip that comes with Python checks hashes, and needs nothing to be installed first.
$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("approval-ledger needs Python 3.11 or newer, not " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@echo "setting up .venv (once)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes --only-binary :all: -r requirements/dev.txt
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(READY) ## publish real history, project it, read it, replay it
	@$(BIN)/approvals demo

up: $(READY) ## serve the ledger over HTTP, with workers, until Ctrl-C; UP="--with-history --ledger history" loads the real history
	@$(BIN)/approvals up $(UP)

test: $(READY) ## the tests, against real servers
	@$(BIN)/python -m pytest -n 3

test-long: $(READY) ## the tests on every server, with more examples and the slow tests, each command in a process of its own
	@LEDGER_TESTS=long $(BIN)/python -m pytest -n 3

test-faults: $(READY) ## random faults on every server, while producers, workers, rebuilds and readers run
	@LEDGER_TESTS=faults $(BIN)/python -m pytest tests/test_faults_at_random.py

check: $(READY) ## lint, format, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(READY) .venv-bench/ready ## each cost beside a yardstick of the same run, with charts; BENCH="--events 1000000" sets options
	@$(BIN)/python -m benchmarks $(BENCH)
	@.venv-bench/bin/python benchmarks/charts.py $(BENCH)

bench-peers: $(READY) ## the same job on other software, each in its own environment
	@$(BIN)/python -m benchmarks.peers $(BENCH)

bench-readme: $(READY) ## write the last results into the README
	@$(BIN)/python -m benchmarks.readme

.venv-bench/ready: requirements/bench.txt
	@echo "setting up .venv-bench (once)"
	@$(PYTHON) -m venv --clear .venv-bench
	@.venv-bench/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes --only-binary :all: -r $<
	@touch $@

lock: $(READY) ## resolve the dependencies again and pin them with their hashes
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install uv
	@$(LOCK) --extra charts pyproject.toml -o requirements/run.txt
	@$(LOCK) -c requirements/run.txt --extra charts --extra parquet --extra tracing --group dev pyproject.toml -o requirements/dev.txt
	@echo hatchling | $(LOCK) --no-annotate -c requirements/dev.txt - -o requirements/build.txt
	@echo 'matplotlib>=3.11,<4' | $(LOCK) --no-annotate --python-version 3.11 -c requirements/dev.txt - -o requirements/bench.txt
	@for peer in requirements/peers/*.in; do $(LOCK) --no-annotate --python-version 3.11 $$peer -o $${peer%.in}.txt; done

wheel: $(READY) ## build the wheel into dist/
	@$(BIN)/hatchling build -t wheel

clean: ## remove what the targets made
	@rm -rf .venv .venv-bench .venv-peers dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache
