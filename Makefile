# `make run` and `make test` need python3 (3.11 or later), git and make; they install the rest in .venv.
PYTHON ?= python3
BIN := .venv/bin
PROTOS := $(wildcard proto/till/v1/*.proto)
REST_PROTOS := $(wildcard proto/till/rest/v1/*.proto)
# Generated code in the repository: its names, its paths, and the commands needed to generate it.
GENERATED := python server typescript go configuration commands manual client-manual openapi version
CODE_python := clients/python/till/v1
CODE_server := server/till_rest/v1
CODE_typescript := clients/typescript/src/gen
CODE_go := clients/go/till/v1
CODE_configuration := docs/reference/configuration.md
CODE_commands := docs/reference/commands.md
CODE_manual := man/tilld.1
CODE_client-manual := clients/python/man/till.1
CODE_openapi := server/tilld/rest_api/openapi.json
NEEDS_typescript := npm
NEEDS_go := go
# Directory for generated code.
INTO := .

.PHONY: help run test test-clients build-clients static crash fuzz container-check bench bench-compare check format lint imports types proto proto-baseline docs generated generate $(GENERATED:%=generate-%) lock clean release dist repository

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

run: .venv/.run ## Start everything embedded: a simulated node, tilld, Envoy
	@exec $(BIN)/tilld run

# Options of pytest: make test PYTEST="--durations=15 tests/storage".
# One process per processor; an idle process takes over tests of another.
test: .venv/.dev ## Run the tests
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal $(PYTEST)

# Some clients: make test-clients CLIENTS="go rust". Options of pytest: PYTEST="-k outlives".
# With ALL=1 a client whose tools are missing fails.
test-clients: .venv/.dev ## Test the clients of all languages whose tools are installed, against a real tilld
	$(BIN)/python -m pytest tests/clients --numprocesses=auto --dist=worksteal \
	  --clients="$(CLIENTS)" $(if $(ALL),--all-clients) $(PYTEST)

build-clients: .venv/.dev ## Build the clients of all languages whose tools are installed
	$(BIN)/python -m tests.clients.build

crash: .venv/.dev ## Kill tilld and its node 300 times under load, then check that nothing was lost
	$(BIN)/python -m tests.crash --kills 300

# Options of libFuzzer; a deterministic run: make fuzz FUZZ="-runs=100000 -seed=1"
FUZZ ?= -max_total_time=30
fuzz: .venv/.fuzz ## Feed random bytes to the parsers of bodies and of the node's replies, for 30 seconds each
	@for target in body reply; do \
	  mkdir -p .fuzz/$$target && \
	  $(BIN)/python -m tests.fuzz $$target -max_len=4096 -timeout=10 -dict=tests/fuzz/json.dict $(FUZZ) \
	    -artifact_prefix=.fuzz/ .fuzz/$$target tests/fuzz/corpus/$$target || \
	  { echo "To repeat: $(BIN)/python -m tests.fuzz $$target FILE, with the file in .fuzz/ named above."; \
	    exit 1; }; \
	done

# Options of `python -m tests.container --help`, and of the engine's build: CONTAINER="--engine podman -- --pull"
container-check: .venv/.dev ## Build the container image, and take a payment in it as an unprivileged user with a read-only root
	@$(BIN)/python -m tests.container $(CONTAINER)

# Options of `python -m benchmarks --help`, and workloads: make bench BENCH="--quick calls"
bench: .venv/.dev ## Measure the cost of Till, beside the lowest possible cost
	@$(BIN)/python -m benchmarks $(BENCH)

NEW ?= .bench/latest.json
bench-compare: .venv/.dev ## Compare a run of bench with an earlier one: BASE=FILE
	@$(BIN)/python -m benchmarks.compare $(BASE) $(NEW)

check: static test ## Run all checks that a change needs, except test-clients

static: format lint imports types proto generated docs ## Run all static checks

format: .venv/.dev ## Check the format of the Python code
	$(BIN)/ruff format --check

lint: .venv/.dev ## Lint the Python code and the container's files, and check the spelling of all files
	$(BIN)/ruff check
	git ls-files -z | xargs -0 $(BIN)/codespell
	$(BIN)/hadolint Containerfile
	$(BIN)/docker-compose --profile '*' config --quiet

imports: .venv/.dev ## Check the layers of imports, and the packages that may use each library
	$(BIN)/lint-imports --no-cache --no-logo

types: .venv/.dev ## Check the types
	$(BIN)/mypy

proto: .venv/.dev ## Lint the protos, check their format and their compatibility
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code --path proto/till
	$(BIN)/buf breaking --against $(BASELINE)

BASELINE := proto/baseline.binpb
proto-baseline: .venv/.dev ## Freeze the present protos as the baseline: a step of each release
	$(BIN)/buf build --exclude-source-info --output $(BASELINE)

docs: .venv/.dev ## Build the site from docs/ into .site; a dead link is an error
	$(BIN)/zensical build --strict

# Code of a language whose tools are missing is not checked; with ALL=1 this is a failure.
generated: $(GENERATED:%=generated-%) ## Check that all generated code is up to date

generated-%: .venv/.dev
	@if [ -z "$(ALL)" ] && ! command -v $(or $(NEEDS_$*),true) >/dev/null; then \
	  echo "SKIPPED: the check of the generated code for $*, since $(NEEDS_$*) is not installed."; exit; \
	fi; \
	fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	$(MAKE) --no-print-directory --silent generate-$* INTO="$$fresh" && \
	{ diff --recursive --exclude=__init__.py --exclude=__pycache__ "$$fresh/$(CODE_$*)" $(CODE_$*) || \
	{ echo "The generated code is stale: run 'make generate-$*' and commit its changes."; exit 1; }; }

# Separate, since these files have other content too: make generate-version edits them in place.
generated-version: .venv/.dev
	@$(BIN)/python scripts/version.py --check

generate: $(GENERATED:%=generate-%) ## Generate code from the protos, two pages of docs/reference, manual pages, openapi.json, and copies of the version; one of them: make generate-go

# These generators are built into protoc, and buf could only call protoc.
python_code = mkdir -p $(INTO)/$(1) && \
  PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc --proto_path=proto \
  $(foreach kind,python pyi grpc_python mypy_grpc,--$(kind)_out=$(INTO)/$(1))

generate-python: .venv/.dev
	@$(call python_code,clients/python) $(PROTOS)

# The path of a proto becomes its Python module, so the REST protos are mapped into the server's package.
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

generate-manual: .venv/.dev
	@mkdir -p $(INTO)/$(dir $(CODE_manual))
	@$(BIN)/python -m scripts.manual tilld >$(INTO)/$(CODE_manual)

generate-client-manual: .venv/.dev
	@mkdir -p $(INTO)/$(dir $(CODE_client-manual))
	@$(BIN)/python -m scripts.manual till >$(INTO)/$(CODE_client-manual)

generate-commands: .venv/.dev
	@mkdir -p $(INTO)/$(dir $(CODE_commands))
	@$(BIN)/python scripts/commands.py $(INTO)/$(CODE_commands)

generate-openapi: .venv/.dev
	@mkdir -p $(INTO)/$(dir $(CODE_openapi))
	@$(BIN)/python scripts/openapi.py $(INTO)/$(CODE_openapi)

generate-version: .venv/.dev
	@$(BIN)/python scripts/version.py

clients/typescript/node_modules/.package-lock.json: clients/typescript/package-lock.json
	@$(call must_have,npm,Node.js 20 or later)
	@npm ci --prefix clients/typescript --ignore-scripts --no-audit --no-fund --silent
	@touch $@

must_have = command -v $(1) >/dev/null || { echo "$@ needs $(2): $(1) is not installed." >&2; exit 1; }

lock: .venv/.dev ## Pin the newest versions of all dependencies
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate \
	  --no-emit-package lightning-till-client --quiet \
	  --extra cli pyproject.toml clients/python/pyproject.toml --output-file requirements.txt
	$(BIN)/uv pip compile --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate \
	  --constraints requirements.txt \
	  --no-emit-package lightning-till-client --quiet --extra otel --extra cli --group dev \
	  pyproject.toml clients/python/pyproject.toml --output-file requirements-dev.txt
	for group in build fuzz; do \
	  $(BIN)/uv pip compile --upgrade --universal --generate-hashes --no-emit-index-url --no-annotate \
	    --quiet --group $$group --output-file requirements-$$group.txt || exit 1; \
	done

release: .venv/.dev ## Check that VERSION is ready for release, write it everywhere, and tag the commit; nothing is pushed or published
	@$(BIN)/python scripts/release.py "$(VERSION)" \
	  $(MAKE) --no-print-directory generate-version generate-openapi generate-manual generate-client-manual proto-baseline

# Some packages: make dist PACKAGES="python go".
dist: .venv/.dev ## Build the packages of all languages in dist/, and take a payment with each; nothing is published
	@$(BIN)/python -m pip install --quiet build twine
	@$(BIN)/python scripts/dist.py $(PACKAGES)

repository: .venv/.dev ## Write the address of the public repository everywhere: make repository URL=https://…
	@$(BIN)/python scripts/repository.py "$(URL)"

clean: ## Remove installed and built files, except .till
	rm -rf .venv .site dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz
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
