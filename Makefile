# Each target calls one script of bin/, which does its own set-up.
# Options go through ARGS: make test ARGS="-k registration -x"
.DEFAULT_GOAL := help
.PHONY: help run test check bench demo torture fuzz protos lock

help: ## Say what can be done here
	@echo "make <target> [ARGS=\"...\"]"
	@sed -n 's/^\([a-z]*\): ## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

run: ## Serve the gateway: PoWeb on 8080, PoHTTP on 8081, CogRPC on 8082, console on 8000
	@bin/run $(ARGS)

demo: ## Send parcels between simulated devices and the Internet, online and by courier, and show each step
	@bin/demo $(ARGS)

test: ## Run the whole test suite and hold its coverage
	@bin/test $(ARGS)

check: ## Check style, types, the direction of imports and migrations
	@bin/check $(ARGS)

torture: ## Kill the gateway at random instants, and count what was lost
	@bin/torture $(ARGS)

fuzz: ## Fuzz every decoder
	@bin/fuzz $(ARGS)

bench: ## Measure against the figures to reach
	@bin/bench $(ARGS)

protos: ## Generate the messages of CogRPC from protos/
	@bin/protos $(ARGS)

lock: ## Remake the lock files from pyproject.toml
	@bin/lock $(ARGS)
