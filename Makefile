# Every target honours PORT, HOST, STATE_DIR, DATABASE_URL, REDIS_URL and WORKERS, from the environment or as arguments.
SHELL := /bin/bash
.DEFAULT_GOAL := help

export STATE_DIR ?= $(CURDIR)/.state
export PORT ?= 8000
N ?= 10
ROLE ?= viewer
MINUTES ?= 10
SEED ?= 1
BOTS ?= 12
# Three workers on two cores: one or the other always waits, for a server or for the database.
PYTEST_ARGS ?= -n 3

BIN := .venv/bin
SERVICES := $(BIN)/python -m tradingdb.services
# Wheels alone, each with a hash of the lock file; these two have none and are built here.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	--only-binary :all: --no-binary django-timescaledb --no-binary peewee
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
# What setup says goes to stderr, so that the output of `make bots` and `make staff` is JSON and nothing else.
SAY := @echo >&2

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.development node_modules/.installed ## install everything, tests included, into .venv and node_modules

.PHONY: run
run: .venv/.runtime node_modules/.installed ## servers, web, worker, beat and the demo, until Ctrl-C; CANDLES=folder SPEED=factor
	@$(SERVICES) run -- demo

.PHONY: up
up: .venv/.runtime node_modules/.installed ## the same in the background, without the demo
	@$(SERVICES) up

.PHONY: down
down: ## stop what `make up` started
	@if [ -x $(BIN)/python ]; then $(SERVICES) down; fi

.PHONY: bots
bots: .venv/.runtime ## N=10: create bots and print their tokens as JSON
	@$(BIN)/python manage.py create_bots $(N)

.PHONY: staff
staff: .venv/.runtime ## ROLE=admin|trader|viewer: create a member of staff and print password and token as JSON
	@$(BIN)/python manage.py create_staff $(ROLE)

.PHONY: lock
lock: .venv/.development ## write the lock files anew for requirements*.txt; UPGRADE=--upgrade takes the newest releases
	$(LOCK) $(UPGRADE) --output-file requirements-dev.lock requirements-dev.txt
	$(LOCK) $(UPGRADE) --output-file requirements.lock --constraint requirements-dev.lock requirements.txt
	@sed -E -i "s/( ;| and) implementation_name == 'cpython' and platform_python_implementation == 'CPython' and sys_platform == 'linux'//" \
		requirements.lock requirements-dev.lock

.PHONY: check
check: .venv/.development ## style, types, imports, migrations, templates, what a scanner of the source finds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive . 2> >(grep -v "nosec encountered" >&2)
	$(SERVICES) exec -- $(SHELL) -euc '$(BIN)/mypy . && $(BIN)/python manage.py makemigrations --check --dry-run'
	$(BIN)/lint-imports
	$(BIN)/djlint --check --lint templates

.PHONY: test
test: check chromium pgbouncer npm node_modules/.installed ## `make check`, then the tests with real servers; PYTEST_ARGS="-k name" chooses
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# What must hold on every kind of server; `make test` runs it on the embedded PostgreSQL 18.
SERVER_TESTS := tests/servers_matrix $(addprefix tests/house/test_,drift.py schema_map.py bad_rows.py)

.PHONY: test-postgres15
test-postgres15: .venv/.development /usr/lib/postgresql/15/bin/postgres ## time-series, schema and migration tests on Debian's PostgreSQL 15
	env -u DATABASE_URL TRADINGDB_PG_BIN=/usr/lib/postgresql/15/bin $(BIN)/python -m pytest $(SERVER_TESTS) \
		tests/house/test_drift_partitions.py tests/jobs/test_partitions.py

.PHONY: test-timescale
test-timescale: .venv/.development ## the same on PostgreSQL 17 with TimescaleDB from Debian trixie, in a chroot; needs root
	$(BIN)/python -m tests.timescale_server $(BIN)/python -m pytest $(SERVER_TESTS)

.PHONY: test-mutations
test-mutations: .venv/.development ## plant bugs in the code and damage in the data, each must be found; BUGS="name name" chooses
	$(BIN)/python -m pytest tests/mutations tests/bots/test_invariants.py tests/bots/test_rebuild.py
	$(BIN)/python -m tests.mutations $(BUGS)

.PHONY: test-fuzz
test-fuzz: CASES ?= 10000
test-fuzz: .venv/.development ## CASES=10000 SEED=n: made-up requests against the description, and every bad input by both doors
	CASES=$(CASES) SEED=$${SEED:-$$RANDOM} $(BIN)/python -m pytest tests/api/test_api_fuzz.py tests/api/test_api_bad_inputs.py

.PHONY: test-pages
test-pages: .venv/.development chromium ## every page in Chromium: nothing breaks the Content Security Policy or a rule of axe
	PAGES=all $(BIN)/python -m pytest tests/access/test_policy.py tests/access/test_browser_pages.py

.PHONY: test-limits
test-limits: ROUNDS ?= 1000
test-limits: .venv/.development ## ROUNDS=1000: orders that race against the fill that broke a limit, and against each other
	ROUNDS=$(ROUNDS) $(BIN)/python -m pytest tests/bots/test_limits_races.py

.PHONY: test-keys
test-keys: ROWS ?= 10000
test-keys: .venv/.development ## ROWS=10000: exchange keys get a new encryption key while they are used, replaced, and the job is killed
	ROWS=$(ROWS) $(BIN)/python -m pytest tests/config_app/test_key_rotation.py

.PHONY: bench
bench: .venv/.development ## measure, and print each case beside its baseline
	$(SERVICES) exec --durable -- $(BIN)/python -m bench

.PHONY: chaos
chaos: .venv/.development ## MINUTES=10 SEED=1 BOTS=12: kill everything in turn while bots write through a bad network
	@$(BIN)/python -m tests.chaos --minutes $(MINUTES) --seed $(SEED) --bots $(BOTS)

.PHONY: halt
halt: REASON ?= from the shell
halt: .venv/.runtime ## REASON=words: halt everything now, also while the web server is down; an admin releases in the browser
	@$(BIN)/python manage.py halt "$(REASON)"

.PHONY: halt-drill
halt-drill: FROZEN ?= 60
halt-drill: .venv/.development ## FROZEN=60: ten bots, halts with Redis dead, the web server frozen, everything restarted; 0 orders after
	@$(BIN)/python -m tests.chaos.halt --frozen $(FROZEN)

.PHONY: clean
clean: down ## stop the instance and remove what was built; the state folder stays
	rm -rf .venv node_modules staticfiles .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The browser tests drive Debian's Chromium. Without it `make test` fails in CI and leaves it to the tests elsewhere.
.PHONY: chromium
chromium:
	@find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }; \
	if find_chromium >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium for the browser tests" >&2; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >&2; \
	fi; \
	if find_chromium >/dev/null; then exit 0; fi; \
	echo "Chromium is missing; install it (Debian: apt-get install chromium) for the browser tests." >&2; \
	[ "$$CI" != true ]

# The pages are looked at as they are with their charts and with the Alpine that evaluates no text.
.PHONY: npm
npm:
	@if command -v npm >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing npm for the tests of the pages" >&2; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >&2; \
	fi; \
	if command -v npm >/dev/null; then exit 0; fi; \
	echo "npm is missing; install it (Debian: apt-get install npm) for the tests of the pages." >&2; \
	[ "$$CI" != true ]

# The row security of bots is tried through a pooler in transaction mode, which an installation may have in between.
.PHONY: pgbouncer
pgbouncer:
	@find_pgbouncer() { PATH="$$PATH:/usr/sbin" command -v pgbouncer; }; \
	if find_pgbouncer >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing pgbouncer for the tests" >&2; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends pgbouncer >&2; \
	fi; \
	if find_pgbouncer >/dev/null; then exit 0; fi; \
	echo "PgBouncer is missing; install it (Debian: apt-get install pgbouncer) for the tests of row security." >&2; \
	[ "$$CI" != true ]

/usr/lib/postgresql/15/bin/postgres:
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "PostgreSQL 15 is missing; install it (Debian 12: apt-get install postgresql-15)." >&2; exit 1; \
	fi
	$(SAY) "installing postgresql-15"
	@apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-15 >&2

.venv/bin/python:
	$(SAY) "making .venv"
	@for python in $(PYTHON) python3.11 python3 python3.13 python3.12; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "Python 3.11 or newer was not found; install it or set PYTHON." >&2; exit 1; fi; \
	if ! "$$found" -m ensurepip --version >/dev/null 2>&1 && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >&2; \
	fi; \
	"$$found" -m venv .venv >&2 || { rm -rf .venv; exit 1; }

# The stamps make a second start quick: pip runs only when a lock file is newer than they are.
.venv/.runtime: requirements.lock | .venv/bin/python
	$(SAY) "installing requirements.lock"
	@$(PIP) -r requirements.lock >&2
	@touch $@

.venv/.development: requirements-dev.lock .venv/.runtime
	$(SAY) "installing requirements-dev.lock"
	@$(PIP) -r requirements-dev.lock >&2
	@touch $@

# Charts come from npm; every page works without them, as tables. So does the Alpine that evaluates no text: it stands
# in for the one of the admin's theme, under that one's name.
node_modules/.installed: $(wildcard package-lock.json)
	@mkdir -p node_modules
	@if [ ! -f package-lock.json ] || ! command -v npm >/dev/null; then \
		echo "no npm or no package-lock.json: the pages show tables without charts" >&2; \
	elif npm ci --ignore-scripts --no-audit --no-fund --silent >&2; then \
		mkdir -p node_modules/.alpine; \
		cp node_modules/@alpinejs/csp/dist/cdn.min.js node_modules/.alpine/alpine.js; \
		touch $@; \
	else \
		echo "npm ci failed: the pages show tables without charts" >&2; [ "$$CI" != true ]; \
	fi
