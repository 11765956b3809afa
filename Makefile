# Every command sets itself up: the first one creates .venv from the hash-pinned lock, later ones reuse it.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help run test smoke chaos hostile bench lint format docs lock audit advisories sbom secrets clean

help:
	@echo 'make run    start everything with a demo page (Ctrl-C stops it and leaves nothing behind)'
	@echo 'make smoke  start the same, drive it without a person, print what was seen as JSON'
	@echo 'make test   run the whole test suite against real PostgreSQL and real Valkey'
	@echo 'make chaos  strike everything for DURATION seconds (300) drawn from SEED, print what was seen as JSON'
	@echo 'make hostile  send hostile and bad input to the real processes, print the figures as JSON'
	@echo 'make bench  measure the broker beside what a team would otherwise run, print the ratios as JSON (QUICK=1: only see that it runs)'
	@echo 'make scale  measure what ten thousand to ten million grants cost, live through a day of a million users (QUICK=1: see that it runs)'
	@echo 'make chart  lint, render and judge the Helm chart in all its shapes, print the figures as JSON (HELM=, COMPOSE=)'
	@echo 'make lint   formatter check, linter, strict types, architecture rules'
	@echo 'make docs   make the configuration page, the HTTP reference and the pictures again'
	@echo 'make lock   resolve the dependencies again (needs uv); then: make advisories sbom'
	@echo 'make audit  hold the locks to the committed advisory file, print the figures as JSON (RELEASE=1: as of today)'
	@echo 'make advisories  ask OSV for every locked package again (needs the internet; PYPI=1: ask the package index)'
	@echo 'make sbom   make the bills of materials again from the locks'
	@echo 'make secrets  draw the secrets of docker-compose.yml into ./secrets, those that are not there yet'
	@echo 'make clean  remove the environment and everything that was built'

$(READY): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo 'token-broker needs Python 3.11 or newer: none was found. Install one, or name it: make PYTHON=/path/to/python3'; exit 2; }
	@$(PYTHON) -m venv --clear .venv || { echo 'The virtual environment could not be made. On Debian and Ubuntu: apt-get install python3-venv'; exit 2; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

run: $(READY)
	@exec $(BIN)/token-broker dev $(if $(KEEP),--keep '$(KEEP)') $(ARGS)

smoke: $(READY)
	@$(BIN)/python -m sandbox.smoke

test: $(READY)
	@$(BIN)/python -m pytest $(ARGS)

chaos: $(READY)
	@$(BIN)/python -m tests.chaos $(if $(DURATION),--duration '$(DURATION)') $(if $(SEED),--seed '$(SEED)') $(ARGS)

hostile: $(READY)
	@$(BIN)/python -m tests.hostile $(ARGS)

bench: $(READY)
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

.PHONY: scale
scale: $(READY)
	@$(BIN)/python -m bench.scale $(if $(QUICK),--quick) $(ARGS)

# The tools are fetched once. Both steps run, whatever the first finds, and the figures are the last line.
.PHONY: chart
chart: $(READY)
	@$(BIN)/python -m tests.chart.fetch
	@status=0; $(BIN)/python -m pytest -q tests/chart $(ARGS) || status=1; \
		$(BIN)/python -m tests.chart || status=1; exit $$status

lint: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/unit/test_architecture.py

format: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(READY)
	@$(BIN)/python -m docs.generate

# The locks hold hashes and no index address; the installations refuse anything else. requirements.lock is for every
# platform; the image's two are cut from it: what runs there on Python 3.11.2 (Debian 12's, which needs a package that
# 3.11.3 no longer does), and what builds the wheel. The image compiles nothing, so both its platforms must have wheels.
LOCK := uv pip compile --quiet --generate-hashes --no-header
IMAGE_PYTHON := --python-version 3.11.2 --only-binary :all:

lock:
	$(LOCK) --universal --python-version 3.11 --all-extras --upgrade -o requirements.lock pyproject.toml
	$(LOCK) $(IMAGE_PYTHON) --python-platform x86_64-manylinux_2_28 --extra otel -c requirements.lock \
		-o requirements-run.lock pyproject.toml
	echo setuptools | $(LOCK) $(IMAGE_PYTHON) -c requirements.lock -o requirements-build.lock -
	for platform in x86_64 aarch64; do \
		uv pip install --quiet --dry-run --target build/lock $(IMAGE_PYTHON) --python-platform $$platform-manylinux_2_28 \
			--require-hashes -r requirements-run.lock -r requirements-build.lock || exit 1; \
	done

audit: $(READY)
	@$(BIN)/python -m supply.audit $(if $(RELEASE),--release)

advisories: $(READY)
	@$(BIN)/python -m supply.$(if $(PYPI),pypi,renew) $(ARGS)

sbom: $(READY)
	@$(BIN)/python -m supply.licences
	@$(BIN)/python -m supply.sbom

secrets:
	@sh deploy/secrets.sh

clean:
	rm -rf .venv .tools build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache tests/browser/node_modules tests/browser/dist \
		tests/docs/fronts/node_modules tests/docs/fronts/made \
		bench/peers/node_modules bench/peers/next/.next bench/peers/next/lib/generated
