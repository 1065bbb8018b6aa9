# The project's commands. `make demo` and `make test` install what they need from the distribution's packages.

SHELL := /bin/bash
.DELETE_ON_ERROR:
SECONDS ?= 600
.PHONY: help demo test fuzz bench lint fmt docs build setup clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## a simulated data centre, the real exporter and a real Prometheus; ARGS=--once ends after the table
	@tests/setup.sh demo
	@echo "demo: building the exporter (a few minutes the first time)"
	cargo build --release --locked
	target/release/wattribute demo --rules rules $(ARGS)

test: ## format, lint, unit and integration tests, rules, dashboards, docs; prints counts
	@tests/setup.sh test
	@tests/run.sh

fuzz: ## fuzz every target; SECONDS=600 each, two at a time
	fuzz/run.sh $(SECONDS)

bench: ## the figures of docs/performance.md, as this machine gives them
	cargo bench --locked

lint: ## clippy with warnings as errors
	cargo clippy --locked --all-targets -- -D warnings

fmt: ## format the code
	cargo fmt

docs: ## regenerate what is generated: docs/metrics.md, docs/wattribute.schema.json
	WATTRIBUTE_BLESS=1 cargo test --locked --test exposition --test docs
	cargo doc --locked --no-deps

build:
	cargo build --release --locked

setup: ## only install what tests need
	@tests/setup.sh test

clean: ## remove build results and installed test peers
	cargo clean
