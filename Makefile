# Every target does its own set-up and can be run again.
SHELL := /bin/bash
CROSSWALK := cli/crosswalk.sh

.PHONY: help setup demo up test attacks check bench figures chaos bugs

help: ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:
	@bash infra/setup.sh

demo: setup ## the whole way, on sample data: load, stream, verify; ROWS= and SECONDS= for another size
	@$(CROSSWALK) demo $(if $(ROWS),--rows $(ROWS)) $(if $(SECONDS),--seconds $(SECONDS))

up: setup ## keep a stack running until Ctrl-C; SAMPLE=1 fills the legacy database, ROWS= for another size
	@$(CROSSWALK) up $(if $(ROWS),--rows $(ROWS))

test: setup ## lint, types and all tests, on real servers
	@bash test/run.sh

attacks: setup ## every integration test, those too that take minutes
	@CROSSWALK_LONG=1 CROSSWALK_LIMIT_SECONDS=3600 bash test/run.sh integration

check: setup ## lint and types only
	@npm run --silent check

chaos: setup ## attack the pipeline under traffic and count: MINUTES= CHANGES= FAULTS= SCHEMA= SEED= JSON=1
	@node_modules/.bin/node --max-old-space-size=6000 test/chaos/main.ts

bugs: setup ## put known mistakes back, one at a time, and see the tests catch each; ONLY= for some
	@node_modules/.bin/node test/bugs/main.ts

bench: setup ## the benchmarks: PEER=1 with Debezium beside, QUICK=1 in two minutes, ROWS= CHANGES= SECONDS= REPEAT= ONLY=
	@node_modules/.bin/node bench/main.ts $(if $(ONLY),--only $(ONLY))

figures: setup ## tables and plots of docs/performance.md (or docs/queries.md), from the latest results or RESULTS=
	@node_modules/.bin/node bench/page.ts $(RESULTS)
