# The doors of the project. Each recipe says what it does; `make` lists them.

.PHONY: help demo test bench release tools clean

help: ## list the recipes
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## build, run the example script against the sample target, leave an HTML report
	python3 scripts/demo.py

test: ## install what is missing and run every check
	python3 scripts/check.py

bench: ## measure Drumfire beside its peers
	python3 bench/run.py

release: ## build the binary to ship, and print its size
	cargo build --locked --profile dist -p drumfire-cli
	@ls -l "$${CARGO_TARGET_DIR:-target}/dist/drumfire" | awk '{ printf "%.1f MiB  %s\n", $$5 / 1048576, $$NF }'

tools: ## install what the checks need into the user's cache folder
	python3 scripts/tools.py

clean: ## remove what was built and reported here
	cargo clean
	rm -rf reports fuzz/target fuzz/corpus fuzz/artifacts
