VENV ?= .venv
PYTHON ?= python3

.PHONY: demo monitoring-up test setup lock clean

demo: setup  ## the main job on a real stream; the last line says where the report is
	$(VENV)/bin/evermodel demo

monitoring-up: setup  ## Prometheus, Pushgateway, Alertmanager, Nagios and the exporter, with a drifting stream flowing; Ctrl-C ends it
	sh scripts/parts
	$(VENV)/bin/python -W ignore scripts/monitoring_up.py

test: setup  ## style, types, floors, tests, doctests, coverage
	sh scripts/parts
	sh scripts/test $(VENV)

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml scripts/install
	sh scripts/install $(PYTHON) $(VENV)
	touch $@

lock: setup
	sh scripts/lock

clean:
	rm -rf $(VENV) build dist
