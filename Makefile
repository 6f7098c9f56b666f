# posyandu-sync: `make` lists what there is. All work happens in .venv, made on first use from deploy/constraints.txt.

PYTHON ?= python3
VENV ?= .venv
# Processes of tests at a time: one more than cores, since those that drive a browser wait for most of their time.
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
ARGS ?=

# Tests start hundreds of processes of ours; each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

# Lines and branches that the tests must run, in per cent: of the pure rooms, and of everything.
FLOOR_PURE ?= 100
FLOOR ?= 90
COUNTED := $(VENV)/counted

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet install --constraint deploy/constraints.txt
SERVED_JS := $(VENV)/share/posyandu-sync/js
NODE_BIN := $(VENV)/node/node_modules/.bin
SOURCES := setup.cfg pyproject.toml deploy/constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test lint audit bench peers soak fuzz pictures words protocol clean chromium other-browsers node

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "  Variables: PYTHON=$(PYTHON) JOBS=$(JOBS) ARGS='…' (passed on to run, test and bench)"

run: $(VENV)/.installed ## the demo: made-up children of Kukar, sign-ins printed; ARGS='--port 8001'
	$(VENV)/bin/posyandu-sync demo $(ARGS)

test: $(VENV)/.installed-dev $(SERVED_JS)/.installed chromium other-browsers ## every test, on SQLite, PostgreSQL and in browsers, with a count of the lines run; ARGS='-k merge' for some
	@rm -rf $(COUNTED)
	COUNT_INTO=$(COUNTED) $(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(if $(ARGS),$(ARGS),-p tests.counting)
	@$(if $(ARGS),:,$(PY) -m tests.counting $(COUNTED) $(FLOOR_PURE) $(FLOOR))

lint: $(VENV)/.installed-dev $(VENV)/node/.installed ## ruff (rules and format), mypy strict, rules of import, ESLint, types of the JavaScript, bandit, known weaknesses
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(NODE_BIN)/eslint --config $(VENV)/node/eslint.config.js server/tablet server/web/static
	$(NODE_BIN)/tsc --project deploy/js/tsconfig.json
	$(NODE_BIN)/tsc --project deploy/js/tsconfig.worker.json
	$(PY) -m bandit --quiet --recursive -ll --skip B608,B104 server schemas sync_protocol wsgi.py
	$(PY) -m tests.vulnerability_scan

audit: $(VENV)/.installed-dev ## whether a weakness is known in anything that we pin; fails where nobody can be asked
	$(PY) -m tests.vulnerability_scan

bench: $(VENV)/.installed-dev ## timed runs, printed as tables
	$(PY) -m tests.bench $(ARGS)

peers: $(VENV)/.installed-dev ## the loss test beside Kinto, which it installs (some 6 minutes); ARGS='--kills 0'
	$(PY) -m tests.peers.loss --kill-postgres $(ARGS)

soak: $(VENV)/.installed-dev ## hundreds of kills and other faults, lost changes counted (up to an hour); ARGS='--kills 20'
	$(PY) -m tests.faults.soak $(ARGS)

fuzz: $(VENV)/.installed-dev ## odd requests, uploads and bytes, for 10 minutes; ARGS='--minutes 60 --seed 7', ARGS='--bytes', ARGS='--values 1000000'
	$(PY) -m tests.fuzz $(ARGS)

pictures: $(VENV)/.installed-dev chromium ## the README's pictures anew, from the browser tests
	SCREENSHOTS=$(VENV)/pictures $(PY) -m pytest -q tests/browser/test_care.py tests/browser/test_tablet_axe.py \
	  tests/browser/test_tablet_results.py \
	  -k 'whom_to_see_first or every_screen_pleases or tells_the_mother_the_grams'
	cp $(VENV)/pictures/antrean-1280.png docs/pictures/queue.png
	cp $(VENV)/pictures/tablet-form-id-360.png docs/pictures/tablet.png
	cp $(VENV)/pictures/tablet-result-for-mother-360.png docs/pictures/mother.png

words: $(VENV)/.installed-dev ## catalogues of words brought up to date with the code; fails while a text has no translation
	$(PY) -m tests.catalogues

protocol: $(VENV)/.installed-dev ## the JSON Schema of every message and the catalogue of codes anew, from the code
	$(PY) -m tests.protocol_files

clean: ## remove the virtual environment, caches and build output (never data)
	rm -rf $(VENV) build dist *.egg-info .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make this a no-op until a dependency changes.
$(VENV)/.installed: $(SOURCES) | $(VENV)/bin/pip
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(SOURCES) | $(VENV)/bin/pip
	$(PIP) --editable '.[dev]'
	@touch $(VENV)/.installed $@

# A directory left over from a failed attempt has no pip, and is made anew.
$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: '$(PYTHON)' is not Python 3.11 or later; name one, as in: make PYTHON=python3.12 …" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: '$(PYTHON)' cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
	  exit 2; }
	$(PYTHON) -m venv --clear $(VENV)

# What the server hands out that is not ours: the reader of QR codes, for browsers without one. The server runs without it too.
$(SERVED_JS)/.installed: $(wildcard deploy/js/served/*.json) | node $(VENV)/bin/pip
	@mkdir -p $(@D)
	cp deploy/js/served/package.json deploy/js/served/package-lock.json $(@D)
	npm ci --prefix $(@D) --silent --no-audit --no-fund --ignore-scripts
	@touch $@

# make lint checks the JavaScript with Node; the app itself has no build step.
$(VENV)/node/.installed: $(wildcard deploy/js/*.js*) | node $(VENV)/bin/pip
	@mkdir -p $(@D)
	cp deploy/js/package.json deploy/js/package-lock.json deploy/js/eslint.config.js $(@D)
	npm ci --prefix $(@D) --silent --no-audit --no-fund --ignore-scripts
	@touch $@

node:
	@command -v node >/dev/null && command -v npm >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Node.js"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; \
	fi; \
	command -v node >/dev/null && command -v npm >/dev/null || { \
	  echo "make: no Node.js with npm; on Debian and Ubuntu: apt-get install nodejs npm" >&2; exit 2; }

# The browser tests use the machine's Chromium; tests/_chromium.py knows where to look.
chromium: | $(VENV)/bin/pip
	@$(PY) -m tests._chromium >/dev/null 2>&1 && exit 0; \
	if [ -z "$$CHROMIUM" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	fi; \
	$(PY) -m tests._chromium >/dev/null || exit 2

# One story runs in Firefox too, and in the oldest Chromium that the app is made for, which npm brings.
other-browsers: node | $(VENV)/.installed-dev
	@$(PY) -m tests._firefox >/dev/null 2>&1 || { \
	  if [ -z "$$FIREFOX" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "Installing Firefox for the browser tests"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends firefox-esr >/dev/null; \
	  fi; \
	  $(PY) -m tests._firefox >/dev/null || exit 2; }
	@$(PY) -m tests._old_chromium >/dev/null
