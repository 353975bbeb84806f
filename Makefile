# What a person and the CI run: `make demo`, `make test`.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
PAGE := src/anymask/annotator/page/index.html
PIP := $(BIN)/python -m pip install -qq -c constraints.txt

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: demo test test-all bench lint web format clean

demo: .venv/installed
	@$(BIN)/anymask segment examples/photos/astronaut.jpg --point 220,300 -o demo
	@$(BIN)/anymask everything examples/photos/coffee.jpg -o demo
	@echo "Done. The pictures and the masks are in $(CURDIR)/demo"

test: lint $(PAGE)
	@$(BIN)/python web/build.py "run types" "test --silent"
	@$(BIN)/python -m pytest -m "not slow" -q -n $(WORKERS)

test-all: lint $(PAGE)
	@$(BIN)/python web/build.py "run types" "test --silent"
	@$(BIN)/python -m pytest -q -n $(WORKERS)

web: $(PAGE)

$(PAGE): $(shell find web -type f -not -path '*/node_modules/*') | .venv/installed-dev
	@$(BIN)/python web/build.py

bench: .venv/installed-dev
	@$(BIN)/python benchmarks/speed.py
	@$(BIN)/python benchmarks/speed.py --tables

lint: .venv/installed-dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: .venv/installed-dev
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache web/node_modules $(dir $(PAGE))
	find . -name __pycache__ -prune -exec rm -rf {} +

# Each stamp stands for one state of the environment; a change to what is asked for makes it again.
.venv/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing anymask into .venv (some minutes the first time) ..."
	@$(PIP) -e .
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing anymask and its tools into .venv (some minutes the first time) ..."
	@$(PIP) -e ".[dev,annotator,postgresql,eval,train,data,huggingface,text]"
	@touch .venv/installed $@

$(BIN)/python:
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
