# `make demo` and `make test` set up everything they need; nothing has to be done first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
UV     := uv==0.13.9
WORKERS ?= 2

.PHONY: help demo test test-all check format lock benchmarks clean

help:
	@echo "make demo        the main job on a sample shop, against the sandbox"
	@echo "make test        every test that needs PyPI alone"
	@echo "make test-all    those, and the slow ones and those that need distribution packages"
	@echo "make check       format, lint, types, order of the rooms"
	@echo "make benchmarks  figures of speed and memory, beside named peers"
	@echo "make lock        resolve requirements.lock anew"

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed: make PYTHON=python3.12 …"'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: $(READY)
	$(BIN)/clvsync demo

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) -m "not distribution and not slow"

test-all: $(READY)
	sh .ci/distribution-packages
	$(BIN)/python -m pytest -n $(WORKERS) -m "distribution or slow"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmarks: $(READY)
	$(BIN)/python -m tests.benchmarks

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --group dev --extra postgres --extra warehouses --universal \
		--python-version 3.11 --generate-hashes --quiet --custom-compile-command "make lock" --upgrade -o requirements.lock

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis demo
