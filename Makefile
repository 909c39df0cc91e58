# make run    the main job on embedded defaults: a simulated street, discovered and adopted, with a live console
# make test   everything: lint, types, unit tests, end-to-end tests with real peers and a browser, fuzzing in full,
#             wheel smoke test
# make check  lint, types and unit tests: what to run before every commit (under 5 minutes)
# make bench  the measurements of docs/performance.md, as ratios
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# `make run ARGS="--once --json"` passes arguments on.
ARGS ?=

# Without compiled modules every program that a test starts, and every worker of the tests, compiles all sources anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check lint types unit e2e wheel bench clean

run: $(VENV)/.for-run
	@$(BIN)/menwei demo $(ARGS)

test: check e2e wheel

check: lint types unit

lint: $(VENV)/.for-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.for-test
	$(BIN)/mypy

unit: $(VENV)/.for-test
	$(BIN)/python -m pytest -m "not e2e and not slow" --hypothesis-profile=few -n 2

e2e: $(VENV)/.for-test
	$(BIN)/python -m pytest -m "e2e or slow or hypothesis" -n 3 --dist loadfile

wheel: $(VENV)/.for-test
	scripts/wheel-smoke.sh $(BIN)/python

bench: $(VENV)/.for-test
	$(BIN)/python bench/run.py $(ARGS)

$(VENV)/.for-run: setup.cfg pyproject.toml scripts/setup.sh
	@scripts/setup.sh run $(PYTHON) $(VENV)

$(VENV)/.for-test: setup.cfg pyproject.toml scripts/setup.sh
	scripts/setup.sh test $(PYTHON) $(VENV)

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name '*.egg-info' -prune -exec rm -rf {} +
