# Everything a person does here is one of these; `make` alone lists them.
# PYTHON=python3.12 make demo   uses another interpreter (3.11 or newer).

PYTHON ?= python3
WORKERS ?= 4
BIN := .venv/bin
# A file of tests stays in one process, with the worker that its tests share; the longest begin.
SPREAD := --dist loadfile --no-loadscope-reorder
OLDEST_POSTGRES ?= /usr/lib/postgresql/15/bin
LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --quiet

.DEFAULT_GOAL := help
.PHONY: help env demo up test test-fast test-pg15 sentences check lint format format-check ruff types imports deps docs docs-check \
	bench lock clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		while IFS="$$(printf '\t')" read -r name what; do printf '  make %-13s %s\n' "$$name" "$$what"; done

env: .venv/.runtime ## make the environment in .venv; `. .venv/bin/activate` enters it

demo: .venv/.runtime ## load 20,000 rows, approve thousands in bulk, check them, stop: under two minutes
	@$(BIN)/lockside demo

up: .venv/.runtime ## keep everything running and print the addresses; Ctrl-C stops it all
	@$(BIN)/lockside up

test: .venv/.dev ## run all tests (ARGS="-k name" to choose)
	@$(BIN)/python -m pytest -n $(WORKERS) $(SPREAD) $(ARGS)

test-fast: .venv/.dev ## run all tests but the long ones: under two minutes on two cores
	@$(BIN)/python -m pytest -n $(WORKERS) $(SPREAD) -m "not slow" $(ARGS)

test-pg15: .venv/.dev ## run the engine's tests on PostgreSQL 15, of Debian's package
	@test -x $(OLDEST_POSTGRES)/postgres || apt-get install --yes --no-install-recommends postgresql-15
	@POSTGRES_BIN=$(OLDEST_POSTGRES) $(BIN)/python -m pytest -n $(WORKERS) $(SPREAD) tests/engine tests/models $(ARGS)

sentences: .venv/.dev ## keep the sentences that tests are told now (ARGS="tests/..." to choose)
	@UPDATE_SENTENCES=1 $(BIN)/python -m pytest -n $(WORKERS) $(SPREAD) $(ARGS)
	@git diff --stat -- tests/sentences.json

check: lint test ## everything that has to be green before a commit

lint: format-check ruff types imports deps docs-check ## check, without the tests

format: .venv/.dev ## lay out the code and mend what ruff can mend
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

format-check: .venv/.dev
	@$(BIN)/ruff format --check

ruff: .venv/.dev
	@$(BIN)/ruff check

types: .venv/.dev
	@$(BIN)/mypy

imports: .venv/.dev
	@$(BIN)/lint-imports --no-cache

deps: .venv/.dev
	@$(BIN)/deptry .

docs: .venv/.runtime ## write the generated pages of docs/ again
	@$(BIN)/python docs/generate.py

docs-check: .venv/.runtime
	@$(BIN)/python docs/generate.py --check

bench: .venv/.runtime ## measure (ONLY=F1,F4 to choose); writes benchmarks/results.json
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

lock: ## choose the exact versions again (needs uv; UPGRADE=1 takes the newest)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv"; exit 1; }
	@$(LOCK) --extra dev $(if $(UPGRADE),--upgrade) -o requirements-dev.txt
	@$(LOCK) --extra build -c requirements-dev.txt $(if $(UPGRADE),--upgrade) -o requirements.txt
	@git diff --stat -- requirements.txt requirements-dev.txt

clean: ## remove the environment and the caches (never your data)
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment, made again whenever what it is made of changes.

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Lockside needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -n 1)."; \
		echo "Name another one like this: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv --clear .venv || { rm -rf .venv; \
		echo "$(PYTHON) can't make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; \
		exit 1; }

.venv/.runtime: .venv/pyvenv.cfg requirements.txt pyproject.toml
	@echo "Installing Lockside and what it needs into .venv (under a minute, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.txt
	@echo "Installing the tools for tests and checks into .venv (under a minute, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
