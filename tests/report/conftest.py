"""Stores with one adopted and one judged version each, their numbers from the judge itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from evermodel.core.contract import Column, Contract
from evermodel.core.figures import figures
from evermodel.core.judgement import PairedRows, PairedScores
from evermodel.core.judging import judge
from evermodel.core.profile import profile
from evermodel.core.store import Card, Move
from evermodel.core.table import Roles
from evermodel.loop.home import event
from evermodel.loop.results import Candidate, Updated, plain
from evermodel.loop.scoring import scores_of
from evermodel.loop.showing import shown_scores
from evermodel.stores.sql import sql

AT = "2026-03-01T12:30:00+00:00"
KINDS = {"promote": "promoted", "hold": "held", "reject": "rejected", "invalid": "set aside"}


def pair_of(task, *, gain=0.6, n=500, k=2, seed=0, slices=None):
    """Both models' predictions for made rows; ``gain`` is how much nearer to the truth the challenger is."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        y = rng.gamma(2.0, 60.0, n)
        both = [y + rng.normal(0, s, n) * np.sqrt(y + 1) for s in (4.0, 4.0 - 3 * gain)]
        trivial = np.full(n, y.mean())
    else:
        y = rng.choice(k, n, p=np.linspace(2, 1, k) / np.linspace(2, 1, k).sum())
        both = []
        for s in (1.0, 1.0 + gain):
            z = rng.normal(0, 1, (n, k))
            z[np.arange(n), y] += s * (1.2 if k == 2 else 3.0)
            both.append(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))
        trivial = np.tile(np.bincount(y, minlength=k) / n, (n, 1))
    masks = {name: rng.random(n) < 0.2 for name in slices or ()}
    metric = {"binary": "auc", "multiclass": "accuracy", "regression": "r2"}[task]
    past = PairedRows(y[:200], both[0][:200], both[1][:200])
    return PairedScores(task, metric, PairedRows(y, *both, slices=masks), past, trivial=trivial)


def columns(name="age"):
    return (
        Column(name, "number", "Int64", low=18.0, high=95.0, median=39.0),
        Column("job", "category", "String", ("a", "b")),
    )


def frames(name, n=500):
    rng = np.random.default_rng(1)
    jobs = [["a"] * n, ["a" if v < 0.3 else "b" for v in rng.random(n)]]
    return [
        pl.LazyFrame({name: rng.normal(40 + 6 * i, 10, n), "job": jobs[i], "label": rng.normal(i, 1, n)})
        for i in (0, 1)
    ]


def updated(scores, verdict, hostile):
    """What ``update`` returns, as the card keeps it."""
    c = shown_scores(scores)
    main = c["new"][scores.metric]
    tried = (Candidate("none", {}, main.champion, 0.0), Candidate("recalibrate", {}, float("nan"), 0.1, note=hostile),
             Candidate("last value seen", {}, main.challenger + 0.01, 0.0),
             Candidate("refit", {"half_life": 2.0}, main.challenger, 12.5, chosen=True))  # fmt: skip
    cleaning = {"rows": 4000, "rows_read": 4010, "dropped": {"unusable label": 7, hostile: 3},
                "columns": [{"column": hostile, "converted": 12, "missing": 3}], "notes": [f"{hostile}: noted"],
                "classes": {hostile: 1500, "other": 2500}}  # fmt: skip
    found = [{"kind": "categories", "column": hostile, "action": "migrate", "text": f"New in {hostile}.", "facts": {}}]
    return Updated(
        name="m", decision=verdict.decision, champion="v1", challenger="v2", change="refit",
        settings={"half_life": 2.0},
        metric=scores.metric, scores=c, reasons=tuple(r.text for r in verdict.reasons), rows_needed=verdict.rows_needed,
        candidates=tried, data={"rows": 4000, "judged": 500, "kept": 9000, "known_before": 3, "cleaning": cleaning,
                                "differences": found}, training_seconds=13.0, finished=True,
    )  # fmt: skip


def put(store, card, contract):
    staged = store.stage()
    (staged / "contract.json").write_text(contract.to_json())
    return store.put(staged, card)


@pytest.fixture
def make(tmp_path):
    """make(task, decision=None, …) -> home: v1 adopted and, unless ``alone``, v2 judged."""

    def made(
        task="binary", *, decision=None, k=2, gain=0.6, n=500, hostile="age", labels=None, alone=False, scores=None
    ):
        home = tmp_path / f"home{len(list(tmp_path.iterdir()))}"
        store = sql(home)
        labels = labels or tuple(range(k if task != "regression" else 0))
        contract = Contract(task, Roles(target="label"), columns(hostile), labels)
        was, now = (profile(f, contract) for f in frames(hostile))
        scores = scores or pair_of(task, gain=gain, k=k, n=n, slices=[f"{hostile}=1", "job=b"])
        reference = scores_of(scores.past.y, scores.past.champion, task)
        tried = [
            {"scaling": "standard", "encoding": hostile, "skill": 0.41},
            {"scaling": "none", "encoding": "x", "skill": 0.1},
        ]
        first = put(store, Card("m", "", framework="sklearn", created=AT, scores={"reference": plain(reference)},
                    packages={"numpy": "2.0"}, data={"reference": hostile},
                    facts={"profile": was, "tried": tried, "source": "m.h5"}), contract)  # fmt: skip
        store.point("m", [Move("champion", "v1", None)], [event("m", "adopted", {"version": "v1", "notes": [hostile]})])
        assert first.version == "v1"
        if alone:
            return home
        verdict = judge(scores)
        if decision:
            verdict = dataclasses.replace(verdict, decision=decision, rows_needed=5400 if decision == "hold" else None)
        curve = [{"number": i, "loss": 1 / i, "score": 1 - 1 / i, "validation_loss": 1.2 / i if i != 3 else None,
                  "validation_score": 1 - 1.3 / i, "seconds": 1.0} for i in range(1, 9)]  # fmt: skip
        result = updated(scores, verdict, hostile)
        put(store, Card("m", "", ("v1",), "refit", {"half_life": 2.0, "note": hostile}, 0, "sklearn", AT,
            {"new": "0" * 64},
            plain(result.scores), plain(dataclasses.asdict(verdict)), curve, {"numpy": "2.0"},
            facts={"result": plain(result), "profile": now, "figures": figures(scores, labels), "finished": True}),
            contract)  # fmt: skip
        moves = [Move("champion", "v2", "v1")] if verdict.decision == "promote" else []
        store.point("m", moves, [event("m", KINDS[verdict.decision], {"version": "v2"})])
        return home

    return made
