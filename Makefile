# Every command of this project. `make` alone lists them.

PYTHON ?=
TESTS ?= tests
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
LOCK := $(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11
CODE := src tests docs $(foreach folder,benchmarks examples,$(if $(wildcard $(folder)/*.py),$(folder)))

# A stamp is younger than what it was made from, so a second `make setup` takes no time.
TOOLS := $(VENV)/.tools
CORE := $(VENV)/.core
DEV := $(VENV)/.dev
PEERS := .venv-peers/.peers

.DEFAULT_GOAL := help
# Where it is set, every command would compile every library again.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help setup demo test lint types imports check bench compare peers docs format lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEV) ## Make .venv with everything needed to work on Gristmill

demo: $(CORE) ## Start Gristmill, index a sample library, search it
	@$(PY) examples/demo.py

test: $(DEV) ## Run the tests (TESTS=path for some of them)
	@$(PY) -m pytest -n auto $(TESTS)

lint: $(DEV) ## Check style, format and spelling
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/codespell *.md Makefile pyproject.toml $(CODE)

types: $(DEV) ## Check types
	@$(VENV)/bin/mypy $(CODE)

imports: $(DEV) ## Check that imports point the right way
	@$(VENV)/bin/lint-imports --no-logo

check: test lint types imports ## All of the above: what must pass before a commit

bench: $(CORE) ## Measure speed
	@$(PY) -m benchmarks

compare: $(DEV) ## The same faults under bare Celery, bare RQ and Gristmill
	@$(PY) -m benchmarks compare

docs: $(DEV) ## Write the generated pages of docs/ again
	@$(PY) docs/generate.py

format: $(DEV) ## Bring all code into the house format
	@$(VENV)/bin/ruff check --fix --quiet .
	@$(VENV)/bin/ruff format .

lock: $(TOOLS) ## Lock the dependencies of pyproject.toml again (UPGRADE=--upgrade for newer ones)
	$(LOCK) $(UPGRADE) --group bootstrap --output-file requirements/bootstrap.lock
	$(LOCK) $(UPGRADE) pyproject.toml --extra images --output-file requirements/core.lock
	$(LOCK) $(UPGRADE) pyproject.toml --all-extras --group dev --output-file requirements/dev.lock
	$(LOCK) $(UPGRADE) pyproject.toml --extra fast --group peers --no-emit-package torch --output-file requirements/peers.lock

peers: $(PEERS) ## Make .venv-peers with what the ingest benchmark is measured beside

clean: ## Remove .venv, caches and build results; data is left alone
	rm -rf $(VENV) .venv-peers dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(TOOLS): requirements/bootstrap.lock
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	        echo "Making $(VENV) with $$("$$python" --version) ($$python)"; \
	        exec "$$python" -m venv $(VENV); \
	    fi; \
	done; \
	echo "Gristmill needs Python 3.11 or newer with venv, and found none." >&2; \
	echo "Install it (Debian: apt install python3 python3-venv; macOS: brew install python@3.13)," >&2; \
	echo "or name one: make setup PYTHON=/path/to/python3" >&2; \
	exit 1
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@touch $@

$(CORE): $(TOOLS) requirements/core.lock pyproject.toml
	@$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements/core.lock
	@$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(TOOLS) requirements/dev.lock pyproject.toml
	@$(UV) pip sync --quiet --python $(PY) --require-hashes requirements/dev.lock
	@$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@ $(CORE)

$(PEERS): $(TOOLS) requirements/peers.lock requirements/peers-torch.lock pyproject.toml
	@test -x .venv-peers/bin/python || $(PY) -m venv .venv-peers
	@$(UV) pip install --quiet --link-mode copy --python .venv-peers/bin/python --no-deps --require-hashes -r requirements/peers.lock
	@.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	    -r requirements/peers-torch.lock
	@touch $@
