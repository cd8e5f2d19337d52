# make demo    see a segmentation with numbers and a picture
# make gui     open napari with the plugin; files by: make gui FILES="scan.nii.gz labels.nii.gz"
# make test    everything that a change must pass
# make check   the fast loop while working
# make peers   environments of the tools that benchmarks/ compares with
# make clean   remove what make has made

# the first Python on this computer that is new enough; choose another by: make test PYTHON=python3.13
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
# plain pip; what it needs (an index, a cache, the CPU build of torch) comes from its own configuration
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# one thread per worker: two workers that each take all cores are slower than one
test check: export OMP_NUM_THREADS := 1
test check: export MKL_NUM_THREADS := 1
test check: export NUMBA_NUM_THREADS := 1

.PHONY: demo gui test check peers clean lint

demo: $(VENV)/.core
	$(BIN)/medseg demo

gui: $(VENV)/.gui
	$(BIN)/medseg view $(FILES)

test: $(VENV)/.test lint
	tests/on_screen.sh $(BIN)/python $(BIN)/python -m pytest -q -n $(JOBS)

check: $(VENV)/.test lint
	tests/on_screen.sh $(BIN)/python $(BIN)/python -m pytest -q -n $(JOBS) -m "not slow and not data"

lint: $(VENV)/.test
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

# installed again only when the requirements change
$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.gui: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e ".[gui]"
	@touch $(VENV)/.core $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -c constraints.txt -e ".[gui,test]"
	@touch $(VENV)/.core $(VENV)/.gui $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "medseg needs Python 3.11 or newer; none was found." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) lacks the venv module. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

peers: benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt

clean:
	rm -rf $(VENV) .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build demo
