# make demo   predict the example clips with the shipped model (light runtime only)
# make test   install everything that the tests need and run them
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
SEED   ?= 0

.PHONY: demo test lint format default results app bench docs clean

demo: $(VENV)/.runtime
	$(BIN)/ser predict examples/

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each stamp is younger than pyproject.toml once its extras are installed, so a second run reuses what is there.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e '.[dev,train,formats]'
	touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV) runs build dist
