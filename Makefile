# Every target makes its own environment in .venv from nothing but Python 3.11+, make and git, with the very versions that
# requirements-dev.txt locks: by uv where it is installed, by venv and pip where it is not.
#
#   make demo     the main job, with no key and no network beyond the package index
#   make test     the tests, but for the long ones
#   make long     the long ones: crowds, killed writers, recipes, benchmarks at a glance
#   make check    ruff, mypy, import-linter, the site without a warning
#   make latest   checks and tests with the newest versions that pyproject.toml allows, in .venv-latest
#   make fuzz     odd bytes at every door for strangers, guided by coverage, for SECONDS=600, in .venv-fuzz
#   make real     tests against llama.cpp's server with a tiny model, in .venv-real
#   make lock     requirements-dev.txt, after a change of what pyproject.toml asks for
#   make upgrade  requirements-dev.txt anew, with the newest versions
#   make dist     wheel and source distribution in build/package, installed and used on each Python that is there;
#                 with TESTS=1 the source distribution runs its own tests
#   make bench    the benchmarks
#   make faults   every fault on every wire, as a table
#   make relay    a thousand clients of the relay recipe, who come and go
#   make fleet    eight processes that share one Redis, and a crash: two minutes; needs redis-server
#   make soak     many streams for ten minutes, or for SECONDS=60
#   make killer   10,000 rows of llmring map through fifty kills, a full disk and a server that dies;
#                 and in batches of each vendor; and over Ray, whose workers and driver are killed
#   make docs     docs/cli.md, from the commands' own help
#   make site     the documentation as a site, in build/site

PYTHON ?= python3
VENV   ?= .venv
SECONDS ?= 600
# Files of tests at once: they wait as much as they work. WORKERS=0 runs one after the other.
WORKERS ?= 6
BIN    := $(VENV)/bin
UV     := $(shell command -v uv 2>/dev/null)

.PHONY: demo test long check latest real fuzz lock upgrade dist bench faults relay fleet soak docs site format clean
.DEFAULT_GOAL := test

ifneq ($(UV),)
MAKE_VENV    = $(UV) venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
INSTALL      = $(UV) pip install --quiet --python $(BIN)/python
else
MAKE_VENV    = $(PYTHON) -m venv --clear
INSTALL      = $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The pip that comes with older Pythons knows no --group.
NEW_PIP      = $(INSTALL) --upgrade pip &&
endif

# The build backend is locked as well, and used from where it is installed.
VERSIONS    ?= locked
FILL_locked  = $(INSTALL) --require-hashes --requirement requirements-dev.txt && \
               $(INSTALL) --no-deps --no-build-isolation --editable .
FILL_newest  = $(NEW_PIP) $(INSTALL) --upgrade --editable '.[all,testing]' --group dev

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'llmring needs Python 3.11 or newer: make PYTHON=python3.12' >&2; exit 1; }
	@echo 'Making the environment in $(VENV), and installing into it: about a minute, once' >&2
	@$(MAKE_VENV) $(VENV)
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml requirements-dev.txt
	@$(FILL_$(VERSIONS))
	@touch $@

demo: $(VENV)/.dev
	@$(BIN)/llmring demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'not long'

long: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m long

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/python -m docs.making

latest:
	rm -rf .venv-latest
	$(MAKE) VENV=.venv-latest VERSIONS=newest check test long

# Neither package is locked: whatever the server does today is what is to be seen.
.venv-real/.real: BIN = .venv-real/bin
.venv-real/.real:
	@$(MAKE) VENV=.venv-real .venv-real/.dev
	@$(INSTALL) xllamacpp gguf
	@touch $@

real: .venv-real/.real
	.venv-real/bin/python -m pytest tests/real

.venv-fuzz/.fuzz: BIN = .venv-fuzz/bin
.venv-fuzz/.fuzz:
	@$(MAKE) VENV=.venv-fuzz .venv-fuzz/.dev
	@$(INSTALL) atheris
	@touch $@

fuzz: .venv-fuzz/.fuzz
	@.venv-fuzz/bin/python -m tests.fuzz --seconds $(SECONDS)

upgrade: NEWEST = --upgrade
lock upgrade: BIN = .venv-uv/bin
lock upgrade:
	@$(MAKE_VENV) .venv-uv
	@$(INSTALL) uv
	@$(BIN)/uv pip compile --quiet $(NEWEST) --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-annotate --custom-compile-command 'make lock' --extra all --extra testing --group dev \
	    --output-file requirements-dev.txt pyproject.toml

dist: $(VENV)/.dev
	@$(BIN)/python -m tests.package $(if $(TESTS),--tests)

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

faults: $(VENV)/.dev
	@$(BIN)/python -m tests.faults

relay: $(VENV)/.dev
	@$(BIN)/python -m tests.recipes

soak: $(VENV)/.dev
	@$(BIN)/python -m tests.soak --seconds $(SECONDS)

fleet: $(VENV)/.dev
	LLMRING_FLEET=1 $(BIN)/python -m pytest tests/fleet

killer: $(VENV)/.dev
	$(BIN)/python -m tests.bulk.killing
	$(BIN)/python -m tests.batches.killing
	$(BIN)/python -m tests.clusters.killing

docs: $(VENV)/.dev
	@$(BIN)/python -m docs.reference > $(VENV)/cli.md && mv $(VENV)/cli.md docs/cli.md

site: $(VENV)/.dev
	@$(BIN)/python -m docs.making

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) .venv-latest .venv-real .venv-fuzz .venv-uv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
