# make demo opens the page, make test runs the tests; each first installs what it needs into .venv.
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# A worker more than cores, four at most, as those that drive a browser wait much; each with one thread, because threads
# that wait for each other slow all of them.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Stamps: what is installed already.
PAGE := .venv/page
TOOLS := .venv/tools
NODE := .venv/node/client
export PORT ?= 7860
export GRADIO_ANALYTICS_ENABLED ?= False

.PHONY: setup setup-page demo test coverage quick check format benchmark screenshots space clean

setup: $(TOOLS)

setup-page: $(PAGE)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { test "$$(id -u)" = 0 && apt-get update && \
		apt-get install -y python3-venv; } || { echo "Install python3-venv first: sudo apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv

$(PAGE): requirements.txt requirements-cpu.txt requirements-any.txt | $(BIN)/python
	@$(BIN)/python -m tools.install page
	@touch $@

$(TOOLS): requirements-dev.txt requirements-mcp.txt $(PAGE)
	@$(BIN)/python -m tools.install tools
	@touch $@

# The JavaScript client, for the test of the README's example.
$(NODE): | $(BIN)/python
	@! command -v npm >/dev/null || npm install --silent --prefix .venv/node @gradio/client@2.7.0 || \
		echo "@gradio/client cannot be installed: the JavaScript example stays untested."
	@mkdir -p $(@D) && touch $@

demo: $(PAGE)
	@$(BIN)/python app.py

test: $(TOOLS) $(NODE)
	$(PYTEST)

# The same, and how much of the code it runs, which takes longer.
coverage: $(TOOLS) $(NODE)
	$(PYTEST) --cov

# What takes long, drives a browser or needs real weights is left out.
quick: $(TOOLS)
	$(PYTEST) -m "not browser and not slow and not assets"

check: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.audit

format: $(TOOLS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(TOOLS)
	$(BIN)/python -m performance.upscale
	$(BIN)/python -m performance.pictures
	$(BIN)/python -m performance.metrics
	$(BIN)/python -m performance.page
	$(BIN)/python -m performance.viewer
	$(BIN)/python -m performance.swift
	$(BIN)/python -m performance.published

# Without Xet, huggingface_hub uploads in one commit: a Space is built anew for each.
space: $(PAGE)
	@test -n "$(REPO)" || { echo "Say where: make space REPO=owner/name"; exit 2; }
	@HF_HUB_DISABLE_XET=1 $(BIN)/python -m tools.space "$(REPO)"

screenshots: $(TOOLS)
	$(BIN)/python -m tools.screenshots

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
