# Everything runs inside .venv, made from the locks in requirements/.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
PIP := .venv/bin/python -m pip install --disable-pip-version-check -q
# What the inner loop runs: the rooms without processes, servers or simulations.
QUICK := tests/functions/core tests/functions/experiment tests/functions/formats tests/functions/service tests/project
UV_COMPILE := .venv/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --no-emit-package batch-emulator --no-strip-extras --custom-compile-command "make lock" $(UPGRADE)

MADE := .venv/.made
LOCAL := .venv/.local
DEV := .venv/.dev
CHECKOV := .venv/checkov/.made

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(LOCAL) ## Run the example experiment on this machine
	.venv/bin/epydrop run examples/boarding-school-1978/experiment.yaml --root demo

.PHONY: test
test: $(DEV) ## Run the tests; ARGS='-k name' passes options on
	.venv/bin/python -m pytest $(ARGS)

.PHONY: quick
quick: $(DEV) ## Run the tests that take under a minute together, for the inner loop
	.venv/bin/python -m pytest $(QUICK) $(ARGS)

.PHONY: soak
soak: $(DEV) ## Simulate N runs under faults, on all cores; FROM=seed begins elsewhere
	PYTHONPATH=tests .venv/bin/python -m simulation --soak $(or $(N),10000) --from $(or $(FROM),0)

.PHONY: simulate
simulate: $(DEV) ## Simulate what happens under SEED, and print it; WITHOUT="'clock skew' stall" leaves out faults
	PYTHONPATH=tests .venv/bin/python -m simulation $(SEED) $(if $(WITHOUT),--without $(WITHOUT))

.PHONY: cover
cover: $(DEV) ## Run the tests and check that they reach the branches of the product that they reached before
	.venv/bin/python -m pytest --cov --cov-report=term:skip-covered $(ARGS)

.PHONY: bench
bench: $(DEV) ## Measure what is added to the tasks, what an event and what the outputs cost; a quarter of an hour
	.venv/bin/python benchmarks/command_start.py
	.venv/bin/python benchmarks/first_task.py
	.venv/bin/python benchmarks/task_overhead.py
	.venv/bin/python benchmarks/artifacts.py
	.venv/bin/python benchmarks/output_stage.py
	.venv/bin/python benchmarks/functions.py
	.venv/bin/python benchmarks/batch_api.py
	.venv/bin/python benchmarks/whole_run.py

.PHONY: diagram
diagram: $(LOCAL) ## Print the state diagram of docs/architecture.md
	@.venv/bin/python -c 'from epydrop_workstation.reference.state_diagram import state_diagram; print(state_diagram())'

.PHONY: lint lint-code lint-format lint-types lint-imports
lint: lint-code lint-format lint-types lint-imports ## Check style, types and who imports whom

lint-code: $(DEV)
	.venv/bin/ruff check

lint-format: $(DEV)
	.venv/bin/ruff format --check

lint-types: $(DEV)
	.venv/bin/mypy

lint-imports: $(DEV)
	.venv/bin/lint-imports

.PHONY: lint-deploy
lint-deploy: $(DEV) $(CHECKOV) ## Check the Terraform files, the Dockerfile, the build and the shell scripts
	.venv/bin/hadolint stage_image/Dockerfile
	.venv/bin/check-jsonschema --builtin-schema vendor.cloudbuild cloudbuild.yaml
	.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml
	.venv/bin/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	.venv/bin/shellcheck .ci/run .ci/image .ci/pythons .ci/stage-environment .ci/terraform .ci/wheel stage_image/token-for-git
	.venv/checkov/bin/checkov --directory terraform --config-file terraform/.checkov.yaml

.PHONY: format
format: $(DEV) ## Format the code and fix what can be fixed
	.venv/bin/ruff check --fix-only
	.venv/bin/ruff format

# The smaller locks take their versions from the dev lock, so all of them agree. What builds the projects is locked with
# them, so that they install from a lock alone.
.PHONY: lock
lock: $(DEV) ## Lock the dependencies again; UPGRADE=--upgrade takes newer releases
	$(UV_COMPILE) pyproject.toml requirements/build.in --group dev -o requirements/dev.txt
	$(UV_COMPILE) pyproject.toml requirements/build.in -c requirements/dev.txt -o requirements/local.txt
	$(UV_COMPILE) --group stage -c requirements/dev.txt -o requirements/stage.txt
	$(UV_COMPILE) --group stage --group storage -c requirements/dev.txt -o requirements/stage-cloud.txt
	$(UV_COMPILE) --group functions -c requirements/dev.txt -o functions/requirements.txt
	$(UV_COMPILE) batch_emulator/pyproject.toml --extra api -c requirements/dev.txt -o requirements/batch-emulator.txt
	$(UV_COMPILE) requirements/suite.in -c requirements/dev.txt -o requirements/suite.txt
	$(UV_COMPILE) requirements/build.in -c requirements/dev.txt -o requirements/build.txt
	$(UV_COMPILE) requirements/checkov.in -o requirements/checkov.txt

.PHONY: wheel
wheel: $(LOCAL) ## Build both distributions into dist/: `pip install dist/*.whl` gives the command anywhere
	rm -rf dist
	.venv/bin/python -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w dist ./batch_emulator .

.PHONY: clean
clean: ## Remove .venv, caches and what the demo made
	rm -rf .venv demo dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find functions stage_image workstation batch_emulator tests benchmarks -type d -name __pycache__ -exec rm -rf {} +

.PHONY: .venv
.venv: $(DEV) ## Install everything for development

$(MADE):
	@test -n "$(PYTHON)" || { echo "epydrop needs Python 3.11 or newer: install it, or name it with PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "epydrop needs Python 3.11 or newer, and $(PYTHON) is not." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make a virtual environment: install its venv package (python3-venv on Debian and Ubuntu)." >&2; exit 1; }
	"$(PYTHON)" -m venv --clear .venv
	@touch $@

$(LOCAL): requirements/local.txt pyproject.toml batch_emulator/pyproject.toml $(MADE)
	$(PIP) --require-hashes -r requirements/local.txt
	$(PIP) --no-deps --no-build-isolation -e batch_emulator -e .
	@touch $@

# The dev lock holds everything of the local one.
$(DEV): requirements/dev.txt pyproject.toml batch_emulator/pyproject.toml $(MADE)
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation -e batch_emulator -e .
	@touch $@ $(LOCAL)

# checkov wants other releases than ours of what both use.
$(CHECKOV): requirements/checkov.txt $(MADE)
	.venv/bin/python -m venv --clear .venv/checkov
	.venv/checkov/bin/python -m pip install --disable-pip-version-check -q --require-hashes -r $<
	@touch $@
