# The doors of the project. Each recipe says what it does; `make` lists them.

.PHONY: help demo test simulate bench bench-cluster release tools clean

# Histories that `make simulate` lives, and the seed of the first.
N ?= 10000
SEED ?= 0

help: ## list the recipes
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: ## build, run the example script against the sample target, leave an HTML report
	python3 scripts/demo.py

test: ## install what is missing and run every check
	python3 scripts/check.py

simulate: ## live N histories of simulated clusters, from the seed SEED on: make simulate N=100000
	DRUMFIRE_SIMULATE=$(N) DRUMFIRE_SEED=$(SEED) cargo test --locked --release -p drumfire-cluster \
		--test simulation every_history_adds_up -- --nocapture

bench: ## measure Drumfire beside its peers
	python3 bench/run.py

bench-cluster: ## measure a coordinator with 1,000 and 10,000 simulated agents, and two agents beside one
	python3 bench/run.py cluster

release: ## build the binary to ship, and print its size
	cargo build --locked --profile dist -p drumfire-cli
	@ls -l "$${CARGO_TARGET_DIR:-target}/dist/drumfire" | awk '{ printf "%.1f MiB  %s\n", $$5 / 1048576, $$NF }'

tools: ## install what the checks need into the user's cache folder
	python3 scripts/tools.py

clean: ## remove what was built and reported here
	cargo clean
	rm -rf reports fuzz/target fuzz/corpus fuzz/artifacts
