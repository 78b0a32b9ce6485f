# What one does every day. PYTHON is that of the environment with `pip install -e '.[dev]'`.
PYTHON ?= .venv/bin/python
BIN = $(dir $(PYTHON))
# Left out of `make quick`: guard pages, wheels, damaged files, processes that are started or killed, other machines,
# more than one instruction set, whole networks, what scikit-learn checks.
SLOW = guard_pages packaging build portability instruction_sets control determinism notebooks experiments thread_limits \
       files_fuzz files_attacks files_inputs files_memory fork application_graphs applications array_kinds checkpoints \
       clusters crew datasets distributed estimators estimators_formats estimators_graphs estimators_tools formats lacking \
       peer_applications random_networks release report_browser resuming stored_images

.DEFAULT_GOAL := help
.PHONY: help env build test quick lint bench docs pages clean

help:  ## This list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 8

env:  ## A virtual environment in .venv with all that development needs
	python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'

build:  ## Compile the kernels in place
	$(PYTHON) setup.py -q build_ext --inplace --parallel 4
	$(PYTHON) tools/make_stubs.py

test:  ## Every test, as in the README
	$(PYTHON) -m pytest -n auto --dist worksteal

quick:  ## Tests of two minutes: fewer cases, one instruction set
	CCONV_TEST_EXAMPLES=15 CCONV_TEST_NETWORKS=20 $(PYTHON) -m pytest -n auto --dist worksteal $(SLOW:%=--ignore=tests/test_%.py)

lint:  ## Style, types, stubs
	$(BIN)ruff check .
	$(BIN)ruff format --check .
	PATH="$(BIN):$$PATH" $(BIN)cython-lint cconv
	$(PYTHON) tools/make_stubs.py --check
	$(BIN)mypy

bench:  ## Time layers and networks on this machine
	$(PYTHON) -m benchmarks.layers
	$(PYTHON) -m benchmarks.models

docs:  ## The site, into build/site; a warning is an error
	$(PYTHON) -m sphinx -W --keep-going -q -j auto -b html docs build/site

pages:  ## Pages that are made: lessons, names of Keras, benchmarks
	$(PYTHON) tools/notebooks/build.py
	$(PYTHON) tools/make_keras_page.py
	$(PYTHON) -m benchmarks.report

clean:  ## Remove what builds and tests leave behind
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find cconv -name '*.so' -delete
	rm -f cconv/_*.c cconv/kernels/*.c cconv/arguments/*.c
