PYTHON ?= python3
BIN := .venv/bin
# one test process per core, 8 at most; PYTEST_XDIST_AUTO_NUM_WORKERS sets another number
PARALLEL := -n auto --maxprocesses 8 --dist worksteal

.PHONY: demo test test-slow test-long test-dates check docs clean

# its devices are invented: whoever asked not to be tracked is not one of them
demo: .venv/installed
	env -u DO_NOT_TRACK -u HUSHTALLY_DISABLED $(BIN)/hushtally demo

test: check
	$(BIN)/pytest $(PARALLEL)

# only the tests that `make test` leaves out
test-slow: .venv/installed
	$(BIN)/pytest $(PARALLEL) -m "slow and not long"

# only the tests that `make test` and `make test-slow` leave out, then the default tests on other dates
test-long: .venv/installed test-dates
	$(BIN)/pip install --quiet --group frozen
	$(BIN)/pytest $(PARALLEL) -m long

# the default tests on other dates
test-dates: .venv/installed
	$(BIN)/pip install --quiet --group dates
	$(BIN)/python tests/support/run_on_dates.py

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

# a warning is an error: no broken link, no missing reference
docs: .venv/installed
	$(BIN)/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build/html
	@echo "wrote docs/_build/html/index.html"

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"hushtally needs Python 3.11 or newer; {sys.executable} is {v[0]}.{v[1]}. Name another one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[all]' --group dev
	@touch $@

clean:
	rm -rf .venv build dist docs/_build
