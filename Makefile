# `make run` and `make test` need python3 (3.11 or later), git and make; the rest they install in .venv.
PYTHON ?= python3
BIN := .venv/bin
PROTOS := $(wildcard proto/till/v1/*.proto)
REST_PROTOS := $(wildcard proto/till/rest/v1/*.proto)
# What is generated and in the repository, where it is, and the command that generating needs.
GENERATED := python server typescript go configuration commands openapi
CODE_python := clients/python/till/v1
CODE_server := server/till_rest/v1
CODE_typescript := clients/typescript/src/gen
CODE_go := clients/go/till/v1
CODE_configuration := docs/reference/configuration.md
CODE_commands := docs/reference/commands.md
CODE_openapi := server/tilld/rest_api/openapi.json
NEEDS_typescript := npm
NEEDS_go := go
# Where to write generated code.
INTO := .

.PHONY: help run test test-clients build-clients static crash fuzz bench bench-compare check format lint imports types proto proto-baseline docs generated generate $(GENERATED:%=generate-%) lock clean

help: ## Say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

run: .venv/.run ## Start everything embedded: a simulated node, tilld, Envoy
	@exec $(BIN)/tilld run

# Options of pytest: make test PYTEST="--durations=15 tests/storage".
# One process for each processor; who has nothing left to do takes over tests of another.
test: .venv/.dev ## Run the tests
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal $(PYTEST)

# Some of them only: make test-clients CLIENTS="go rust". Options of pytest: PYTEST="-k outlives".
# ALL=1: where the tools of one are missing, that is a failure.
test-clients: .venv/.dev ## Try the clients of all languages whose tools are here, against a real tilld
	$(BIN)/python -m pytest tests/clients --clients="$(CLIENTS)" $(if $(ALL),--all-clients) $(PYTEST)

build-clients: .venv/.dev ## Build the clients of all languages whose tools are here
	$(BIN)/python -m tests.clients.build

crash: .venv/.dev ## Kill tilld and its node 300 times under load, then check that nothing was lost
	$(BIN)/python -m tests.crash --kills 300

# Options of libFuzzer; another run than this: make fuzz FUZZ="-runs=100000 -seed=1"
FUZZ ?= -max_total_time=30
fuzz: .venv/.fuzz ## Throw bytes at the parsers of bodies and of the node's replies, for half a minute each
	@for target in body reply; do \
	  mkdir -p .fuzz/$$target && \
	  $(BIN)/python -m tests.fuzz $$target -max_len=4096 -timeout=10 -dict=tests/fuzz/json.dict $(FUZZ) \
	    -artifact_prefix=.fuzz/ .fuzz/$$target tests/fuzz/corpus/$$target || \
	  { echo "Once more: $(BIN)/python -m tests.fuzz $$target FILE, with the file in .fuzz/ that is named above."; \
	    exit 1; }; \
	done

# Options of `python -m benchmarks --help`, and workloads: make bench BENCH="--quick calls"
bench: .venv/.dev ## Measure what Till costs, beside what the same would cost at least
	@$(BIN)/python -m benchmarks $(BENCH)

NEW ?= .bench/latest.json
bench-compare: .venv/.dev ## Hold a run of bench against an earlier one: BASE=FILE
	@$(BIN)/python -m benchmarks.compare $(BASE) $(NEW)

check: static test ## All that a change needs, but for test-clients

static: format lint imports types proto generated docs ## Check all that can be seen without running it

format: .venv/.dev ## Check the format of the Python code
	$(BIN)/ruff format --check

lint: .venv/.dev ## Look for mistakes in the Python code, and for misspelled words anywhere
	$(BIN)/ruff check
	git ls-files -z | xargs -0 $(BIN)/codespell

imports: .venv/.dev ## Check that imports go one way, and that each library stays where it belongs
	$(BIN)/lint-imports --no-cache --no-logo

types: .venv/.dev ## Check the types
	$(BIN)/mypy

proto: .venv/.dev ## Lint the protos, check their format and that they break nobody
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code --path proto/till
	$(BIN)/buf breaking --against $(BASELINE)

BASELINE := proto/baseline.binpb
proto-baseline: .venv/.dev ## Freeze the protos as they are: a part of each release
	$(BIN)/buf build --exclude-source-info --output $(BASELINE)

docs: .venv/.dev ## Build the site from docs/ into .site; a dead link is an error
	$(BIN)/zensical build --strict

# Where the tools of a language are missing its code is not checked; ALL=1: that is a failure.
generated: $(GENERATED:%=generated-%) ## Check that all that is generated is fresh

generated-%: .venv/.dev
	@if [ -z "$(ALL)" ] && ! command -v $(or $(NEEDS_$*),true) >/dev/null; then \
	  echo "LEFT OUT: whether what is generated for $* is fresh, since there is no $(NEEDS_$*) here."; exit; \
	fi; \
	fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	$(MAKE) --no-print-directory --silent generate-$* INTO="$$fresh" && \
	{ diff --recursive --exclude=__init__.py --exclude=__pycache__ "$$fresh/$(CODE_$*)" $(CODE_$*) || \
	{ echo "What is generated is stale: run 'make generate-$*' and commit what it changes."; exit 1; }; }

generate: $(GENERATED:%=generate-%) ## Generate code from the protos, two pages of docs/reference and openapi.json; one of them: generate-go

# Not by buf: protoc has these generators built in, and buf could only call it.
python_code = mkdir -p $(INTO)/$(1) && \
  PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc --proto_path=proto \
  $(foreach kind,python pyi grpc_python mypy_grpc,--$(kind)_out=$(INTO)/$(1))

generate-python: .venv/.dev
	@$(call python_code,clients/python) $(PROTOS)

# Python finds a module by the path of its proto: the REST services are read as if they were in the server's package.
generate-server: .venv/.dev
	@$(call python_code,server) --proto_path=till_rest/v1=proto/till/rest/v1 \
	  $(patsubst proto/till/rest/v1/%,till_rest/v1/%,$(REST_PROTOS))

generate-typescript: .venv/.dev clients/typescript/node_modules/.package-lock.json
	$(BIN)/buf generate --template clients/typescript/buf.gen.yaml --output $(INTO)

generate-go: .venv/.dev
	@$(call must_have,go,Go 1.25 or later)
	$(BIN)/buf generate --template clients/go/buf.gen.yaml --output $(INTO)

generate-configuration: .venv/.dev
	@mkdir -p $(INTO)/$(dir $(CODE_configuration))
	@$(BIN)/python scripts/configuration.py $(INTO)/$(CODE_configuration)

generate-commands: .venv/.dev
	@mkdir -p $(INTO)/$(dir $(CODE_commands))
	@$(BIN)/python scripts/commands.py $(INTO)/$(CODE_commands)

generate-openapi: .venv/.dev
	@mkdir -p $(INTO)/$(dir $(CODE_openapi))
	@$(BIN)/python scripts/openapi.py $(INTO)/$(CODE_openapi)

clients/typescript/node_modules/.package-lock.json: clients/typescript/package-lock.json
	@$(call must_have,npm,Node.js 20 or later)
	@npm ci --prefix clients/typescript --ignore-scripts --no-audit --no-fund --silent
	@touch $@

must_have = command -v $(1) >/dev/null || { echo "$@ needs $(2): there is no $(1) here." >&2; exit 1; }

lock: .venv/.dev ## Pin the newest versions of all dependencies
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate \
	  --no-emit-package lightning-till-client --quiet \
	  --extra cli pyproject.toml clients/python/pyproject.toml --output-file requirements.txt
	$(BIN)/uv pip compile --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate \
	  --constraints requirements.txt \
	  --no-emit-package lightning-till-client --quiet --extra otel --extra cli --group dev \
	  pyproject.toml clients/python/pyproject.toml --output-file requirements-dev.txt
	$(BIN)/uv pip compile --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate \
	  --quiet --group fuzz --output-file requirements-fuzz.txt

clean: ## Remove what was installed and generated here, but not .till
	rm -rf .venv .site .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz
	rm -rf clients/*/build clients/*/target clients/*/dist clients/*/node_modules clients/*/build.log clients/*/*.tgz

.venv/.run: requirements.txt pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Till needs Python 3.11 or later: make PYTHON=/path/to/python3.11 run")'
	@echo "Setting up .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python scripts/install.py requirements.txt
	@echo "Installing Till itself ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --editable clients/python --editable .
	@touch $@

.venv/.dev: .venv/.run requirements-dev.txt
	@echo "Setting up the tools for development (once) ..."
	@$(BIN)/python scripts/install.py requirements-dev.txt
	@touch $@

.venv/.fuzz: .venv/.dev requirements-fuzz.txt
	@$(BIN)/python scripts/install.py requirements-fuzz.txt
	@touch $@
