# `make demo` and `make test` do all their own set-up, in .venv.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lint types check clean

demo: $(VENV)/installed
	$(RUN) open_prune.py train
	$(RUN) open_prune.py branch train oneshot

# As many workers as cores, and so a thread for each.
test: lint types
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist worksteal --timeout 900

lint: $(VENV)/installed-dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .

types: $(VENV)/installed-dev
	$(RUN) -m mypy

clean:
	rm -rf $(VENV)

$(VENV)/installed: requirements.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ $(VENV)/installed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "open_prune needs Python 3.11 or later; set PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "the venv module is missing: install python3-venv" >&2; rm -rf $(VENV); exit 1; }
