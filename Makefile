# What a developer types. Each target is one line or calls the script that has the logic.

# The simulation needs no adapter, so it is built without them.
SIM := cargo run --release -p paceline-sim --features mutants --bin sim --
SEEDS := 10000

# 3: the tools of a check cannot be had here, and it has said so. That is no fault of what it looks at.
OR_LEFT_OUT := || [ $$? = 3 ]

.DEFAULT_GOAL := help
.PHONY: help build test test-fast sim sim-mutants gauntlet gauntlet-disaster cluster-smoke verify lint fmt shellcheck proto-lint deny clippy docs-lint audit stack-up stack-down \
	observe errors-page dashboards dashboards-lint dashboards-check k8s-check env compose-smoke dist clean

# A random seed of the gauntlet is printed, so that it can be run again: make gauntlet SEED=7
SEED ?=
MINUTES ?= 10
# Three nodes of each service: make gauntlet CLUSTER=1
CLUSTER ?=
# The series of RabbitMQ that tests and gauntlet run on: make gauntlet RABBITMQ=4
RABBITMQ ?=
ifneq ($(RABBITMQ),)
export PACELINE_STACK_RABBITMQ := $(RABBITMQ)
endif
GAUNTLET = cargo run -q -p paceline-gauntlet -- --binary "$${CARGO_TARGET_DIR:-target}/release/paceline" $(if $(SEED),--seed $(SEED))

help: ## show this text
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build the binary: target/release/paceline
	cargo build --release -p paceline-cli

dist: ## an archive for other machines, with checksum: target/dist; TARGET=x86_64-unknown-linux-gnu for a dynamic binary
	infra/release/dist $(TARGET)

test: ## every test, on both backends: installs and starts the real services, stops them again; RABBITMQ=4
	infra/local/test

test-fast: ## the tests that need no service: embedded backend only, no root, no Java
	cargo build --workspace --bins --tests
	cargo test --workspace

sim: ## SEEDS seeds of the simulation on two schedulers, two producers and workers; SEED=n replays one
	$(SIM) $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

sim-mutants: ## shows that the simulation catches every known mutant within 1,000 seeds
	$(SIM) --mutants --seeds 1000

verify: ## all checks, then every test; the last line names the checks whose tools cannot be had here
	infra/local/verify

gauntlet: build ## every fault on the real services while runs go on; SEED=n MINUTES=m RABBITMQ=4 CLUSTER=1; the last line is the verdict
	infra/local/stack install
	$(GAUNTLET) $(if $(CLUSTER),cluster) --minutes $(MINUTES)

cluster-smoke: build ## three nodes of each service, 1,000 jobs, a node of each dies in mid-run, and the proof; a minute or two
	infra/local/stack install
	infra/local/cluster-smoke

gauntlet-disaster: build ## data of a service is lost in mid-run, and made good again; SEED=n RABBITMQ=4
	infra/local/stack install
	$(GAUNTLET) disaster

lint: ## every check that runs nothing of Paceline: the shape of the code, and the next six
	infra/local/lint $(OR_LEFT_OUT)

fmt: ## is the code formatted?
	infra/local/lint fmt

shellcheck: ## every script
	infra/local/lint shell

proto-lint: ## .proto files: style, and breaks against proto/baseline.binpb
	infra/local/lint proto

deny: ## licences, sources and versions of the dependencies
	infra/local/lint deny

clippy: ## lints, each warning an error
	infra/local/lint clippy

docs-lint: ## rustdoc, each warning an error: broken links above all
	infra/local/lint docs

audit: ## known vulnerabilities of the dependencies; fetches the advisory database, so it needs the internet
	infra/local/lint audit

stack-up: ## start RabbitMQ, Redis and Elasticsearch here, without Docker
	@infra/local/stack up
	@echo 'Read the addresses into your shell with: eval "$$(infra/local/stack env)"' >&2

stack-down: ## stop them; the data stays
	infra/local/stack down

observe: build ## Prometheus with the rules and, where it can be built, Jaeger beside a mesh with runs; Ctrl-C stops it
	infra/local/observe up

dashboards: ## write grafana/dashboards and docs/dashboards.md from grafana/src
	infra/local/dashboards write

errors-page: ## write docs/errors.md from the table of codes
	WRITE_ERRORS_PAGE=1 cargo test -q -p paceline-cli --bin paceline the_page_is_the_table

dashboards-lint: ## dashboards and rules without running anything: JSON = source, promtool, unknown and unused metrics
	infra/local/dashboards lint $(OR_LEFT_OUT)

dashboards-check: build ## every query of every panel and rule over a real run with Prometheus, and traces in a real Jaeger
	infra/local/dashboards check

k8s-check: ## manifests for Kubernetes: schemas of Kubernetes and KEDA, own rules, and whether each rule notices what breaks it
	infra/local/k8s check $(OR_LEFT_OUT)

env: ## .env for docker compose, with secrets of your own; what is there stays
	@infra/docker/env

compose-smoke: $(if $(OFFLINE),build) ## docker-compose.yml under a run, a third worker, a stop and a kill; OFFLINE=1 needs no registry
	OFFLINE=$(OFFLINE) infra/docker/smoke

clean: ## stop the stack, delete its data and everything that was built
	infra/local/stack wipe
	cargo clean
