"""The parts of the report: facts in words, charts, the page."""
