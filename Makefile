# The way to everything in this checkout; `make` alone lists it.  Every target sets up what it needs, in
# .venv/ and .cache/ (both ignored by git), and works offline once that is done.  CI calls `make test`.

PYTHON ?= python3
PY     := .venv/bin/python
PYTEST := $(PY) -m pytest
SERIES := 0.10 0.12
DEV    := .venv/dev.stamp
RUN    := .venv/install.stamp

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test setup check check-types check-lint check-format check-lua check-layers unit
.PHONY: test-nvim test-nvim-own e2e-smoke e2e deep faults fuzz mutants replay bench soak screenshots fmt install lock hooks fresh-clone clean

help: ## list the targets
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(DEV) ## a scripted agent changes a scratch workspace; review it in Neovim (without a terminal: headless)
	@nvim=$$($(PY) tools/fetch_nvim.py any) && NVIM_BIN=$$nvim $(PY) tools/demo.py

test: check unit test-nvim e2e-smoke ## everything that must be green: check, unit, properties, Neovim 0.10 and 0.12, e2e-smoke

setup: $(DEV) ## fetch everything that the other targets need: Python packages, Neovims, Lua tools, agents
	@for series in $(SERIES); do $(PY) tools/fetch_nvim.py $$series || exit 1; done
	@$(PY) tools/lua_tools.py fetch
	@$(PY) tools/fetch_agents.py

check: check-types check-lint check-format check-lua check-layers ## types, lint, format and layers; changes nothing

check-types: $(DEV)
	$(PY) -m mypy

check-lint: $(DEV)
	$(PY) -m ruff check --output-format=concise .

check-format: $(DEV)
	$(PY) -m ruff format --check .

check-lua: $(DEV)
	$(PY) tools/lua_tools.py check

check-layers: $(DEV)
	$(PYTEST) -q tests/unit/test_layers.py

unit: $(DEV) ## unit tests, property tests (fast profile), golden tests
	HYPOTHESIS_PROFILE=fast $(PYTEST) -n 2 --ignore=tests/unit/test_layers.py tests/unit tests/properties tests/golden tests/fuzz tests/security

test-nvim: $(if $(NVIM_BIN),test-nvim-own,$(SERIES:%=test-nvim-%)) ## tests in a real Neovim 0.10 and 0.12, or only in $NVIM_BIN

test-nvim-own: $(DEV)
	$(PYTEST) -n 4 tests/nvim

test-nvim-%: $(DEV)
	nvim=$$($(PY) tools/fetch_nvim.py $*) && NVIM_BIN=$$nvim $(PYTEST) -n 4 tests/nvim

e2e-smoke: $(DEV) ## the pinned Claude Code and Codex through the whole road, the shortest way
	@$(PY) tools/fetch_agents.py claude-code codex
	nvim=$$($(PY) tools/fetch_nvim.py any) && NVIM_BIN=$$nvim $(PYTEST) -m smoke tests/e2e

e2e: $(DEV) ## every agent against its scripted model server
	@$(PY) tools/fetch_agents.py
	nvim=$$($(PY) tools/fetch_nvim.py any) && NVIM_BIN=$$nvim $(PYTEST) tests/e2e

deep: $(DEV) ## properties, kills and faults on every core for $DEEP_MINUTES (60); goes on where it stopped (.cache/deep.json)
	@nvim=$$($(PY) tools/fetch_nvim.py any) && NVIM_BIN=$$nvim $(PY) tools/deep.py

faults: $(DEV) ## full disk, failing disk, no permission, no descriptors, two daemons…: one test each, with real processes
	$(PYTEST) -n 2 --timeout=600 tests/faults

fuzz: $(DEV) ## spoilt inputs for every format from outside, $FUZZ_MINUTES (10); what finds something is kept
	@$(PY) -m tests.fuzz

mutants: $(DEV) ## remove each guard of tools/guards.py in a copy of the tree: its test must notice; ONLY=word for some
	@nvim=$$($(PY) tools/fetch_nvim.py any) && NVIM_BIN=$$nvim $(PY) tools/mutants.py

replay: $(DEV) ## replay 500 commits of a real repository as an agent's work: make replay REPO=path
	@test -n "$(REPO)" || { echo "make replay REPO=path-of-a-repository" >&2; exit 2; }
	@$(PY) -m tests.replay "$(REPO)"

bench: $(DEV) ## measure against the references; table on screen, JSON in .cache/bench.json; REPO=path for real commits in D2
	@REPO="$(REPO)" $(PY) -m tests.bench --json .cache/bench.json

soak: $(DEV) ## a day of ten agents and five Neovims, compressed: $SOAK_CALLS (20000) in $SOAK_MINUTES (13)
	@nvim=$$($(PY) tools/fetch_nvim.py any) && NVIM_BIN=$$nvim $(PY) -m tests.soak --json .cache/soak.json \
	  $(if $(SOAK_CALLS),--calls $(SOAK_CALLS)) $(if $(SOAK_MINUTES),--minutes $(SOAK_MINUTES))

screenshots: $(DEV) ## take the pictures of README from the running product
	@nvim=$$($(PY) tools/fetch_nvim.py any) && NVIM_BIN=$$nvim $(PY) tools/screenshots.py

fmt: $(DEV) ## format Python and Lua in place
	$(PY) -m ruff check --fix --quiet . ; $(PY) -m ruff format . && $(PY) tools/lua_tools.py fmt

install: $(RUN) ## the plugin manager's build step: Python environment, help tags, hook client, daemon
	@$(PY) tools/install.py

lock: $(DEV) ## write requirements.lock and requirements-dev.lock anew from pyproject.toml (needs a network)
	$(PY) tools/lock.py

hooks: ## let git run `make check` before each commit
	@hook=$$(git rev-parse --git-path hooks/pre-commit) && printf '#!/bin/sh\nexec make check\n' >"$$hook" && chmod +x "$$hook"

fresh-clone: ## clone this checkout to a temporary folder with an empty HOME; run `make test` and `make demo` there
	@tools/fresh_clone.sh

clean: ## remove caches and build products; downloads stay (git clean -fdX removes them too)
	rm -rf build dist doc/tags .hypothesis .mypy_cache .pytest_cache .ruff_cache src/*.egg-info

$(DEV): requirements-dev.lock pyproject.toml tools/bootstrap.py
	@$(PYTHON) tools/bootstrap.py --dev

$(RUN): requirements.lock pyproject.toml tools/bootstrap.py
	@$(PYTHON) tools/bootstrap.py
