# Halley: build, check and run. `make help` lists the targets.
# Tools come from internal/tools/go.mod, so the module itself stays free of them.

GO    ?= go
BIN   := bin
TOOL  := $(GO) tool -modfile=internal/tools/go.mod
JS    := clients/interop/js
LISTEN ?= localhost:8080
FUZZTIME ?= 30s
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/halley
	@mkdir -p $(BIN)
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -o $(BIN)/halley ./cmd/halley

run: build ## build, serve on localhost:8080 and show how to send a message
	@echo
	@echo "A message travels, in two other terminals:"
	@echo "  $(BIN)/halley sub http://$(LISTEN)/cometd '/chat/**'"
	@echo "  $(BIN)/halley pub http://$(LISTEN)/cometd /chat/demo '{\"text\":\"hello\"}'"
	@echo
	@exec $(BIN)/halley serve --posture cometd --listen $(LISTEN) --log-format console

check: lint ## format, lint, unit tests with the race detector and the fuzz corpora; at most 3 minutes
	$(GO) vet ./...
	$(GO) test -race -timeout 3m ./...

# Tests that drive the clients which `make deps` installs have the tag interop.
test: deps ## everything: all Go tests with the race detector, the published clients included
	$(GO) test -json -race -timeout 20m -tags interop ./... | $(GO) run ./internal/testsum

deps: ## install what the tests need
	$(GO) mod download
	@if [ -f $(JS)/package-lock.json ]; then cd $(JS) && npm ci --no-audit --no-fund --loglevel=error; fi

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@set -e; grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r f; do \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$$f"); do \
			echo "== $$target in $$(dirname "$$f")"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$(dirname "$$f")" </dev/null; \
		done; \
	done

bench: ## run the benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

load: build ## 10,000 WebSocket and 2,000 long-polling clients for 60 s (Linux; 20,000 descriptors a process)
	$(GO) run ./internal/load -server $(BIN)/halley

lint: ## format check and golangci-lint
	$(TOOL) golangci-lint fmt --diff ./...
	$(TOOL) golangci-lint run ./...

fmt: ## format the code
	$(TOOL) golangci-lint fmt ./...

tools: ## build the tools of internal/tools, so that later calls are fast
	$(GO) build -modfile=internal/tools/go.mod -o /dev/null github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	$(GO) build -modfile=internal/tools/go.mod -o /dev/null mvdan.cc/gofumpt

clean: ## remove what was built
	rm -rf $(BIN)

.PHONY: help build run check test deps fuzz bench load lint fmt tools clean
