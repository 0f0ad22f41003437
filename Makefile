# make demo   predict the example clips with the shipped model (light runtime only)
# make test   install everything that the tests need and run them on all cores
# make coverage   the same, measuring which lines run; half as long again, and below 96 % an error
# make test-dependencies   test the use road with the oldest and the newest dependencies, on Python 3.10 and 3.13
# make mutants   change the core modules in small ways and say which changes the tests catch (MUTANTS_ARGS="--seed 1")
# make app    serve the web app on this machine
# make lint   ruff, mypy and import-linter (which room may import which)
# make docs   write what is generated (scores, demo, command reference) into README and docs, then build the site
# make site   build the documentation as a site, into site/; a broken link is an error
# make results SERKIT_DATA=folder   run or resume the whole comparison, write docs/results.md and everything based on it
# make scores SERKIT_DATA=folder SERKIT_ENCODERS=folder   measure the recipes of the shipped models, into docs/scores
# make yardstick SERKIT_DATA=folder   write the fold files from the corpora in the folder
# make averages SERKIT_DATA=folder   write the average features of each emotion, for the app's page of features
# make notebooks SERKIT_DATA=folder   run the notebooks and save their output
# make screenshots   take the pictures of the app for README and docs
# make demo-picture   make the animation for README, of terminal, app and browser page: three minutes
# make fuzz   read 100,000 damaged recordings of every container, write docs/fuzz.md
# make browser   put the page that runs a model in the browser together, into build/browser
# make dist   build what is published, into dist/, and check it
# make bench  measure serkit beside what users would otherwise run, write docs/benchmarks.md
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test coverage test-dependencies mutants lint format app bench dist fuzz docs site results scores yardstick averages notebooks \
	screenshots demo-picture chromium espeak browser browser-packages clean

demo: $(VENV)/.runtime
	$(BIN)/ser predict examples/

test: $(VENV)/.dev chromium espeak browser-packages
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

coverage: PYTEST_ARGS += --cov --cov-report=term
coverage: test

test-dependencies: $(VENV)/.dev
	$(BIN)/python tests/dependencies.py

mutants: $(VENV)/.dev
	$(BIN)/python tests/mutants.py $(MUTANTS_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

app: $(VENV)/.app
	$(BIN)/ser app $(APP_ARGS)

bench: $(VENV)/.dev benchmarks/.venv-keras/.made benchmarks/.venv-smile/.made benchmarks/.venv-transformers/.made
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

dist: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	@find dist -name '*.whl' -size +39M | grep . && { echo 'The wheel has 40 MB or more.'; exit 1; } || true

fuzz: $(VENV)/.dev
	$(BIN)/python benchmarks/fuzz_audio.py --page docs/fuzz.md $(FUZZ_ARGS)

# Peers that need what serkit does not have an environment of their own each.
benchmarks/.venv-%/.made: benchmarks/peers/%.txt
	$(PYTHON) -m venv benchmarks/.venv-$*
	benchmarks/.venv-$*/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	touch $@

docs: $(VENV)/.dev
	$(BIN)/python docs/build.py
	$(MAKE) site

site: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

results: $(VENV)/.dev
	$(BIN)/ser compare --all --data $(SERKIT_DATA) --corpus ravdess --out docs
	$(BIN)/python docs/build.py

scores: $(VENV)/.dev
	$(BIN)/python docs/measure.py "$(SERKIT_DATA)"

yardstick: $(VENV)/.dev
	$(BIN)/python docs/yardstick.py "$(SERKIT_DATA)"

averages: $(VENV)/.dev
	$(BIN)/python docs/averages.py "$(SERKIT_DATA)"

screenshots: $(VENV)/.dev chromium
	$(BIN)/python docs/screenshots.py

demo-picture: $(VENV)/.dev chromium browser-packages
	$(BIN)/python docs/demo.py

notebooks: $(VENV)/.dev
	$(BIN)/python docs/notebooks.py "$(SERKIT_DATA)" $(NOTEBOOKS)

# The tests in a browser need Chromium. If it is missing and cannot be installed, they skip and say how to get it.
chromium:
	@for name in "$$SERKIT_CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable; do \
		if [ -n "$$name" ] && command -v "$$name" >/dev/null; then exit 0; fi; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get -qq update && apt-get -qq install --yes --no-install-recommends chromium >/dev/null; \
	fi || echo "Chromium could not be installed: the tests in a browser will skip."

browser: $(VENV)/.runtime browser-packages
	rm -rf build/browser
	$(BIN)/python docs/browser/build.py build/browser $(BROWSER_ARGS)

# The tests of that page need ONNX Runtime Web. If npm cannot install it, they skip and say how to get it.
browser-packages:
	@[ docs/browser/node_modules -nt docs/browser/package-lock.json ] || \
		{ cd docs/browser && npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules; } || \
		echo "ONNX Runtime Web could not be installed: the tests of the browser page will skip."

# Four tests hear speech that espeak-ng makes; they skip without it.
espeak:
	@command -v espeak-ng >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get -qq update && apt-get -qq install --yes --no-install-recommends espeak-ng >/dev/null; \
	} || echo "espeak-ng could not be installed: the tests that need it will skip."

# Each stamp is younger than pyproject.toml once its extras are installed, so a second run reuses what is there.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e '.[app,client,dev,docs,encoders,train,formats,notebooks,parquet,scale,serve,telemetry,tracking]'
	touch $@ $(VENV)/.runtime $(VENV)/.app

$(VENV)/.app: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e '.[app,formats]'
	touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV) runs build dist site
