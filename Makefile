# Every target does the set-up it needs: Python 3.11-3.13 and make are enough to start.

PYTHON ?= $(firstword $(foreach p,python3 python3.12 python3.11 python3.13,$(if $(call supported,$p),$p)))
supported = $(if $1,$(shell $1 -c 'import sys; (3, 11) <= sys.version_info < (3, 14) and print(1)' 2>/dev/null))

BIN := .venv/bin
READY := .venv/ready
# By misgen's own loader, as the wheel's module has another name on Python 3.13.
PROCGEN_LOADS := 'from misgen.envs.procgen.library import Games; Games("coinrun", "easy", 1, 0)'

# A variable counts only when it is given to make: a NAME in the shell's environment does not.
given = $(if $(filter command,$(origin $1)),'$2')
SWEEP = $(call given,SEEDS,seeds=$(SEEDS)) \
	$(call given,CORRELATIONS,correlations=[$(CORRELATIONS)]) \
	$(call given,JOBS,jobs=$(JOBS)) \
	$(call given,WORLD,env=$(WORLD)) \
	$(call given,PRESET,preset=$(PRESET)) \
	$(call given,NAME,name=$(NAME))

# A test that hangs ends its process after some minutes; without that process the rest does not go on.
SHARED_OUT := -n auto --dist loadfile --max-worker-restart=0

.DEFAULT_GOAL := help
.PHONY: help setup sweep report compare lab test test-all test-lowest test-newest check bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make sweep SEEDS=5 CORRELATIONS=1,0.99 JOBS=8 WORLD=coinrun PRESET=lab NAME=mine"
	@echo "  ARGS=\"...\" is passed on by sweep, report, compare, test, test-all and bench;"
	@echo "  PYTHON=python3.12 and PIP_ARGS=\"...\" are read by setup."

setup: $(READY) ## Make .venv with the tested versions (once; the others do it too)
	@echo "Ready. Next: make sweep, or .venv/bin/misgen --help"

sweep: $(READY) ## Train at several correlations, evaluate, and write runs/<sweep>/report.html
	@$(BIN)/misgen sweep $(SWEEP) $(ARGS)

report: $(READY) ## Write the report of a sweep again
	@$(BIN)/misgen report $(ARGS)

compare: $(READY) ## Which protocol detects goal misgeneralization, and at what cost
	@$(BIN)/misgen compare $(call given,JOBS,jobs=$(JOBS)) $(call given,WORLD,env=$(WORLD)) \
		$(call given,NAME,name=$(NAME)) $(ARGS)

test: $(READY) ## Run the tests (minutes)
	$(BIN)/python -m pytest -m "not slow" $(SHARED_OUT) $(ARGS)

test-all: $(READY) ## Run the tests, the slow ones too
	$(BIN)/python -m pytest $(SHARED_OUT) $(ARGS)

test-lowest: .venv-lowest/ready ## Run the tests with the lowest versions allowed (on Python 3.11)
	$(call test_in,.venv-lowest)

test-newest: .venv-newest/ready ## Run the tests with the newest versions
	$(call test_in,.venv-newest)

check: $(READY) ## Lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

lab: .venv/lab-ready ## Open the course lab, a notebook, in JupyterLab
	@$(BIN)/misgen lab open $(ARGS)

bench: $(READY) ## Measure speed: worlds, training, evaluation
	@$(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove build products and caches (.venv and runs/ stay)
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . \( -path ./.venv -o -path ./.git -o -path ./runs \) -prune -o \
		-name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(if $(call supported,$(PYTHON)),:,echo "misgen needs Python 3.11, 3.12 or 3.13, and" \
		"$(if $(PYTHON),$(PYTHON) is not one,none is on the PATH). Name one: make setup PYTHON=/path/to/python3.12" >&2; exit 1)
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)." >&2; exit 1; }

# Numba's caches are kept apart: they do not know NumPy's version.
test_in = NUMBA_CACHE_DIR=$(CURDIR)/$1/numba $1/bin/python -m pytest -m "not slow" $(SHARED_OUT) $(ARGS)

.venv-%/ready: pyproject.toml setup.py .ci/lowest.py
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python .ci/lowest.py >.venv-$*/lowest.txt
	@.venv-$*/bin/python -m pip install --quiet $(PIP_ARGS) \
		$(if $(filter lowest,$*),-c .venv-$*/lowest.txt,--upgrade) -e '.[sweep,slurm,tensorboard,dev]'
	@touch $@

.venv/lab-ready: $(READY)
	@$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[lab]'
	@touch $@

$(READY): pyproject.toml setup.py constraints.txt | $(BIN)/python
	@echo "Installing into .venv (once; some minutes) ..."
	@$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[sweep,slurm,tensorboard,dev]'
	@$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e '.[procgen]' >.venv/procgen.log 2>&1 \
		&& $(BIN)/python -c $(PROCGEN_LOADS) 2>>.venv/procgen.log \
		|| echo "The original Procgen is not available here (why: .venv/procgen.log); only comparisons with it are left out."
	@touch $@
