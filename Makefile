# `make demo` and `make test` need Python and make, nothing else: they install what they need into .venv.
PYTHON ?= python3
# For pip, as in PIP_ARGS="--index-url URL" to take PyTorch from elsewhere.
PIP_ARGS ?=
# The tests of one process share it with PyTorch's own threads.
JOBS ?= 2
# For the benchmarks.
BENCH ?= --json bench.json --plot bench.png
# For the versions, as in VERSIONS="--python python3.12 --torch 2.8".
VERSIONS ?=

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e
# What is installed: convmat alone, and with the extras NAME.
CONVMAT := .venv/.installed
WITH := .venv/.installed-

.PHONY: help demo docs test lint types check versions bench format clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(CONVMAT): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) .
	@touch $@

$(WITH)%: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) '.[$*]'
	@touch $@

demo: $(CONVMAT)  ## See what convmat does, in numbers, on a photograph and as a report
	$(BIN)/convmat demo

docs: $(WITH)docs  ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test: lint types check  ## Run all checks

lint: $(WITH)dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(WITH)dev
	$(BIN)/mypy

check: $(WITH)dev
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

versions:  ## Test with every Python and PyTorch, and every way to install, for hours (VERSIONS="--help" lists more)
	$(PYTHON) -m tools.versions --jobs $(JOBS) --pip-args="$(PIP_ARGS)" $(VERSIONS)

bench: $(WITH)bench  ## Measure convmat against its peers (BENCH="--help" lists what there is)
	$(BIN)/python -m benchmarks $(BENCH)

format: $(WITH)dev  ## Mend the formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove what make made
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis build convmat-report site docs/assets/generated bench.json bench.png
