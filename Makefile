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

test-distributed: $(VENV)-distributed/.ready
	$(VENV)-distributed/bin/python -m pytest -m distributed $(PYTEST_ARGS)

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
define INSTALL
	@test -x $(@D)/bin/python || scripts/python -m venv $(@D)
	@echo "Installing the locked requirements into $(@D) (less than a minute on a usual connection) ..."
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(@D)/bin/uv pip install --quiet --python $(@D)/bin/python --require-hashes -r $< \
	    || { echo "Once more, with pip (slower) ..."; \
	         $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<; }
	@$(@D)/bin/uv pip install --quiet --offline --python $(@D)/bin/python --no-deps --no-build-isolation --editable .
	@touch $@
endef

$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml
	$(INSTALL)

$(VENV)-distributed/.ready: requirements/distributed.txt requirements/uv.txt pyproject.toml
	$(INSTALL)

# The requirements of everything together are chosen first, so that the same package has the same version everywhere.
lock: setup
	$(COMPILE) --all-extras --group dev --group distributed pyproject.toml --output-file requirements/distributed.txt
	$(COMPILE) $(DEV_EXTRAS:%=--extra %) --group dev $(AS_CHOSEN) pyproject.toml --output-file requirements/dev.txt
	$(COMPILE) $(IMAGE_EXTRAS:%=--extra %) $(AS_CHOSEN) pyproject.toml --output-file requirements/image.txt
	echo uv | $(COMPILE) $(AS_CHOSEN) - --output-file requirements/uv.txt

COMPILE = $(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-annotate --custom-compile-command "make lock" --quiet
AS_CHOSEN = --constraint requirements/distributed.txt
# Demo and tests stay small: the providers of a deployment on several machines are in the image and in its test only.
DEV_EXTRAS = llm library pdf redis
IMAGE_EXTRAS = $(DEV_EXTRAS) celery postgres s3 fab

clean:
	rm -rf $(VENV) $(VENV)-distributed .demo .test .mypy_cache .ruff_cache .pytest_cache .hypothesis
