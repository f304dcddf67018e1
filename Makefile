# What a contributor types. On a fresh Debian with Python, git and make, each of these sets up what it needs.
.PHONY: setup demo test chaos mutants lint types types-here types-darwin types-win32 wheel docs pictures figures bench format clean

export PYTHON ?= python3
VENV := .venv
TEST_VENV := build/venv
# Where .ci/machine unpacks servers that are not to run as the machine's own.
export PATH := $(CURDIR)/build/servers/usr/sbin:$(PATH)
SOURCES := $(shell find pushkit plugins -type f -not -path '*/__pycache__/*' 2>/dev/null) Pushfile.example README.md

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	.ci/machine venv
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --editable '.[dev]'
	touch $@

demo: setup
	$(VENV)/bin/push demo

# The tests run against the wheel that would be published, in an environment of its own, never against the checkout.
test: $(TEST_VENV)/.ready
	.ci/machine servers
	PUSHKIT_TESTS_WHEEL=1 $(TEST_VENV)/bin/pytest -n 4 --dist worksteal --durations=60

# The campaigns at full length, which takes hours: tests/chaos, and what else heeds the variable; `make test` has a short
# form of each.
chaos: $(TEST_VENV)/.ready
	.ci/machine servers
	PUSHKIT_TESTS_WHEEL=1 PUSHKIT_CHAOS=full $(TEST_VENV)/bin/pytest tests/chaos $$(grep -lE 'PUSHKIT_CHAOS|from mangled' tests/*/test_*.py)

# How much of a module the tests hold fast. TESTS are what covers it; --most, --seed and --line choose mutants:
# make mutants MODULE=pushkit/files/ticket.py TESTS='tests/unit/test_ticket.py --most 200'
TESTS := tests/unit
mutants: setup
	PYTHONPATH=tests nice $(VENV)/bin/python -m mutation $(MODULE) $(TESTS)

wheel: $(TEST_VENV)/.ready

$(TEST_VENV)/.ready: $(SOURCES) pyproject.toml
	.ci/machine venv
	rm -rf build/wheel
	test -x $(TEST_VENV)/bin/pip || $(PYTHON) -m venv $(TEST_VENV)
	$(TEST_VENV)/bin/pip wheel --quiet --no-deps --wheel-dir build/wheel .
	$(TEST_VENV)/bin/pip install --quiet --force-reinstall --no-deps build/wheel/*.whl
	$(TEST_VENV)/bin/pip install --quiet "$$(echo build/wheel/*.whl)[dev]"
	touch $@

lint: setup
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

format: setup
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

# What .ci/posix lists uses processes, locks, terminals or directories as only POSIX has them; all else is typed for Windows too.
types: types-here types-darwin types-win32

types-here: setup
	$(VENV)/bin/mypy

types-darwin: setup
	$(VENV)/bin/mypy --platform darwin --cache-dir .mypy_cache/darwin pushkit plugins

types-win32: setup
	find pushkit plugins -name '*.py' | grep -vxFf .ci/posix | xargs $(VENV)/bin/mypy --platform win32 --cache-dir .mypy_cache/win32 --follow-imports silent

# The site goes to build/site. mkdocs-material says at each start which tool follows it; that is not for every build's log.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(TEST_VENV)/.ready
	$(TEST_VENV)/bin/mkdocs build --strict
	$(TEST_VENV)/bin/pytest tests/docs

# The terminal pictures are drawn from real pushes; what they show changes when the output of push does.
pictures: setup
	$(VENV)/bin/python docs/generate/pictures.py

# The README's figures are those of docs/benchmarks.md.
figures: setup
	$(VENV)/bin/python docs/generate/figures.py

# The complete comparison, which takes an hour or more, to docs/benchmarks.md and the README: make bench PAIRS=5
# What people install is measured: from the checkout, Python may compile every module at every start.
PAIRS := 3
bench: $(TEST_VENV)/.ready setup
	.ci/machine servers
	$(TEST_VENV)/bin/python tests/bench/comparison.py --pairs $(PAIRS) --write; \
	    status=$$?; $(MAKE) figures && exit $$status

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
