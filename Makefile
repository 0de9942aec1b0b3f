# `make` alone says what there is.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The first Python that is new enough; if none is, `setup` says so. Another one: make PYTHON=python3.12 …
PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(p))) python3)
BIN := .venv/bin
SAM := .tools/sam/bin
TEMPLATES := template.yaml infra/network.yaml infra/connector.yaml infra/observability.yaml \
	examples/eventbridge-lambda/template.yaml
PROTOS := layers/core/tocsin/whatsapp/proto

# The tests start Python a thousand times; compiled anew each time, half of every start is that.
unexport PYTHONDONTWRITEBYTECODE

# Node, where tests and benchmarks want it.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

.PHONY: help
help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup-demo ## the main job on this machine, step by step: events, deliveries, a healed session, a redrive
	@$(BIN)/python -m tocsin_local.demo

.PHONY: local local-stop
local: setup-demo ## the same stack, left running, with what to type next; ARGS="--name two --background"
	@$(BIN)/python -m tocsin_local.trial $(ARGS)
local-stop: setup-demo ## end the one that was started in the background; ARGS="--name two"
	@$(BIN)/python -m tocsin_local.trial --stop $(ARGS)

.PHONY: test
test: setup ## the test suite; a part of it: make test TESTS=tests/unit
	@# Four at a time on two cores: half of them wait for what they started (tests/scheduling.py).
	@# What takes as long as all the rest has commands of its own: make deployment, make runtime, make upgrade.
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadscope --no-loadscope-reorder --durations 15 \
		$(or $(TESTS),--ignore tests/deployment --ignore tests/runtime --ignore tests/upgrade/test_rolling.py \
		--ignore tests/upgrade/test_failed_update.py)

.PHONY: deployment
deployment: setup ## deploy, enforce every right, move to another stack's tables, build for other targets; RECORD=1
	@$(if $(RECORD),RECORD=1 )$(BIN)/python -m pytest --numprocesses 2 --dist loadscope --timeout 900 --durations 15 \
		tests/deployment tests/upgrade/test_failed_update.py

# Several processes that rewrite the assertions of all tests at the same time do it several times.
.PHONY: compiled
compiled: setup
	@$(BIN)/python -m pytest --quiet --quiet --collect-only >/dev/null || true

.PHONY: runtime
runtime: setup ## unit tests, vectors and proofs under the Python that is deployed by default
	@$(BIN)/python -m pytest tests/runtime

# Ruff, mypy and the tests beside each other: the processor never waits for one of them to end. Few random
# examples, and nothing that takes half a second alone: make test has them all.
.PHONY: check
check: setup ## style, types and unit tests, while you change a file; a part: make check TESTS=tests/unit/notify
	@$(MAKE) --no-print-directory --jobs 3 --keep-going check-style check-types check-unit

.PHONY: check-style check-types check-unit
check-style:
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
check-types:
	@$(BIN)/mypy
check-unit:
	@$(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadscope --no-loadscope-reorder \
		-m "not slow" --hypothesis-profile quick $(or $(TESTS),tests/unit)

.PHONY: interop
interop: setup ## real clients through the local WhatsApp server, slow cases too; writes tests/interop/MATRIX.md
	@$(BIN)/python -m pytest --durations 15 -m "interop or cell" \
		--matrix tests/interop/MATRIX.md tests/interop tests/e2e

.PHONY: lint
lint: setup ## format, style, types, texts, templates
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/python -m tocsin.notify.texts.lint functions/plan_notifications/templates
	@$(BIN)/python -m tests.support.contracts --check
	@$(BIN)/python -m tests.support.openapi --check
	@# Strict in types, and for a region of each partition. I3011: what is deleted with the stack is meant to be.
	@# The door is a template of its own because GovCloud has no function URLs.
	@$(SAM)/cfn-lint --include-checks I --ignore-checks I3011 --configure-rule E3012:strict=true \
		--regions us-east-1 ap-southeast-3 cn-north-1 us-gov-west-1 eusc-de-east-1 -- $(TEMPLATES)
	@$(SAM)/cfn-lint --include-checks I --configure-rule E3012:strict=true \
		--regions us-east-1 ap-southeast-3 cn-north-1 eusc-de-east-1 -- infra/door.yaml
	@SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(SAM)/sam validate --lint

# A warning fails it: a link that leads nowhere, a page that no menu names.
.PHONY: docs
docs: setup ## the documents as a site, in .run/site; while you write: make docs ARGS=serve
	@NO_MKDOCS_2_WARNING=1 .tools/docs/bin/mkdocs $(or $(ARGS),build --strict) --config-file infra/site/mkdocs.yml

BUILD := .aws-sam/build

.PHONY: build
build: setup-demo ## sam build, for AWS; says what sam keeps to itself: whether the layer is compiled
	@SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/$(BIN):$$PATH" $(SAM)/sam build --build-dir $(BUILD) $(ARGS)
	@test -n "$$(find $(BUILD)/CoreLayer -name '*.pyc' | head -n 1)" || { \
		echo "build: the layer is not compiled, so cold starts will be slower. With a Python of the template's"; \
		echo "build: runtime on the PATH (python3.13, or that of TOCSIN_RUNTIME): make build ARGS=--no-cached"; }

.PHONY: bench
bench: setup-bench ## what it costs: times, memory, requests, rates, beside others, in one run
	@$(BIN)/python -m tests.bench

.PHONY: cost
cost: setup ## what AWS bills: counted on the local stack, times the price list; writes infra/COST.md
	@$(BIN)/python -m tests.cost $(ARGS)

.PHONY: faults
faults: setup ## a storm: kills, broken sessions, losses; NOTIFICATIONS=5000 RECIPIENTS=200 KILLS=20 SEED=1
	@$(BIN)/python -m tests.faults.storm $(foreach option,NOTIFICATIONS RECIPIENTS KILLS SEED,\
		$(if $($(option)),--$(shell echo $(option) | tr A-Z a-z) $($(option))))

.PHONY: upgrade
upgrade: setup ## from the release before to this one, back and again, while messages go; NOTIFICATIONS=40 SECONDS=15 SEED=1
	@$(BIN)/python -m tests.upgrade.rolling $(foreach option,NOTIFICATIONS SECONDS SEED,\
		$(if $($(option)),--$(shell echo $(option) | tr A-Z a-z) $($(option))))

.PHONY: vectors
vectors: setup ## known answers from a folder of your own: make vectors VECTORS=<folder>
	@test -n "$(VECTORS)" || { echo "which folder? make vectors VECTORS=<folder>" >&2; exit 2; }
	@VECTORS="$(abspath $(VECTORS))" $(BIN)/python -m pytest tests/vectors

.PHONY: month
month: setup ## a month of an internet provider on a virtual clock, drawn as .run/month.svg: half a minute
	@mkdir -p .run && $(BIN)/python -m tests.month --picture .run/month.svg

.PHONY: proofs
proofs: setup ## the random proofs of make test, at length: half an hour
	@TOCSIN_PROOFS=8 $(BIN)/python -m pytest --numprocesses 2 --timeout 3600 tests/proofs

FUZZ_EXECUTIONS ?= 10000000

.PHONY: fuzz
fuzz: setup-bench ## ten million bad inputs for every reader, guided by coverage: a quarter of an hour; FUZZ_EXECUTIONS=
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.fuzz --executions $(FUZZ_EXECUTIONS)

.PHONY: proto
proto: setup ## compile the .proto files anew
	@$(BIN)/python -m grpc_tools.protoc -I layers/core --python_out=layers/core --pyi_out=layers/core \
		$(PROTOS)/*.proto

.PHONY: requirements
requirements: ## the pinned requirements, anew from requirements/*.in
	@PYTHONPATH=infra $(PYTHON) -m tocsin_local.pin

.PHONY: setup setup-demo setup-bench
setup: ## everything that tests and lint need
	@$(PYTHON) infra/tocsin_local/bootstrap.py test
setup-demo: ## only what the demo needs
	@$(PYTHON) infra/tocsin_local/bootstrap.py demo
setup-bench: ## what the benchmarks need besides
	@$(PYTHON) infra/tocsin_local/bootstrap.py bench

.PHONY: clean
clean: ## remove everything that was made here
	rm -rf .venv .tools .run .aws-sam tests/interop/node/node_modules .pytest_cache .mypy_cache .ruff_cache
	find functions infra layers tests -name __pycache__ -prune -exec rm -rf {} +
