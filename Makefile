# make run: everything on this machine.  make test: set up and pass the tests.  Both begin with make setup.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
KILLS  ?= 50
LAKE   ?= data

.PHONY: setup run dashboard test test-all notebooks soak focus-check lint clean

setup: $(STAMP)

# Python compiles what it imports. To compile all of the packages now would take half a minute.
$(STAMP): pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else "Python 3.10 to 3.13 is needed, this is %d.%d: make PYTHON=python3.11 ..." % v)'
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt >$(VENV)/setup.log 2>&1 || { \
		echo "error: the packages could not be installed (no network?): $(VENV)/setup.log says why; then run make again" >&2; exit 2; }
	@$(BIN)/python -m cloud_analytics.runtime
	@touch $@

# Data are made for a new lake only: where one holds data, an empty landing folder is one that is away. What a killed
# `generate` has left is not taken for data.
run: setup
	@[ -e data/_state/last_transaction.json ] || \
		{ ls data/landing/usage_events_stream data/landing/*.csv 2>/dev/null | grep -q . && \
			! ls -d data/landing/_generating.* >/dev/null 2>&1; } || \
		$(BIN)/cloud-analytics generate --out data/landing
	@$(BIN)/cloud-analytics run

# The serving tables in a browser, until Ctrl-C.
dashboard: setup
	@$(BIN)/cloud-analytics dashboard

# In the order of the files: by default, files of few tests come last, and one of them takes minutes.
test: lint
	@$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

test-all: lint
	@$(BIN)/python -m pytest

# Executes the notebooks and saves them with their outputs.
notebooks: setup
	@$(BIN)/python -m tests.notebooks.execution

soak: setup
	@$(BIN)/python -m tests.crash.soak --kills $(KILLS) $(SOAK)

# Has the official validator of FOCUS check the export of a lake: make focus-check LAKE=data
focus-check: setup
	@$(BIN)/python -m tests.focus.check $(LAKE)

# Style, the direction of imports, types.
lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

# Removes what was set up. The lake stays: closed months, and rows whose files were archived, cannot be made again.
clean:
	@if [ -x $(BIN)/cloud-analytics ] && [ -d data/_cassandra ]; then $(BIN)/cloud-analytics cassandra stop; fi
	rm -rf $(VENV) .venv-focus
