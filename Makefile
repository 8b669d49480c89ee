# Two commands: `make lab` opens the first notebook, `make test` runs everything that CI runs.
# They need Python 3.10 to 3.13, git and make; all else goes into .venv.

PYTHON ?= python3
VENV   ?= .venv
LOWEST := build/venv-lowest
# How many tests run at a time; each of the processes takes up to 2 GB, with JupyterLab and the browser.
JOBS    ?= 2
BENCH  := build/venv-bench
KERNELS ?= 6.31.0 7.3.0 7.4.0
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help lab test check format docs clean bench test-lowest test-kernels types

help:
	@echo "make lab      open JupyterLab on the first notebook (installs what it needs into $(VENV))"
	@echo "make test     checks, then all tests, in a real browser too"
	@echo "make check    ruff and mypy only"
	@echo "make format   let ruff lay out the code"
	@echo "make docs     the documentation, into build/docs"
	@echo "make bench    speed beside released peers, into benchmarks/results.md (half an hour)"
	@echo "make clean    remove $(VENV) and all caches"

lab: $(VENV)/.installed-lab
	$(BIN)/cnnvis lab

test: check
	$(BIN)/python tools/setup_browser.py
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup $(TESTS)

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -b html docs build/docs

# Speed beside other packages, in an environment of their own: all of it, or WORKLOADS="a d"; QUICK=--quick for a smoke run.
bench: $(BENCH)/.installed
	$(BENCH)/bin/python tools/setup_browser.py
	PYTHONPATH=benchmarks $(BENCH)/bin/python -m side_by_side $(WORKLOADS) $(QUICK)

# Xplique asks for an older TensorFlow than it needs. Where there is no PyTorch, its table is left out.
$(BENCH)/.installed: pyproject.toml $(wildcard benchmarks/requirements*.txt)
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/python -m pip --disable-pip-version-check install --quiet -e ".[lab]" -r benchmarks/requirements.txt
	$(BENCH)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps -r benchmarks/requirements-no-deps.txt
	-$(BENCH)/bin/python -m pip --disable-pip-version-check install --quiet -r benchmarks/requirements-torch.txt
	@touch $@

# The oldest versions that pyproject.toml allows, on the oldest Python, with a fresh environment each time.
test-lowest:
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip --disable-pip-version-check install uv
	$(LOWEST)/bin/uv pip install --python $(LOWEST)/bin/python --resolution lowest-direct -e ".[test]"
	$(LOWEST)/bin/python tools/setup_browser.py
	$(LOWEST)/bin/python -m pytest $(TESTS)

# What happens to an Explorer while cells run, on one ipykernel after another.
test-kernels: $(VENV)/.installed-test
	for version in $(KERNELS); do \
	  $(PIP) install --quiet --no-deps --upgrade --target build/ipykernel-$$version ipykernel==$$version || exit 1; \
	done
	$(BIN)/python tools/setup_browser.py
	CNNVIS_KERNELS="$$(printf 'build/ipykernel-%s:' $(KERNELS))" $(BIN)/python -m pytest tests/lab/test_kernels.py

# Whether the JSDoc types of the browser's side hold, by TypeScript's own word.
types: $(VENV)/.installed-test
	npm install --silent --no-save --prefix build/tsc typescript@5
	PATH="$(CURDIR)/build/tsc/node_modules/.bin:$$PATH" $(BIN)/python -m pytest tests/widgets/test_types.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp per set of packages: the second run is quick, a changed pyproject.toml installs again.
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	@echo "Installing the packages; TensorFlow is large, the first time takes some minutes."
	$(PIP) install -e ".[$*]"
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))" || { \
	  echo "TensorFlow needs Python 3.10 to 3.13, and '$(PYTHON)' is not: try 'make $(MAKECMDGOALS) PYTHON=python3.12'."; exit 1; }
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || { \
	  echo "Python's venv module is missing: run 'sudo apt install python3-venv', then try again."; exit 1; }
	$(PYTHON) -m venv $(VENV)
