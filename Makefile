# make colorize: color the sample photographs, on a machine that has only Python.
# make test: install the rest (training, development) and run the tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA := $(or $(LIMNER_DATA),data)
PACKED := ../shared/data
SOURCE := $(shell find limner -name '*.py') $(wildcard limner/weights/*)
SAMPLES := $(wildcard examples/photographs/*)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: colorize test data check fix bench
.DELETE_ON_ERROR:

colorize: colorized/.done
	@echo "The colored photographs are in colorized/"

test: $(VENV)/.rest
	$(BIN)/python -m pytest

check: $(VENV)/.rest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: $(VENV)/.rest
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.rest
	@set -e; for file in benchmarks/*.py; do echo "$$file"; $(BIN)/python "$$file"; done

# The painting floor: what coloring needs, without torch.
$(VENV)/.floor: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "limner needs Python 3.11 or newer; name one with: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .
	@touch $@

# The rest: training and development.
$(VENV)/.rest: $(VENV)/.floor
	$(BIN)/pip install --quiet --editable '.[learn,dev]'
	@touch $@

colorized/.done: $(VENV)/.floor $(SAMPLES) $(SOURCE)
	$(BIN)/limner colorize examples/photographs -o colorized --overwrite
	@touch $@

ifneq ($(wildcard $(PACKED)/unpack.py),)
data: $(DATA)/.unpacked
	@echo "The data sets are in $(DATA)/"

$(DATA)/.unpacked: $(wildcard $(PACKED)/*) | $(VENV)/.floor
	@$(BIN)/python -c 'import PIL' 2>/dev/null || $(BIN)/pip install --quiet pillow
	$(BIN)/python $(PACKED)/unpack.py $(DATA)
	@touch $@
else
data:
	@echo "No packed data beside this checkout. The public sets can be had from their makers:"
	@echo "  CIFAR-10: the binary version, from Alex Krizhevsky's page 'The CIFAR-10 dataset';"
	@echo "    unpack it to $(DATA)/cifar-10-batches-bin/"
	@echo "    or let torchvision fetch it: torchvision.datasets.CIFAR10('$(DATA)', download=True)"
	@echo "  Photographs: any folder of color pictures will do: limner train RECIPE --data FOLDER"
endif
