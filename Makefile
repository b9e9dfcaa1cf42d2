# Set-up, demo and checks. Needs Python 3.11 or newer and make; everything else goes into .venv.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV ?= .venv
CLOUD ?= .venv-cloud
SPARK ?= .venv-spark
BENCH := .venv-bench
# The peers that a benchmark is to run: those that ARGS names, all if it chooses no tools.
PEERS = $(foreach peer,dbt dlt sqlmesh,$(if $(findstring --tools,$(ARGS)),$(findstring $(peer),$(ARGS)),$(peer)))
BIN := $(VENV)/bin
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
PYTHON_ALONE := not databricks and not cloud and not container and not browser
ARCHITECTURE ?= arm64
LAMBDA_PYTHON ?= 3.13
WAREHOUSE ?= duckdb

.DEFAULT_GOAL := help
.PHONY: help demo test-fast test test-engines test-all lint audit lock cloud sam-invoke databricks spark-if-java build-Function bench clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/made: pyproject.toml
	@test -n "$(PYTHON)" || { echo "dropledger needs Python 3.11 or newer. Try: install it, or name it with make PYTHON=..."; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/runtime: $(VENV)/made requirements/runtime.txt
	@echo "Installing what dropledger runs on, from requirements/runtime.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements/dev.txt
	@echo "Installing what the tests need, from requirements/dev.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/runtime ## Run the sample drops through a fresh root and show the result
	@$(BIN)/dropledger demo

test-fast: $(VENV)/dev ## Run the quick tests, in a minute: for the loop of one who writes
	@$(PYTEST) -m "not slow and $(PYTHON_ALONE)" $(ARGS)

test: $(VENV)/dev ## Run all tests that need nothing but Python, in 8 minutes
	@$(PYTEST) -m "$(PYTHON_ALONE)" $(ARGS)

test-engines: $(VENV)/dev $(CLOUD)/made spark-if-java ## Run the tests that need Spark, an emulator of AWS or containers
	@$(PYTEST) -m "not ($(PYTHON_ALONE))" $(ARGS)

test-all: ## Run all tests, in 25 minutes, and tell how much of the code they ran
	@$(MAKE) --no-print-directory test-engines ARGS="--cov --cov-report= --cov-fail-under=0 $(ARGS)"
	@$(MAKE) --no-print-directory test ARGS="--cov --cov-append $(ARGS)"

lint: $(VENV)/dev $(CLOUD)/made ## Run ruff, mypy, import-linter and bandit, and validate template.yaml
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive core handlers infra
	@AWS_DEFAULT_REGION=eu-west-1 SAM_CLI_TELEMETRY=0 $(CLOUD)/bin/sam validate --lint --template template.yaml

audit: $(VENV)/dev ## Ask whether anything in the lock files is known to be vulnerable (needs the network)
	@$(BIN)/python .ci/audit.py requirements/runtime.txt requirements/aws.txt requirements/databricks.txt requirements/dev.txt requirements/cloud.txt requirements/spark.txt

lock: ## Renew the lock files (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --group build pyproject.toml -o requirements/runtime.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --extra aws pyproject.toml -o requirements/aws.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --extra aws --extra databricks pyproject.toml -o requirements/databricks.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --group cloud -o requirements/cloud.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --group spark -o requirements/spark.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --extra aws --extra databricks --group dev pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --group bench-dbt -o requirements/bench-dbt.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade --group bench-dlt -o requirements/bench-dlt.txt

$(CLOUD)/made: requirements/cloud.txt
	@echo "Making $(CLOUD) with $$($(PYTHON) --version), for the SAM CLI and an emulator of AWS"
	@$(PYTHON) -m venv $(CLOUD)
	@$(CLOUD)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/cloud.txt
	@touch $@

$(SPARK)/made: requirements/spark.txt localstack/databricks/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { echo "A stand-in for Databricks needs Java 17 and Maven. Try: apt-get install openjdk-17-jre-headless maven"; exit 1; }
	@echo "Making $(SPARK) with $$($(PYTHON) --version), for a stand-in for Databricks: 850 MB"
	@$(PYTHON) -m venv $(SPARK)
	@$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/spark.txt
	@rm -rf $(SPARK)/jars
	@mvn --quiet --batch-mode --file localstack/databricks/pom.xml dependency:copy-dependencies \
		-DincludeGroupIds=io.delta,io.unitycatalog -DoutputDirectory=$(abspath $(SPARK))/jars
	@touch $@

spark-if-java:
	@if command -v java >/dev/null && command -v mvn >/dev/null; then \
		$(MAKE) --no-print-directory $(SPARK)/made || echo "$(SPARK) could not be made: tests that need it are skipped"; \
	else echo "No Java and Maven: tests that need a stand-in for Databricks are skipped"; fi

databricks: $(SPARK)/made ## Start a stand-in for a Databricks SQL warehouse, with its tables in .databricks; Ctrl-C stops it
	@$(SPARK)/bin/python localstack/databricks/server.py --folder .databricks --idle-seconds 86400 $(ARGS)

$(VENV)/aws: $(VENV)/runtime requirements/aws.txt
	@echo "Installing what a root in S3 needs, from requirements/aws.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/aws.txt
	@touch $@

cloud: $(CLOUD)/made $(VENV)/aws ## Deploy template.yaml to an emulator of AWS on port 4566 and drop the samples; ARGS=--once stops then
	@$(CLOUD)/bin/python localstack/cloud.py $(ARGS)

sam-invoke: $(CLOUD)/made ## Run one event through the function in a container, by the SAM CLI (needs a Docker engine)
	@$(CLOUD)/bin/python localstack/sam_invoke.py $(ARGS)

build-Function: ## Fill ARTIFACTS_DIR with what Lambda runs, for ARCHITECTURE and WAREHOUSE; sam build calls it
	@python3 localstack/package.py "$(ARTIFACTS_DIR)" --architecture $(ARCHITECTURE) --warehouse $(WAREHOUSE) \
		--python $(LAMBDA_PYTHON) --checker $(BIN)/python

$(BENCH)-%/made: requirements/bench-%.txt
	@echo "Making $(BENCH)-$* with $$($(PYTHON) --version), for $* to be compared with"
	@$(PYTHON) -m venv $(BENCH)-$*
	@$(BENCH)-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

bench: $(VENV)/runtime $(PEERS:%=$(BENCH)-%/made) ## Compare loads with dbt, dlt, SQLMesh and a bare pass of the engine; ARGS="--accounts 100000"
	@$(BIN)/python benchmarks/bench.py $(ARGS)

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(CLOUD) $(SPARK) $(BENCH)-dbt $(BENCH)-dlt $(BENCH)-sqlmesh .databricks .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist dropledger-demo*
