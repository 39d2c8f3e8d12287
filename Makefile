# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. Everything is installed into .venv from the hash-checked files in .ci/locks/.

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
PYTEST_ARGS ?=
BENCHMARK_ARGS ?=
LOCK_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIP_INSTALL := $(PIP) install --quiet --require-hashes --no-build-isolation
COMPILE := uv pip compile $(LOCK_ARGS) --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --system-certs

.DEFAULT_GOAL := help
.PHONY: help install demo test lint docs benchmark lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) found. Install Python 3.11, 3.12 or 3.13 (Debian: apt install python3 python3-venv)."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
		echo "$(PYTHON) is $$($(PYTHON) -V); bids_msvol needs Python 3.11, 3.12 or 3.13. Name one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv, then run make again."; exit 1; }
	@echo "Making the environment in $(VENV) (once; a few minutes)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: .ci/locks/build.txt .ci/locks/runtime.txt pyproject.toml | $(BIN)/python
	@$(PIP) install --quiet --require-hashes -r .ci/locks/build.txt
	@$(PIP_INSTALL) -r .ci/locks/runtime.txt
	@PYTHONWARNINGS=ignore $(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime .ci/locks/dev.txt
	@$(PIP_INSTALL) -r .ci/locks/dev.txt
	@touch $@

install: $(VENV)/.runtime  ## install the program into .venv

demo: $(VENV)/.runtime  ## measure synthetic people, with the truth beside what was found, and analyse a made-up cohort
	@test -d $(DEMO)/bids || $(BIN)/python -m bids_msvol.demo $(DEMO)/bids
	@mkdir -p $(DEMO)/derivatives
	$(BIN)/bids_msvol $(DEMO)/bids $(DEMO)/derivatives/bids_msvol participant --work-dir $(DEMO)/work --omp-nthreads 1
	@echo
	@$(BIN)/python -m bids_msvol.demo.recovered $(DEMO)/bids $(DEMO)/derivatives/bids_msvol $(DEMO)/recovered.html
	@echo
	@test -d $(DEMO)/cohort || $(BIN)/python -m bids_msvol.demo.cohort $(DEMO)/cohort
	$(BIN)/bids_msvol $(DEMO)/cohort/bids $(DEMO)/cohort/derivatives/bids_msvol group
	@echo; echo "Open in a browser:"; ls $(CURDIR)/$(DEMO)/derivatives/bids_msvol/sub-*.html $(CURDIR)/$(DEMO)/recovered.html \
		$(CURDIR)/$(DEMO)/cohort/derivatives/bids_msvol/group.html

test: $(VENV)/.dev  ## run all tests
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.dev  ## check style and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

docs: $(VENV)/.dev  ## write the generated parts of docs/ anew
	$(BIN)/python docs/generate.py

benchmark: $(VENV)/.dev  ## measure speed and accuracy (long)
	$(BIN)/python -m benchmarks $(BENCHMARK_ARGS)

lock:  ## resolve the dependencies anew (needs uv; LOCK_ARGS=--upgrade takes newer versions)
	$(COMPILE) .ci/locks/build.in -o .ci/locks/build.txt
	$(COMPILE) pyproject.toml -o .ci/locks/runtime.txt
	$(COMPILE) pyproject.toml --extra dev -c .ci/locks/runtime.txt -o .ci/locks/dev.txt

clean:  ## remove the environment, caches and the demo
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
