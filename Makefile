# `make help` lists the targets. Each makes .venv if needed; nothing else has to be installed or downloaded by hand.

PYTHON ?= python3
BIN := .venv/bin
VSKD := $(BIN)/vskd
DEMO := build/demo
CONFIG := demo
CACHE := --cache $(DEMO)/cache

.DEFAULT_GOAL := help
.PHONY: help demo models test test-all test-wheel docs pictures lint lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 17

.venv/.installed: pyproject.toml constraints.txt lock.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --constraint lock.txt --editable '.[dev]'
	touch $@

lock:  ## write lock.txt, after a change of constraints.txt or of dependencies
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	echo "# Everything that '.[dev]' installs, written by 'make lock'; constraints.txt pins what vskd itself asks for." > lock.txt
	build/lock/bin/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/+cpu$$//' | LC_ALL=C sort --ignore-case >> lock.txt
	rm -rf build/lock

PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test: lint  ## lint, types, and the tests that take seconds
	$(PYTEST) -m "not slow"

test-all: lint  ## the slow tests, too
	$(PYTEST)

# The wheel in fresh environments: one engine and nothing else, and the lowest numpy of the runtime.
test-wheel: .venv/.installed  ## the wheel in fresh environments
	.ci/wheel

docs: .venv/.installed  ## the pages as a site, every link checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "open build/docs/index.html"

pictures: .venv/.installed  ## the pictures of README and docs, after make demo or a new result; with Chromium
	cd benchmarks && ../$(BIN)/python -m research.pictures ../$(DEMO) --out ../docs/pictures

lint: .venv/.installed  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

demo: .venv/.installed  ## train, export, verify, run and measure on the embedded synthetic data, into build/demo
	rm -rf $(DEMO)
	$(VSKD) train teacher --config $(CONFIG) $(CACHE) --out $(DEMO)/teacher
	$(VSKD) train student --config $(CONFIG) $(CACHE) --out $(DEMO)/alone
	$(VSKD) train student --config $(CONFIG) $(CACHE) --teacher $(DEMO)/teacher --out $(DEMO)/distilled
	$(VSKD) train student --config $(CONFIG) $(CACHE) --teacher $(DEMO)/teacher --set student=watch --out $(DEMO)/watch
	# The int8 models keep every limit, some narrowly (0.95 % of the labels change, 1 % may), and training rounds
	# differently on every kind of processor. A demo reports such a miss instead of ending there.
	$(VSKD) export $(DEMO)/distilled $(CACHE) --allow-degraded --out $(DEMO)/wrist.bundle
	$(VSKD) export $(DEMO)/watch $(CACHE) --allow-degraded --out $(DEMO)/watch.bundle
	$(VSKD) verify $(DEMO)/wrist.bundle
	$(VSKD) evaluate $(DEMO)/distilled $(CACHE) --bundle $(DEMO)/wrist.bundle > $(DEMO)/int8.json
	$(VSKD) evaluate $(DEMO)/watch $(CACHE) --bundle $(DEMO)/watch.bundle > $(DEMO)/watch-int8.json
	$(VSKD) data stream --config $(CONFIG) --subject 2 --out $(DEMO)/recording.csv --truth $(DEMO)/truth.csv
	$(VSKD) run $(DEMO)/wrist.bundle --input $(DEMO)/recording.csv > $(DEMO)/events.jsonl
	$(VSKD) timeline $(DEMO)/events.jsonl --truth $(DEMO)/truth.csv --out $(DEMO)/timeline.png
	$(VSKD) bench $(DEMO)/wrist.bundle $(DEMO)/watch.bundle --quick --recipe int8 --out $(DEMO)/bench > /dev/null
	$(VSKD) summary $(DEMO)

# What `vskd demo` runs: two small bundles, each with a recording of a subject whom its network never saw. The synthetic
# one has the teacher of `make demo`.
MODELS := runtime/vskd/models
TRY := build/models
SHOULDER := --config shoulder-watch --set data.fold=1 --set threads=1
WATCH := --set student=watch --set quantization.epochs=4

models: .venv/.installed  ## train and export the bundles of vskd demo, after make demo
	rm -rf $(TRY)
	$(VSKD) train student --config demo --set threads=1 $(WATCH) $(CACHE) --teacher $(DEMO)/teacher --out $(TRY)/synthetic
	$(VSKD) train teacher $(SHOULDER) $(CACHE) --out $(TRY)/teacher
	$(VSKD) train student $(SHOULDER) $(WATCH) $(CACHE) --teacher $(TRY)/teacher --out $(TRY)/shoulder
	$(VSKD) export $(TRY)/synthetic $(CACHE) --small --licence Apache-2.0 --overwrite --out $(MODELS)/synthetic.bundle
	$(VSKD) export $(TRY)/shoulder $(CACHE) --small --licence Apache-2.0 --overwrite --out $(MODELS)/shoulder.bundle
	$(VSKD) data stream --config demo --subject 2 --out $(TRY)/synthetic.csv --truth $(MODELS)/synthetic.truth.csv
	$(VSKD) data stream --run $(TRY)/shoulder $(CACHE) --subject 1 --longest 8 --pause 2 3 --out $(TRY)
	gzip -n -9 -c $(TRY)/synthetic.csv > $(MODELS)/synthetic.csv.gz
	gzip -n -9 -c $(TRY)/1.csv > $(MODELS)/shoulder.csv.gz
	cp $(TRY)/1.truth.csv $(MODELS)/shoulder.truth.csv

clean:  ## remove .venv, build and dist
	rm -rf .venv build dist
