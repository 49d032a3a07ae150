# Targets for people; `make help` lists them. Everything happens in .venv and build/.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TOOL   := PYTHONPATH=tests $(BIN)/python -m tools
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

.DEFAULT_GOAL := help
.PHONY: help demo check test interop fuzz lint types format wheel sdist bench bench-scale bench-many bench-cold bench-pairs bench-run bench-bombs bench-robustness clean workflows

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/installed  ## Make a small GPT-2, inspect, convert and verify it
	@$(TOOL).demo

check: lint types $(VENV)/installed-check  ## Lint, types and the quick tests: the loop while working
	$(BIN)/python -m pytest -n auto -m 'not interop and not slow and not tensorflow' $(PYTEST)

test: $(VENV)/installed-tests  ## Run all tests; sets up TensorFlow, too
	$(BIN)/python -m pytest -n auto --maxprocesses 4 $(PYTEST)

interop: $(VENV)/installed-interop  ## Load what tf2hf writes in transformers, on torch
	$(BIN)/python -m pytest -m interop $(PYTEST)

fuzz: $(VENV)/installed-fuzz  ## Fuzz the readers (TARGET=npz SECONDS=1800)
	$(TOOL).fuzz.run $(or $(TARGET),all) $(or $(SECONDS),60)

lint: $(VENV)/installed-lint  ## Check style, formatting and workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(OFFLINE) $(MAKE) --no-print-directory workflows

# These linters could download. They need not, and with a proxy that nobody is they cannot.
OFFLINE := HTTP_PROXY=http://127.0.0.1:9 HTTPS_PROXY=http://127.0.0.1:9 \
	http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9
SCHEMA  := $(BIN)/check-jsonschema -q --builtin-schema
FORMS   := .github/ISSUE_TEMPLATE

workflows:
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) custom.github-workflows-require-timeout .github/workflows/*.yml
	$(SCHEMA) vendor.github-actions action.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.github-issue-forms $(FORMS)/bug.yml $(FORMS)/feature.yml
	$(SCHEMA) vendor.github-issue-config $(FORMS)/config.yml
	$(BIN)/zizmor -q --offline --persona pedantic --strict-collection .

types: $(VENV)/installed-lint $(VENV)/installed-check  ## Check types, of the tests too
	@mkdir -p build/typing && ln -sfn ../../convert build/typing/gpt2_convert
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	MYPYPATH=build/typing:tests $(BIN)/mypy --explicit-package-bases tests

format: $(VENV)/installed-lint  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/installed  ## Build the wheel and run it in a bare environment
	rm -rf dist build/lib build/bdist.* build/bare
	$(PIP) wheel --no-deps -w dist .
	$(PYTHON) -m venv build/bare
	build/bare/bin/python -m pip --disable-pip-version-check -q install dist/*.whl
	$(TOOL).demo --program build/bare/bin/gpt2-convert
	@ls -l dist

# setuptools adds to the archive what an older list of files names.
sdist: $(VENV)/installed-release  ## Build the source archive
	rm -rf dist/*.tar.gz *.egg-info
	$(BIN)/python -m build --sdist
	@ls -l dist

bench: $(VENV)/installed-tests  ## Measure speed and memory (SIZES="124M 774M")
	$(TOOL).bench $(SIZES)

bench-scale: $(VENV)/installed-tests  ## Measure what more processors and larger models change
	$(TOOL).bench_scale $(SIZES)

bench-many: $(VENV)/installed-tests  ## Measure many small conversions in one process
	$(TOOL).bench_many $(COUNT)

bench-cold: $(VENV)/installed-tests  ## Measure tf2npz from a disk, not from memory
	$(TOOL).bench_cold $(SIZES)

bench-pairs: $(VENV)/installed-tests  ## Measure the memory of every conversion (SIZES=1558M)
	$(TOOL).bench --pairs $(SIZES)

bench-run: $(VENV)/installed-interop  ## Measure running a model against torch
	$(TOOL).bench_run $(SIZES)

bench-bombs: $(VENV)/installed-tests  ## Measure small files that cost much (BOMB=npz)
	$(TOOL).bombs $(BOMB)

bench-robustness: $(VENV)/installed-tests  ## Compare what malformed files do to readers
	$(TOOL).robustness

clean:  ## Remove the environment and everything built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Each stamp is newer than what it was installed from. An old pip knows no dependency groups.
$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=python3.x")'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

# setuptools warns of every editable install.
$(VENV)/installed: $(VENV)/python pyproject.toml
	@echo 'Setting up $(VENV) ...'
	@PYTHONWARNINGS=ignore $(PIP) install -e .
	@touch $@

$(VENV)/installed-check: $(VENV)/installed
	@echo 'Setting up what the tests need ...'
	$(PIP) install --group test
	@touch $@

$(VENV)/installed-tests: $(VENV)/installed-check
	@echo 'Setting up TensorFlow, which the tests compare with ...'
	@PYTHONWARNINGS=ignore $(PIP) install -e '.[tensorflow]' --group test
	@touch $@

$(VENV)/installed-interop: $(VENV)/installed-tests
	$(PIP) install --group interop
	@touch $@

$(VENV)/installed-fuzz: $(VENV)/installed-tests
	$(PIP) install --group fuzz
	@touch $@

$(VENV)/installed-lint: $(VENV)/installed
	$(PIP) install --group lint
	@touch $@

$(VENV)/installed-release: $(VENV)/installed
	$(PIP) install --group release
	@touch $@
