# leman: every target works from a fresh clone and installs what it needs into .venv.
SHELL := /bin/sh
BIN := .venv/bin
EXAMPLE := examples/sunspots-and-co2
# reproduction.py takes hours, lose_nothing.py ten minutes and measures no speed, lake_storage.py
# writes many gigabytes: see benchmarks/RESULTS.md
SLOW := reproduction lose_nothing lake_storage conformance conformance_bagit conformance_records
SPEED := $(filter-out __init__ __main__ measuring $(SLOW),$(basename $(notdir $(wildcard benchmarks/*.py))))
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --custom-compile-command "make requirements"

.PHONY: help up test lint bench docs requirements system clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22

up: .venv/.runtime ## install leman, reproduce the example project, open the report
	$(BIN)/leman run $(EXAMPLE) --twice --output report
	@requirements/open report/report.html

test: lint ## lint, then run the tests
	$(BIN)/python -m pytest -n 2

lint: .venv/.test ## formatting, style, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.test ## measure build, run and launch against plain tools
	for one in $(SPEED); do $(BIN)/python -m benchmarks.$$one || exit 1; done

docs: .venv/.docs ## build the documentation; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

requirements: .venv/.test ## compile the pinned lists anew (add UPGRADE=--upgrade for newer versions)
	PATH="$(CURDIR)/$(BIN):$$PATH"; \
	$(COMPILE) $(UPGRADE) pyproject.toml --group build -o requirements/runtime.txt; \
	$(COMPILE) $(UPGRADE) pyproject.toml --all-extras --group build --group test --group lint \
		-c requirements/runtime.txt -o requirements/test.txt; \
	$(COMPILE) $(UPGRADE) pyproject.toml --group build --group docs \
		-c requirements/test.txt -o requirements/docs.txt

system: ## install the Debian packages that the tests need, or name those that are missing
	@requirements/system

clean: ## remove what was built here; environments of leman itself stay (see leman env prune)
	rm -rf .venv report docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache

.venv/.%: requirements/%.txt pyproject.toml requirements/install
	@requirements/install $*
	@touch $@
