# Every target makes its own environment in .venv from nothing but Python 3.11+, make and git:
# with uv where it is installed, with venv and pip where it is not.
#
#   make demo     the main job, with no key and no network beyond the package index
#   make test     the tests
#   make check    ruff, mypy, import-linter
#   make bench    the benchmarks
#   make faults   every fault on every wire, as a table
#   make soak     many streams for ten minutes, or for SECONDS=60
#   make docs     docs/cli.md, from the commands' own help

PYTHON ?= python3
VENV   ?= .venv
SECONDS ?= 600
# Files of tests at once: they wait as much as they work. WORKERS=0 runs one after the other.
WORKERS ?= 4
BIN    := $(VENV)/bin
UV     := $(shell command -v uv 2>/dev/null)

.PHONY: demo test check bench faults soak docs format clean
.DEFAULT_GOAL := test

ifneq ($(UV),)
MAKE_VENV    = $(UV) venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
INSTALL      = $(UV) pip install --quiet --python $(BIN)/python
else
MAKE_VENV    = $(PYTHON) -m venv --clear $(VENV)
INSTALL      = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The pip that comes with older Pythons knows no --group.
NEW_PIP      = $(INSTALL) --upgrade pip
endif

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'llmring needs Python 3.11 or newer: make PYTHON=python3.12' >&2; exit 1; }
	@echo 'Making the environment in $(VENV), and installing into it: about a minute, once' >&2
	@$(MAKE_VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	@$(INSTALL) --editable '.[all,testing]'
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@$(NEW_PIP)
	@$(INSTALL) --group dev
	@touch $@

demo: $(VENV)/.installed
	@$(BIN)/llmring demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

faults: $(VENV)/.dev
	@$(BIN)/python -m tests.faults

soak: $(VENV)/.dev
	@$(BIN)/python -m tests.soak --seconds $(SECONDS)

docs: $(VENV)/.installed
	@$(BIN)/python -m llmring.cli.reference > $(VENV)/cli.md && mv $(VENV)/cli.md docs/cli.md

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
