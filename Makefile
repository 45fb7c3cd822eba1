# `make demo` and `make test` need Python 3.11, 3.12 or 3.13 and make, and do everything else themselves.
#
#   make demo       set up .venv, start a private Airflow, run verified_brief in it, leave its UI running
#   make demo ONCE=1    the same, but stop when the run has ended
#   make test       set up .venv; style, types, then all tests, on a real Airflow too
#   make test-long  the soak tests
#   make test-distributed  all services of docker-compose.yaml without containers: Postgres, Redis, an S3 store, two
#                   workers of which one is killed; needs Debian's postgresql and redis-server
#   make lint-compose  docker-compose.yaml by dclint; needs Node.js
#   make env        write .env for docker-compose.yaml, with random secrets
#   make setup      only set up .venv
#   make format     rewrite the code in the project's style
#   make lock       choose the newest versions of all dependencies again (requirements/*.txt)
#   make clean      remove everything that these commands made

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST_ARGS ?=

# Nothing of another Python or another Airflow may leak in. (With PYTHONDONTWRITEBYTECODE, each process of Airflow
# would compile some thousand modules anew.)
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH PYTHONSTARTUP VIRTUAL_ENV
unexport $(filter AIRFLOW% _AIRFLOW%,$(.VARIABLES))

.PHONY: demo test test-long test-distributed lint-compose env setup format lint lock clean

demo: setup
	@$(BIN)/python -P scripts/demo.py $(if $(filter-out 0,$(ONCE)),--once) $(DEMO_ARGS)

test: lint
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist loadgroup -m "not long and not distributed" $(PYTEST_ARGS)

test-long: setup
	$(BIN)/python -m pytest -m long $(PYTEST_ARGS)

test-distributed: setup
	$(BIN)/python -m pytest -m distributed $(PYTEST_ARGS)

lint-compose:
	npx --yes dclint@3.1.0 --max-warnings 0 docker-compose.yaml

# Any Python will do: Docker may be all that is installed besides.
env:
	@python3 scripts/env.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(READY)

# uv is several times faster than pip; but only pip knows what this machine's pip configuration says of indexes.
$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml
	@test -x $(BIN)/python || scripts/python -m venv $(VENV)
	@echo "Installing the locked requirements into $(VENV) (less than a minute on a usual connection) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt \
	    || { echo "Once more, with pip (slower) ..."; \
	         $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt; }
	@$(BIN)/uv pip install --quiet --offline --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

lock: setup
	$(BIN)/uv pip compile $(LOCK_ARGS) --all-extras --group dev pyproject.toml --output-file requirements/dev.txt
	$(BIN)/uv pip compile $(LOCK_ARGS) $(IMAGE_EXTRAS:%=--extra %) --constraint requirements/dev.txt pyproject.toml \
	    --output-file requirements/image.txt
	echo uv | $(BIN)/uv pip compile $(LOCK_ARGS) --constraint requirements/dev.txt - --output-file requirements/uv.txt

# What the image of Dockerfile has, in the versions of requirements/dev.txt.
IMAGE_EXTRAS = llm library pdf redis celery postgres s3 fab

LOCK_ARGS = --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
    --no-annotate --custom-compile-command "make lock" --quiet

clean:
	rm -rf $(VENV) .demo .test .mypy_cache .ruff_cache .pytest_cache .hypothesis
