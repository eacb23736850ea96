# make setup          make an environment in .venv, from the package index only
# make demo           render people, train, evaluate, and write a page about it; see output/demo
# make model          train the shipped model: hours on two cores, less with DEVICE=cuda; resumes;
#                     output/synth_averaged/average.pth
# make test           lint, check types and run the tests on all cores; makes the environment if needed
# make quick          run only the tests that take less than half a second each
# make test ORDER="--random-order-seed=1"    run the tests in another order
# make test PYTHON=python    use your own environment, without installing anything into it
# make format         format the sources, and fix what the linter can
# make bench          the comparisons of benchmarks/, as a table and output/benchmarks.json
# make docs           the documentation, into docs/_build/html

VENV := .venv
PYTHON ?= $(VENV)/bin/python
TESTS ?= projects_tests
DEVICE ?= cpu
OWN := $(filter $(VENV)/bin/python,$(PYTHON))

.PHONY: setup demo model test quick lint format bench docs

setup:
	@tools/setup_environment.sh $(VENV)

demo: $(if $(OWN),setup)
	@$(PYTHON) -W ignore -m densepose_ext demo --out output/demo

model: $(if $(OWN),setup)
	@photographs="$${DETECTRON2_DATASETS:-datasets}/photographs"; \
	[ -e "$$photographs/SOURCES.tsv" ] || $(PYTHON) tools/gather_photographs.py "$$photographs" \
	  || echo "backgrounds and clothes will be drawn"
	@for part in synth synth_restart synth_averaged; do \
	  $(PYTHON) train_net.py --resume --config-file configs/densepose_rcnn_EffLite0_FPN_$$part.yaml \
	    OUTPUT_DIR output/$$part MODEL.DEVICE $(DEVICE) \
	    $(if $(filter cuda%,$(DEVICE)),DATALOADER.NUM_WORKERS 8) || exit; \
	done
	$(PYTHON) tools/average_weights.py output/synth_averaged/average.pth \
	  output/synth/model_final.pth 0.15 output/synth_restart/model_final.pth 0.35 \
	  output/synth_averaged/model_final.pth 0.5

lint: $(if $(OWN),setup)
	@if $(PYTHON) -c 'import ruff' 2>/dev/null; then \
	  $(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check .; \
	else echo "lint: skipped, ruff is not installed for $(PYTHON)"; fi
	@if $(PYTHON) -c 'import mypy' 2>/dev/null; then $(PYTHON) -m mypy; \
	else echo "types: skipped, mypy is not installed for $(PYTHON)"; fi

# Tests of a module share slow fixtures, so they stay in one process.
RUN_TESTS = $(PYTHON) -m pytest $(TESTS) $(ORDER) \
  $(shell $(PYTHON) -c 'import xdist' 2>/dev/null && printf '%s' '-n auto --dist loadscope')

test: lint
	$(RUN_TESTS)

quick: $(if $(OWN),setup)
	$(RUN_TESTS) -m 'not slow'

format: $(if $(OWN),setup)
	$(PYTHON) -m ruff check --fix . && $(PYTHON) -m ruff format .

bench: $(if $(OWN),setup)
	@$(PYTHON) benchmarks/run.py

docs: $(if $(OWN),setup)
	$(PYTHON) -W ignore -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"
