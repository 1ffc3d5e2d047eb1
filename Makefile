# Everything a person needs; `make` alone prints this list.
PYTHON ?= python3
BIN := .venv/bin
q ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench up pictures lock schema browser clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

install: .venv/installed ## make .venv with everything the other targets need

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "reengage needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Installing into .venv (a minute or two, once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || true
	@if [ -x $(BIN)/uv ]; then \
		$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e . ; \
	else \
		$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install --quiet --no-deps -e . ; \
	fi
	@touch $@

demo: install ## the whole machine on a seeded sample shop, end to end, in a minute or two
	@$(BIN)/reengage --config config/examples/shop demo

test: install browser ## every test; make test q=tests/rules runs a part
	@$(BIN)/pytest $(or $(q),-n logical --maxprocesses 4 --dist loadfile)

check: install ## style, types, import layers, SQL: seconds
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/ty check
	@$(BIN)/sqlfluff lint --disable-progress-bar sql dashboards/queries
	@$(BIN)/reengage check

bench: install ## the speed targets, as ratios measured in one run
	@$(BIN)/python -m bench

up: install ## Prefect server, worker and dashboard, until Ctrl-C
	@$(BIN)/reengage up

pictures: install browser ## a picture of every page of the dashboard, into docs/pictures; after make demo
	@$(BIN)/python -m tests.dashboards.pictures

lock: ## pin every dependency again (hashes and pins only)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml --all-extras --output-file requirements.lock

schema: ## write config/campaign.schema.json from the campaign model
	@$(BIN)/python -m config.schema

browser: ## a headless browser for the tests of the pages, where this machine lets us install one
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing chromium for the browser tests ..."; \
			{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null 2>&1 \
				|| echo "chromium could not be installed; the browser tests will say so and be skipped"; \
		else \
			echo "no chromium here; the browser tests will be skipped"; \
		fi; }

clean: ## stop the embedded server and remove .venv and .reengage
	@if [ -x $(BIN)/reengage ]; then $(BIN)/reengage db stop; fi
	@rm -rf .venv .reengage
