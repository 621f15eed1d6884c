# Two commands: `make demo` installs and serves the demo, `make test` installs and runs every check.
# Both keep a stamp in $(VENV), so that a second run starts at once. Variables: PYTHON, VENV, PORT, ARGS.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 5006
ARGS ?=
BIN := $(VENV)/bin
SOURCES := $(shell find vfs_panel data_catalog -type f -not -path '*/__pycache__/*')
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Compiled modules are kept, whatever the surroundings say: hundreds of processes start from them.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test help clean
.DELETE_ON_ERROR:

help:
	@echo "make demo   install into $(VENV), prepare the demo once and serve it (PORT=5006, ARGS=--no-show)"
	@echo "make test   install what the tests need, then ruff, mypy and pytest with notebooks and browser"
	@echo "make clean  remove $(VENV)"

demo: $(VENV)/.installed
	$(BIN)/vfs-panel demo --port $(PORT) $(ARGS)

test: $(VENV)/.installed-for-tests $(VENV)/.browser
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder $(ARGS)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$$($(PYTHON) --version) is too old: Python 3.11 or newer is needed, as in make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# An editable install for the tests follows the sources by itself, so a copy must not be put over it.
$(VENV)/.installed: pyproject.toml $(SOURCES) | $(BIN)/python
	@if [ $(VENV)/.installed-for-tests -nt pyproject.toml ]; then true; \
	else $(PIP) install . && rm -f $(VENV)/.installed-for-tests; fi
	@touch $@

$(VENV)/.installed-for-tests: pyproject.toml | $(BIN)/python
	$(PIP) install --no-compile -e '.[test]'
	@touch $@

$(VENV)/.browser: tests/browser/chromium.py $(VENV)/.installed-for-tests
	$(BIN)/python tests/browser/chromium.py
	@touch $@

clean:
	rm -rf $(VENV)
