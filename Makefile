# Zooport. `make help` explains each target.
SHELL := /bin/bash
PORT ?= 8080
DATA ?= ./zooport-data
SECONDS_EACH ?= 600
KEEP ?= 0

.DEFAULT_GOAL := help
.PHONY: help demo test serve build setup lint format bench faults fuzz interop-cerebras package clean

help: ## Show this text.
	@echo "Zooport converts checkpoints between Hugging Face and Cerebras Model Zoo."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Install what is missing, start the service, convert a checkpoint over REST, show the result (KEEP=1: stay up).
	@KEEP="$(KEEP)" scripts/demo.sh

test: ## Install what is missing, run every check: format, builds, all suites, recorded conversions, interop, end to end.
	@scripts/test.sh

serve: build ## Run the service on PORT (8080) with its data in DATA (./zooport-data).
	.build/release/zooport serve --port "$(PORT)" --data-dir "$(DATA)"

build: setup ## Build the release binary, .build/release/zooport.
	swift build -c release --product zooport

setup: ## Install the Debian packages that building needs, if they are missing.
	@scripts/setup.sh build

lint: ## Check the format of every Swift file.
	swift format lint --strict --recursive Package.swift Sources Tests benchmarks

format: ## Format every Swift file in place.
	swift format --in-place --recursive Package.swift Sources Tests benchmarks

bench: build ## Print the figures that README quotes (needs 40 GB of disk; MODEL_ZOO names a checkout of the vendor tool).
	@scripts/setup.sh bench
	.venv/bin/python benchmarks/conversion.py $(if $(MODEL_ZOO),--model-zoo "$(MODEL_ZOO)")
	swift run -c release PlanningBenchmark
	.venv/bin/python benchmarks/load.py

faults: build ## Kill the service at 100 random moments and disturb its disk, database and clock; save 5 GiB with a browser (about six minutes).
	@scripts/setup.sh test
	ZOOPORT_KILLS=100 scripts/faults.sh -q -s Tests/Faults
	ZOOPORT_DOWNLOAD_GIB=5 .venv/bin/python -m pytest -q Tests/Page/test_large.py

fuzz: setup ## Convert 5,000 files with random shapes, then fuzz every parser for SECONDS_EACH (600); TARGETS names some.
	SHAPES=5000 scripts/fuzz.sh $(SECONDS_EACH) $(TARGETS)

interop-cerebras: build ## Compare with cerebras_pytorch 2.10.0 and, in MODEL_ZOO, the vendor's classes (MODELS, FMT choose).
	@MODEL_ZOO="$(MODEL_ZOO)" MODELS="$(MODELS)" FMT="$(FMT)" scripts/interop-cerebras.sh

package: ## Make dist/zooport_VERSION_ARCH.deb, with the Swift runtime in the binary.
	@scripts/setup.sh package
	@scripts/package.sh

clean: ## Remove everything that these targets made, but not the data of `make serve`.
	rm -rf .build .build-fuzz .build-package .venv .demo dist
