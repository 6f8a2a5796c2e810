# Everything runs from .venv, which `make setup` makes. `make help` lists the targets.

# OpenMP's spinning waits eat each other when two processes share the cores; caches of the libraries stay in .cache/.
# Bytecode is written when a module is first imported, also where the environment asks for none: set-up compiles nothing.
RUN := PYTHONDONTWRITEBYTECODE= OMP_WAIT_POLICY=PASSIVE XDG_CACHE_HOME="$$PWD/.cache" XDG_CONFIG_HOME="$$PWD/.cache/config" .venv/bin/python
DEVICE ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-slow check format hooks base-model clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' Makefile | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Make .venv, or bring it up to date (DEVICE=cpu or DEVICE=gpu overrides what is detected)
	@scripts/setup --device $(DEVICE)

demo: setup ## Train GRPO and diversity-preserving arms from the shipped model and compare them: runs/demo/report.html
	@$(RUN) -m rlkit demo

test: test-fast test-slow ## Run every test

# A file's tests stay in one process, so that what its fixtures make is made once.
test-fast: setup ## Run the tests that take seconds
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -q -m "not slow" -n 2 --dist loadfile

test-slow: setup ## Run the tests that train, serve and install
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -q -m "slow and side_by_side" -n 2 --dist loadfile
	@$(RUN) -m pytest -q -m "slow and not side_by_side"

check: setup ## Format, lint, types and layers, as the hook before a commit does
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@$(RUN) -m pytest -q tests/test_layers.py

format: setup ## Rewrite what `make check` would complain about
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

hooks: setup ## Run `make check` before every commit
	@$(RUN) -m pre_commit install

base-model: setup ## Make a base like the shipped one: runs/base/countdown-tiny/run/model
	@$(RUN) scripts/write_base_corpus.py recipes/base_model/countdown-tiny.yaml --output runs/base/countdown-tiny
	@$(RUN) -m rlkit sft recipes/base_model/countdown-tiny_sft.yaml
	@$(RUN) scripts/write_base_card.py recipes/base_model/countdown-tiny.yaml runs/base/countdown-tiny/run

clean: ## Remove caches and build leftovers; keeps .venv and runs/
	rm -rf .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
