# Halley: build, check and run. `make help` lists the targets.
# Tools come from internal/tools/go.mod, so the module itself stays free of them.

GO    ?= go
BIN   := bin
TOOL  := $(GO) tool -modfile=internal/tools/go.mod
JS    := clients/interop/js
BROWSER := clients/interop/browser
NPM   := node_modules/.package-lock.json
DEMO  := internal/demo
CLIENT := $(DEMO)/assets/vendor/cometd/cometd.js
PYTHON := clients/interop/python
JAVA  := clients/interop/java
PEERS := internal/peers
PEBBLE := build/pebble/pebble
# The proxies of docs/recipes; Debian starts no service while this file says so.
NGINX_STREAM := /usr/lib/nginx/modules/ngx_stream_module.so
POLICY := /usr/sbin/policy-rc.d
LISTEN ?= localhost:8080
FUZZTIME ?= 30s
SOAK ?= 30m
CASE ?= ws-fanout-20k
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z%-]*:.*## /{printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: client ## build bin/halley, with the demo where npm is there
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -o $(BIN)/halley ./cmd/halley

run: build ## build, serve the demo on localhost:8080 and show how to send a message
	@echo
	@echo "A message travels, in two other terminals:"
	@echo "  $(BIN)/halley sub http://$(LISTEN)/cometd /demo/chat"
	@echo "  $(BIN)/halley pub http://$(LISTEN)/cometd /demo/chat '{\"text\":\"hello\"}'"
	@echo "The demo page, best in two windows: http://$(LISTEN)/"
	@echo
	@exec $(BIN)/halley serve --demo --posture cometd --listen $(LISTEN) --log-format console

# The demo page runs on the published CometD client. Without npm, or without a
# network, the program builds as well, and its page says what is missing.
client:
	@if [ $(CLIENT) -nt $(DEMO)/package-lock.json ]; then :; \
	elif ! command -v npm >/dev/null; then echo "npm is missing: the program is built without the demo page" >&2; \
	else $(MAKE) --no-print-directory $(CLIENT) || echo "npm failed: the program is built without the demo page" >&2; fi

$(CLIENT): $(DEMO)/package-lock.json
	cd $(DEMO) && npm ci --no-audit --no-fund --loglevel=error
	@mkdir -p $(@D) && cp $(DEMO)/node_modules/cometd/*.js $(DEMO)/node_modules/cometd/LICENSE $(@D)/ && touch $@

check: lint ## format, lint, unit tests with the race detector and the fuzz corpora; at most 3 minutes
	$(GO) vet ./...
	$(GO) test -race -short -timeout 3m ./...
	@$(MAKE) garbage

# Tests that drive the clients which `make deps` installs have the tag interop.
test: deps ## everything: all Go tests with the race detector, the published clients included
	$(GO) test -json -race -timeout 20m -tags interop ./... | $(GO) run ./internal/testsum
	@$(MAKE) garbage

garbage: ## what operations allocate, against budgets and stored figures; half a minute
	$(GO) test -run 'Alloc|Budget' ./bayeux/...
	$(GO) run ./internal/baselines -check

interop: deps ## every published client through every scenario; writes docs/COMPATIBILITY.md and its table in README.md; at most 25 minutes
	@rm -rf build/interop && mkdir -p build/interop
	@rc=0; \
	HALLEY_INTEROP=full HALLEY_INTEROP_RESULTS=$(CURDIR)/build/interop \
		$(GO) test -json -count=1 -timeout 40m -tags interop ./clients/interop/... | $(GO) run ./internal/testsum || rc=$$?; \
	$(GO) run ./clients/interop/compat build/interop >build/COMPATIBILITY.md && mv build/COMPATIBILITY.md docs/ || rc=1; \
	$(GO) test ./internal/readme -update || rc=1; \
	exit $$rc

# What a recipe ends with that has put the missing ones into packages.
define install
if [ -n "$$packages" ]; then \
		if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
			if [ ! -e $(POLICY) ]; then trap 'rm -f $(POLICY)' EXIT; \
				printf '#!/bin/sh\nexit 101\n' >$(POLICY); chmod 755 $(POLICY); fi; \
			apt-get update -q && apt-get install -qy --no-install-recommends $$packages; \
		else echo "missing programs: install the packages$$packages" >&2; exit 1; fi; fi
endef

deps: $(CLIENT) $(JS)/$(NPM) $(BROWSER)/$(NPM) $(PYTHON)/.venv/installed $(JAVA)/target/installed $(PEBBLE) ## install what the tests need
	$(GO) mod download
	@missing=; for program in chromium zsh fish groff mandoc script nginx haproxy apache2; do \
		PATH="$$PATH:/usr/sbin" command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	[ -e $(NGINX_STREAM) ] || missing="$$missing libnginx-mod-stream"; \
	packages=$${missing/script/bsdutils}; \
	$(install)

# npm writes this file when all is there.
$(JS)/$(NPM) $(BROWSER)/$(NPM): %/$(NPM): %/package-lock.json
	cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PYTHON)/.venv/installed: $(PYTHON)/requirements.txt
	python3 -m venv $(PYTHON)/.venv
	$(PYTHON)/.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(JAVA)/target/installed: $(shell find $(JAVA) -name pom.xml -o -name '*.java')
	cd $(JAVA) && mvn -q -B package
	@mkdir -p $(@D) && touch $@

# Let's Encrypt's ACME server for tests, from a module of its own.
$(PEBBLE): internal/tools/pebble/go.mod
	cd $(<D) && $(GO) build -o $(CURDIR)/$(@D)/ tool
	@touch $@

# Servers of other makers, and ours, for comparisons: internal/peers.
peers-deps: $(PEERS)/java/target/installed $(PEERS)/js/node_modules/installed $(PEERS)/rust/target/installed peer-targets ## install the peer servers

# What only benchmarks need: go build knows what is up to date.
peer-targets:
	@mkdir -p build/peers
	CGO_ENABLED=0 $(GO) build -o build/peers/floor ./$(PEERS)/floors/floor
	cd $(PEERS)/gws && CGO_ENABLED=0 $(GO) build -o $(CURDIR)/build/peers/gws .
	cd $(PEERS)/centrifuge && CGO_ENABLED=0 $(GO) build -o $(CURDIR)/build/peers/centrifuge .

$(PEERS)/java/target/installed: $(shell find $(PEERS)/java -name pom.xml -o -name '*.java')
	cd $(PEERS)/java && mvn -q -B package
	@mkdir -p $(@D) && touch $@

$(PEERS)/js/node_modules/installed: $(PEERS)/js/package-lock.json
	cd $(PEERS)/js && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PEERS)/rust/target/installed: $(wildcard $(PEERS)/rust/Cargo.* $(PEERS)/rust/src/*.rs)
	cd $(PEERS)/rust && cargo build --quiet --release --locked
	@touch $@

# Servers of other makers started in every way, over every transport and with
# every fixture; make test leaves them out.
peers-test: deps peers-deps ## the tests of the peer servers, and what CometD's clients say to one and to ours
	$(GO) test -race -timeout 10m -tags peers ./$(PEERS)/...
	cd $(PEERS)/gws && $(GO) test -race ./...
	cd $(PEERS)/centrifuge && $(GO) test -race ./...
	$(GO) test -race -timeout 10m -tags 'interop peers' -run TestChatPeers ./clients/interop

transcripts: deps $(PEERS)/java/target/installed ## record what CometD 8 and its clients say in the chat of docs/FIXTURES.md
	$(GO) test -count=1 -timeout 10m -tags 'interop peers' -run TestChatPeers ./clients/interop -update

peer-cometd8 peer-cometd7: $(PEERS)/java/target/installed
peer-cometd-nodejs peer-faye: $(PEERS)/js/node_modules/installed
peer-axum: $(PEERS)/rust/target/installed
peer-floor-ws peer-floor-http peer-gws peer-centrifuge: peer-targets

peer-%: ## run a peer: make peer-cometd8 ARGS="8081 timeout=5000"; the others: halley, cometd7, cometd-nodejs, faye, axum, floor-ws, floor-http, gws, centrifuge
	@mkdir -p $(BIN) && $(GO) build -o $(BIN)/peer ./$(PEERS)/run
	@exec $(BIN)/peer $* $(ARGS)

conformance: build ## the conformance suite against Halley, as a process and in-process
	$(GO) test -count=1 -run 'TestHalley' ./internal/cli/conform
	$(GO) run ./internal/matrix -out build/conformance halley

conformance-peers: peers-deps ## the suite against Halley and other makers' servers; writes docs/CONFORMANCE.md
	$(GO) run ./internal/matrix -out build/conformance -doc docs/CONFORMANCE.md

conformance-repeat: build peers-deps ## 20 runs against Halley and CometD beside busy processes: the same verdicts each time; 45 minutes
	$(GO) run ./internal/matrix -repeat 20 halley cometd8

conformance-mutants: ## would the suite notice? it meets 440 servers with one fault each; writes docs/MUTATION.md; about an hour
	$(GO) run ./internal/mutants -out build/mutants.json -doc docs/MUTATION.md

conformance-clients: deps ## the client mode against published clients and ours; writes docs/CONFORMANCE_CLIENTS.md
	$(GO) run ./internal/clientmatrix -out build/conformance-clients -doc docs/CONFORMANCE_CLIENTS.md

attack: ## the attack suite: what is tried against push servers, in both postures; a minute
	$(GO) test -count=1 -timeout 5m ./internal/attacks

# Tests of what networks do, at the times that they take, have the tag networks.
networks: deps networks-deps ## halley doctor through the hostile proxy, nginx, HAProxy, Apache, Varnish and Squid, in full: each limit within a fifth, and 20 runs where there is none; 5 minutes
	$(GO) test -count=1 -timeout 10m -tags networks -run Networks ./internal/cli/doctor ./internal/hostileproxy

networks-deps:
	@packages=; for program in varnishd/varnish squid/squid; do \
		PATH="$$PATH:/usr/sbin" command -v $${program%/*} >/dev/null || packages="$$packages $${program#*/}"; done; \
	$(install)

# Stock clients behind networks that break push; mostly they wait.
networks-clients: build deps ## npm's, Java's and Chromium's CometD clients behind cuts, caps, black holes and noise: Halley within the bounds of docs/NETWORKS.md; 45 minutes (Linux); ARGS="-scenarios cut,cap"
	$(GO) run ./clients/interop/networks -program $(BIN)/halley -done halley $(ARGS)

networks-peers: build deps peers-deps ## the same beside CometD 8, cometd-nodejs-server and Faye, as tables on stdout; at most 4 hours, an hour with ARGS="-scenarios cut,cap,blackhole,store" (Linux)
	@$(GO) run ./clients/interop/networks -program $(BIN)/halley -servers halley,cometd8,cometd-nodejs,faye -table $(ARGS)

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@set -e; grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r f; do \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$f"); do \
			echo "== $$target in $$(dirname "$$f")"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$(dirname "$$f")" </dev/null; \
		done; \
	done

bench: build peer-targets ## measure Halley in all cases, server and generator on a processor each, 10 minutes on a quiet machine (Linux); ARGS="-case ws-fanout-20k -runs 3"
	$(GO) run ./internal/benchpeers -subject halley -runs 1 -build=false $(ARGS)

bench-go: ## run the Go benchmarks and compare them with the stored figures
	$(GO) run ./internal/baselines -compare

bench-baseline: ## store the figures of the Go benchmarks
	$(GO) run ./internal/baselines -renew

bench-peers: build peers-deps ## ours beside other servers and beside what the kernel costs, on a quiet machine; writes docs/PERFORMANCE.md; at most 150 minutes, in parts with ARGS="-part 20m" (Linux)
	$(GO) run ./internal/benchpeers -doc docs/PERFORMANCE.md $(ARGS)

scale: build ## 96,000 real sessions over six processes of the server beside 16,000 of one; 4 minutes (Linux); docs/PERFORMANCE.md reads it
	$(GO) run ./internal/scale/show -program $(BIN)/halley

profile: build ## what the server does under one load (CASE=ws-fanout-20k, of internal/benchpeers): CPU, allocations, heap, locks, for go tool pprof and as text, in build/profile (Linux)
	CGO_ENABLED=0 $(GO) build -trimpath -tags pprof -o build/profile/halley ./cmd/halley
	$(GO) run ./internal/benchpeers -case $(CASE) -subject halley -runs 1 -build=false -profile build/profile
	@head -30 build/profile/cpu.txt

million: routing ## a million sessions in one process over connections in memory: what they weigh and cost; 7 minutes, 4 GB; docs/PERFORMANCE.md reads it
	$(GO) test -run '^$$' -bench '^BenchmarkMillion$$' -benchtime 1x -timeout 30m ./bayeux/server \
		-sessions 1000000 -rest 4m -million $(CURDIR)/$(BIN)/bench/million.json

routing: ## what the router does for a publish, up to 1,000,000 channels; a minute
	@mkdir -p $(BIN)/bench
	$(GO) test -run '^$$' -bench '^BenchmarkRoute$$' -benchmem -count 3 ./bayeux/internal/router | tee $(BIN)/bench/routing.txt

load: build ## 10,000 WebSocket and 2,000 long-polling clients for 60 s (Linux; 20,000 descriptors a process)
	$(GO) run ./internal/load -server $(BIN)/halley

soak: build ## 30 minutes (SOAK=30m) of clients that come and go in all ways; memory, goroutines and descriptors must stay as they are (Linux)
	@mkdir -p build
	$(GO) run ./internal/load -soak -server $(BIN)/halley -for $(SOAK) -json build/soak.json

slow: build ## what 50 stalled of 1,000 subscribers cost the others, under each slow-consumer policy; 15 minutes on a quiet machine (Linux)
	$(GO) run ./internal/load -slow -server $(BIN)/halley -write docs/SLOW_CONSUMERS.md

docs: ## write the tables of the documents and the golden files from the code
	$(GO) test ./internal/cli/serve -update
	$(GO) test ./internal/cli/explain -update
	$(GO) test ./internal/cli -update
	$(GO) test ./internal/bench -run TestReport -update
	$(GO) test ./internal/readme -update
	$(GO) test ./internal/migration -update
	$(GO) test ./internal/attacks -short -run TestDocument -update

release: ## build the release of the last commit into dist/
	$(GO) run ./internal/release -out dist

release-check: ## the same twice, in different surroundings, and compare; 3 to 10 minutes
	$(GO) run ./internal/release -out dist -check

lint: ## format check and golangci-lint
	$(TOOL) golangci-lint fmt --diff ./...
	$(TOOL) golangci-lint run ./...

fmt: ## format the code
	$(TOOL) golangci-lint fmt ./...

tools: ## build the tools of internal/tools, so that later calls are fast
	$(GO) build -modfile=internal/tools/go.mod -o /dev/null github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	$(GO) build -modfile=internal/tools/go.mod -o /dev/null mvdan.cc/gofumpt

clean: ## remove what was built
	rm -rf $(BIN) dist

.PHONY: help build run client check test interop networks networks-deps networks-clients networks-peers conformance conformance-peers conformance-clients conformance-mutants conformance-repeat deps peers-deps peer-targets peers-test transcripts attack fuzz bench bench-go bench-baseline garbage bench-peers profile million scale routing load soak slow docs release release-check lint fmt tools clean
