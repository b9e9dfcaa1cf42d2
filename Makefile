# Set-up, demo and checks. Needs Python 3.11 or newer and make; everything else goes into .venv.
# `make` alone lists the targets. docs/contributing.md says when to use which.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV ?= .venv
CLOUD ?= .venv-cloud
SPARK ?= .venv-spark
DAGSTER ?= .venv-dagster
BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
PYTHON_ALONE := not databricks and not cloud and not container and not browser and not dagster and not prometheus

# What each lock file is made of: extras and groups of pyproject.toml, the group of its name unless another is given.
LOCKS := runtime console aws databricks image dev cloud spark dagster bench-dbt bench-dlt bench-sqlmesh
FROM_runtime := --group build pyproject.toml
FROM_console := --extra console pyproject.toml
FROM_aws := --extra aws pyproject.toml
FROM_databricks := --extra databricks $(FROM_aws)
FROM_image := --group build --extra console $(FROM_aws)
FROM_dagster := --group dagster pyproject.toml
FROM_dev := --group dev --extra alerts --extra console --extra lineage $(FROM_databricks)
FROM_bench-sqlmesh := --group bench-sqlmesh --override benchmarks/sqlmesh/overrides.txt

.PHONY: help demo test-fast test test-engines test-all lint audit lock cloud sam-invoke databricks spark-if-java build-Function bench clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/runtime: pyproject.toml requirements/runtime.txt
	@test -n "$(PYTHON)" || { echo "dropledger needs Python 3.11 or newer. Try: install it, or name it with make PYTHON=..."; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing requirements/runtime.txt, which dropledger runs on"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements/runtime.txt
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev $(VENV)/aws $(VENV)/console: $(VENV)/%: $(VENV)/runtime requirements/%.txt
	@echo "Installing requirements/$*.txt"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements/$*.txt
	@touch $@

demo: $(VENV)/console ## Run the sample drops through a fresh root and show the result
	@$(BIN)/dropledger demo

test-fast: $(VENV)/dev ## Run the quick tests, in a minute: for the loop of one who writes
	@$(PYTEST) -m "not slow and $(PYTHON_ALONE)" $(ARGS)

test: $(VENV)/dev ## Run all tests that need nothing but Python, in 8 minutes
	@$(PYTEST) -m "$(PYTHON_ALONE)" $(ARGS)

test-engines: $(VENV)/dev $(CLOUD)/made $(DAGSTER)/made spark-if-java ## Run the tests that need Spark, an emulator of AWS, containers or Dagster
	@$(PYTEST) -m "not ($(PYTHON_ALONE))" $(ARGS)

test-all: ## Run all tests, in 25 minutes, and tell how much of the code they ran
	@$(MAKE) --no-print-directory test-engines ARGS="--cov --cov-report= --cov-fail-under=0 $(ARGS)"
	@$(MAKE) --no-print-directory test ARGS="--cov --cov-append $(ARGS)"

lint: $(VENV)/dev $(CLOUD)/made ## Check code, imports, prose and template.yaml
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive core handlers infra
	@$(BIN)/python .ci/prose.py
	@AWS_DEFAULT_REGION=eu-west-1 SAM_CLI_TELEMETRY=0 $(CLOUD)/bin/sam validate --lint --template template.yaml

audit: $(VENV)/dev ## Ask whether anything in the lock files is known to be vulnerable (needs the network)
	@$(BIN)/python .ci/audit.py $(patsubst %,requirements/%.txt,$(filter-out bench-%,$(LOCKS)))

lock: $(LOCKS:%=lock-%) ## Bring the lock files up to date with pyproject.toml (needs uv); ARGS=--upgrade renews all versions

lock-%:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(ARGS) $(or $(FROM_$*),--group $*) -o requirements/$*.txt

$(CLOUD)/made: requirements/cloud.txt
	@echo "Making $(CLOUD) with $$($(PYTHON) --version), for the SAM CLI and an emulator of AWS"
	@$(PYTHON) -m venv $(CLOUD)
	@$(CLOUD)/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r $<
	@touch $@

$(DAGSTER)/made: requirements/dagster.txt
	@echo "Making $(DAGSTER) with $$($(PYTHON) --version), for the example of Dagster"
	@$(PYTHON) -m venv $(DAGSTER)
	@$(DAGSTER)/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r $<
	@touch $@

$(SPARK)/made: requirements/spark.txt localstack/databricks/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { echo "A stand-in for Databricks needs Java 17 and Maven. Try: apt-get install openjdk-17-jre-headless maven"; exit 1; }
	@echo "Making $(SPARK) with $$($(PYTHON) --version), for a stand-in for Databricks: 850 MB"
	@$(PYTHON) -m venv $(SPARK)
	@$(SPARK)/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r $<
	@rm -rf $(SPARK)/jars
	@mvn --quiet --batch-mode --file localstack/databricks/pom.xml dependency:copy-dependencies \
		-DincludeGroupIds=io.delta,io.unitycatalog -DoutputDirectory=$(abspath $(SPARK))/jars
	@touch $@

spark-if-java:
	@$(MAKE) --no-print-directory $(SPARK)/made || echo "$(SPARK) could not be made: tests that need it are skipped"

databricks: $(SPARK)/made ## Start a stand-in for a Databricks SQL warehouse, with its tables in .databricks; Ctrl-C stops it
	@$(SPARK)/bin/python localstack/databricks/server.py --folder .databricks --idle-seconds 86400 $(ARGS)

cloud: $(CLOUD)/made $(VENV)/aws ## Deploy template.yaml to an emulator of AWS on port 4566 and drop the samples; ARGS=--once stops then
	@$(CLOUD)/bin/python localstack/cloud.py $(ARGS)

sam-invoke: $(CLOUD)/made ## Run one event through the function in a container, by the SAM CLI (needs a Docker engine)
	@$(CLOUD)/bin/python localstack/sam_invoke.py $(ARGS)

build-Function: ## Fill ARTIFACTS_DIR with what Lambda runs, for ARCHITECTURE and WAREHOUSE; sam build calls it
	@python3 localstack/package.py "$(or $(ARTIFACTS_DIR),$(error ARTIFACTS_DIR is not set: it says where the package goes))" --checker $(BIN)/python \
		$(ARCHITECTURE:%=--architecture %) $(WAREHOUSE:%=--warehouse %) $(LAMBDA_PYTHON:%=--python %)

.venv-bench-%/made: requirements/bench-%.txt
	@echo "Making .venv-bench-$* with $$($(PYTHON) --version), for $* to be compared with"
	@$(PYTHON) -m venv .venv-bench-$*
	@.venv-bench-$*/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r $<
	@touch $@

# Of the peers those that ARGS names, all if it chooses no tools.
PEERS = $(foreach peer,dbt dlt sqlmesh,$(if $(findstring --tools,$(ARGS)),$(findstring $(peer),$(ARGS)),$(peer)))
bench: $(VENV)/runtime $(PEERS:%=.venv-bench-%/made) ## Compare loads with dbt, dlt, SQLMesh and a bare pass of the engine; ARGS="--accounts 100000"
	@$(BIN)/python benchmarks/bench.py $(ARGS)

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(CLOUD) $(SPARK) $(DAGSTER) .venv-bench-dbt .venv-bench-dlt .venv-bench-sqlmesh .databricks .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* build dist dropledger-demo*
