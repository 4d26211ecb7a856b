# Everything runs in .venv, made from the pins in constraints.txt. Needs Python 3.11, make and the package registry.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo notebooks test lint types clean

install: .venv/installed

PIP := $(BIN)/pip install --disable-pip-version-check --progress-bar on --constraint constraints.txt

.venv/installed: pyproject.toml constraints.txt
	@echo "installing into .venv, a few minutes: PyTorch first, then all else"
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/python tune_runner.py --dataset weizmann --preset demo --out runs/demo

notebooks: install
	$(PIP) --quiet --editable '.[dev,analysis]'
	$(BIN)/jupyter lab analysis

lint: install
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

test: lint types
	$(BIN)/python -m pytest

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache
