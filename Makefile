# What one does every day. PYTHON is that of the environment with `pip install -e '.[dev]'`.
PYTHON ?= .venv/bin/python
BIN = $(dir $(PYTHON))
# Left out of `make quick`: guard pages, wheels, damaged files, files of other frameworks, processes that are started
# or killed, other machines, more than one instruction set, whole networks, pages and scripts, what scikit-learn
# checks, sums of millions.
SLOW = application_graphs applications array_kinds background benchmarks build checkpoints cli cli_predict \
       clusters control crew datasets determinism distributed estimators estimators_formats \
       estimators_graphs estimators_tools experiments explaining files_attacks files_fuzz files_inputs \
       files_memory files_saving fork formats guard_pages instruction_sets io_onnx keras_attacks keras_files \
       kernels_sums lacking many_threads notebooks onnx_round_trip onnx_saving packaging pages \
       peer_applications plotting portability random_networks readme reentry release report report_browser \
       report_graphs resuming scratch_classifier sources_stored stored_images stores subinterpreters \
       thread_limits torch_attacks torch_networks

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

quick:  ## Tests of a minute and a half: fewer cases, one instruction set
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
