# `make demo` and `make test` need Python and make, nothing else: they install what they need into .venv.
PYTHON ?= python3
# For pip, as in PIP_ARGS="--index-url URL" to take PyTorch from elsewhere.
PIP_ARGS ?=
# Processes for tests and types; the tests of one share it with PyTorch's own threads.
JOBS ?= 2
# For the benchmarks.
BENCH ?= --json bench.json --plot bench.png
# For the versions, as in VERSIONS="--python python3.12 --torch 2.8".
VERSIONS ?=

BIN := .venv/bin
# Python files what it compiles, so pip need not compile thousands of files that are never imported.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile $(PIP_ARGS) -c constraints.txt
INSTALL := $(PIP) -e
# What is installed: convmat alone, and with the extras NAME.
CONVMAT := .venv/.installed
WITH := .venv/.installed-

# A browser for the tests of the page, and a font for its Chinese.
DEBIAN_PACKAGES := chromium fonts-wqy-microhei

.PHONY: help demo docs test lint types check browser versions bench format clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

# The pip that an older Python brings takes twice as long for what follows.
$(BIN)/python:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip

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
	$(BIN)/mypy -n $(JOBS)

check: $(WITH)dev browser
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

# Where Debian's packages can be installed, root needs nothing by hand; elsewhere the tests look for Chrome or Chromium,
# and skip what needs one. With CI set, its absence is a failure.
browser:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! dpkg -s $(DEBIAN_PACKAGES) >/dev/null 2>&1; then \
		apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN_PACKAGES) \
			|| [ -z "$$CI" ]; \
	fi

versions:  ## Test with every Python and PyTorch, and every way to install, for hours (VERSIONS="--help" lists more)
	$(PYTHON) -m tools.versions --jobs $(JOBS) --pip-args="$(PIP_ARGS)" $(VERSIONS)

bench: $(WITH)bench  ## Measure convmat against its peers (BENCH="--help" lists what there is)
	$(BIN)/python -m benchmarks $(BENCH)

format: $(WITH)dev  ## Mend the formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove what make made
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis build convmat-report site docs/assets/generated bench.json bench.png
