# The front door. `make` alone explains itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUNNABLE := $(VENV)/.runnable
STAMP  := $(VENV)/.installed
WORKERS ?= 2
UV     := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint bench soak lock clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## a virtual environment with the locked versions

ifneq ($(UV),)
MAKE_VENV := uv venv -q --python $(PYTHON) $(VENV)
INSTALL   := VIRTUAL_ENV=$(CURDIR)/$(VENV) uv pip install -q
else
MAKE_VENV := $(PYTHON) -m venv $(VENV)
INSTALL   := $(BIN)/pip install -q --disable-pip-version-check
endif

define install
	@test -x $(BIN)/python || { echo "making $(VENV)"; $(MAKE_VENV); }
	@echo "installing the versions of $(1)"
	@$(INSTALL) --require-hashes -r $(1)
	@$(INSTALL) --no-deps -e .
endef

# The demo needs a third of what the tests need.
$(RUNNABLE): requirements.lock pyproject.toml
	$(call install,requirements.lock)
	@touch $@

$(STAMP): requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch $(RUNNABLE) $@

demo: $(RUNNABLE) ## export the embedded look-alike into ./demo-lake
	@$(BIN)/st-export demo

test: $(STAMP) ## all tests but the heavy ones
	$(BIN)/pytest -q -n $(WORKERS) --dist loadscope -m "not heavy"

test-all: $(STAMP) ## heavy tests too (servers from the registries, a browser)
	$(BIN)/pytest -q -n $(WORKERS) --dist loadscope

lint: $(STAMP) ## style, types, and which module may import which
	$(BIN)/ruff format --check st_export tests benchmarks
	$(BIN)/ruff check st_export tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(STAMP) ## the figures of the README, as ratios of one run
	$(BIN)/python -m benchmarks

soak: $(STAMP) ## churn, faults and kills at random for MINUTES (default 60)
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),60)

lock: ## pin the dependencies anew
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 --extra dev pyproject.toml -o requirements-dev.lock

clean: ## remove what make made
	rm -rf $(VENV) demo-lake .pytest_cache .mypy_cache .ruff_cache .hypothesis
