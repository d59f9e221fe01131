# make          builds bin/hactl
# make demo     a load balancer and a control plane on this machine
# make test     everything that must pass; make unit is its fast part
SHELL := /bin/bash
.DEFAULT_GOAL := build
.PHONY: build unit verify e2e test demo demo-down bench chaos soak golden help

GO      ?= go
LDFLAGS := -s -w
# Without the pages on which gRPC shows its calls; hactl serves none.
TAGS    := grpcnotrace
TOOL    := $(GO) tool -modfile=e2e/toolchain/go.mod
LOGS    := $(CURDIR)/logs
PAIRS   ?= 5
FAULTS  ?= 200
SEED    ?= 1
# The packages whose tests need the lab, or what it builds.
LAB_TESTS := ./e2e/... ./config/kubeadm/...
SOURCES := ./app/... ./certs/... ./cmd/... ./config/... ./etcd/... ./phases/... ./templates/... ./e2e/...

help: ## these lines
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## bin/hactl
	@CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/hactl ./cmd/hactl

# What the linker prints is kept under the name of the compiled main package,
# and go build shows it again: so that package is compiled in its own way here.
verify: ## format, vet, staticcheck, go.mod, no dead weight
	@out=$$(gofmt -l app certs cmd config etcd phases templates e2e); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	@echo "vet";         $(GO) vet $(SOURCES)
	@echo "vet e2e";     $(GO) vet -tags e2e,soak ./e2e/... ./phases/...
	@echo "staticcheck"; $(TOOL) staticcheck -tags e2e,soak $(SOURCES)
	@echo "go.mod";      $(GO) mod tidy -diff
	@echo "lean";        if CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -gcflags=-N -ldflags -dumpdep -o /dev/null ./cmd/hactl 2>&1 | grep -m3 '<ReflectMethod>'; then \
		echo "methods are called by name, so the linker keeps all of them; see templates/form"; exit 1; fi

unit: ## unit tests with the race detector, under a minute when warm
	@$(GO) test -race $(SOURCES)

e2e: build ## end-to-end tests on real nodes; needs root on Linux
	@mkdir -p $(LOGS)
	@export HACTL_KUBEADM=$$($(GO) run ./e2e/lab build --kubeadm) && \
	$(TOOL) gotestsum --format testname --jsonfile $(LOGS)/e2e.json -- -tags e2e -count=1 -timeout 60m -p 1 $(LAB_TESTS)
	@echo "slowest tests:"; $(TOOL) gotestsum tool slowest --num 10 --jsonfile $(LOGS)/e2e.json

test: verify unit e2e ## everything that must pass

demo: build ## a load balancer and a control plane on this machine
	@$(GO) run ./e2e/demo

bench: build ## hactl and kubeadm measured side by side, on an idle machine
	@CGO_ENABLED=0 $(GO) run ./e2e/bench --pairs $(PAIRS) --raw $(LOGS)/bench.json --timeline $(LOGS)/timeline.json --report docs/benchmarks.md
	@$(GO) -C e2e/timeline run . $(LOGS)/timeline.json $(CURDIR)/docs/benchmarks.svg

chaos: build ## FAULTS=200 faults, chosen by SEED=1, in real clusters under load
	@CGO_ENABLED=0 $(GO) run ./e2e/chaos --seed $(SEED) --faults $(FAULTS) --log $(LOGS)/chaos.jsonl --logs $(LOGS)/chaos --report docs/reliability.md

soak: build ## long repetitions
	@export HACTL_KUBEADM=$$($(GO) run ./e2e/lab build --kubeadm) && HACTL_SOAK=1 $(GO) test -tags e2e,soak -count=1 -timeout 170m -p 1 -v ./e2e/...

golden: ## write the golden files anew
	@$(GO) test $$(grep -rl 'goldentest\.Check(' --include='*_test.go' app certs cmd config etcd phases templates e2e | xargs -n1 dirname | sort -u | sed 's|^|./|') -update
