# Everything runs in .venv, made from the pins in constraints.txt. Needs Python 3.11, make and the package registry.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test lint types clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/python tune_runner.py --dataset weizmann --preset smoke --out runs/demo

lint: install
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

test: lint types
	$(BIN)/python -m pytest

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache
