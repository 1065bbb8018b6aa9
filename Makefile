# The project's commands. `make demo` and `make test` install what they need from the distribution's packages.

SHELL := /bin/bash
.DELETE_ON_ERROR:
SECONDS ?= 600
.PHONY: help demo test accuracy fuzz bench load-ipmi load-redfish load-snmp compare-ipmi compare-libvirt compare-snmp lint fmt docs build setup clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## a simulated data centre, the real exporter and a real Prometheus; ARGS=--once ends after the table
	@tests/setup.sh demo
	@echo "demo: building the exporter (a few minutes the first time)"
	cargo build --release --locked
	target/release/wattribute demo --rules rules $(ARGS)

test: ## format, lint, unit and integration tests, rules, dashboards, docs; prints counts
	@tests/setup.sh test
	@tests/run.sh

accuracy: ## every model and the formulas of others over traces whose truth is known; writes docs/accuracy.md
	WATTRIBUTE_BLESS=1 cargo test --locked --test accuracy
	@sed -n '/^| method/,/^$$/p' docs/accuracy.md | head -18

fuzz: ## fuzz every target; SECONDS=600 each, two at a time
	fuzz/run.sh $(SECONDS)

bench: ## the figures of docs/performance.md, as this machine gives them
	cargo bench --locked --bench core --bench exposition --bench ipmi --bench snmp --bench workloads

load-ipmi: ## 10,000 simulated BMCs a second over IPMI, real exporter; ARGS="--count N --seconds N --suites 3,17 --silent 0,10,50 --json"
	cargo bench --locked --bench load -- ipmi $(ARGS)

load-redfish: ## 500 simulated BMCs a second over HTTPS, real exporter; ARGS="--count N --seconds N --json"
	cargo bench --locked --bench load -- redfish $(ARGS)

load-snmp: ## 2,000 simulated PDUs with loss and delay, 10,000 meters of two values, real exporter; ARGS="--count N --seconds N --json"
	cargo bench --locked --bench load -- snmp $(ARGS)

compare-snmp: ## CPU a PDU poll of 118 samples, here and in Debian's prometheus-snmp-exporter (apt-get install it first)
	cargo bench --locked --bench load -- compare-snmp $(ARGS)

compare-libvirt: ## CPU a read of a domain, libvirtd's included, here and in Debian's prometheus-libvirt-exporter (apt-get install it first)
	cargo bench --locked --bench load -- compare-libvirt $(ARGS)

compare-ipmi: ## CPU a reading, here and in Debian's prometheus-ipmi-exporter (apt-get install it first)
	cargo bench --locked --bench load -- compare $(ARGS)

lint: ## clippy with warnings as errors
	cargo clippy --locked --all-targets -- -D warnings

fmt: ## format the code
	cargo fmt

docs: ## regenerate what is generated: docs/metrics.md and the JSON Schemas
	WATTRIBUTE_BLESS=1 cargo test --locked --test exposition --test docs
	cargo doc --locked --no-deps

build:
	cargo build --release --locked

setup: ## only install what tests need
	@tests/setup.sh test

clean: ## remove build results and installed test peers
	cargo clean
