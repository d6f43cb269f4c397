"""Stores with one adopted and one judged version each, their numbers from the judge itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from evermodel.core.contracts.column_profile import profile_columns
from evermodel.core.data.contract import Column, Contract
from evermodel.core.records.adoption_record import AdoptionRecord, TriedInput
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.data_summary import CleaningSummary, ColumnCleaning, ContractDifference, DataSummary
from evermodel.core.records.event import Adopted, Decided, EventKind
from evermodel.core.records.learning_curve import Epoch
from evermodel.core.records.update_decision import EVENT_KINDS, UpdateDecision
from evermodel.core.records.update_record import Candidate, UpdateRecord
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Move
from evermodel.judging.diagnostics import compute_figures
from evermodel.judging.judge import judge
from evermodel.judging.judge_input import JudgeInput, PairedPredictions
from evermodel.judging.task_metrics import compute_metrics
from evermodel.judging.verdict_wording import describe_reason
from evermodel.plugins.stores.sql import sql
from evermodel.registry.lookup import event
from evermodel.registry.score_table import build_score_table
from evermodel.registry.update_result import UpdateResult

AT = "2026-03-01T12:30:00+00:00"


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
    past = PairedPredictions(y[:200], both[0][:200], both[1][:200])
    return JudgeInput(task, metric, PairedPredictions(y, *both, slices=masks), past, trivial_predictions=trivial)


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
    c = build_score_table(scores)
    main = c["new"][scores.metric]
    tried = (
        Candidate("none", {}, main.champion, 0.0),
        Candidate("recalibrate", {}, float("nan"), 0.1, note=hostile),
        Candidate("last value seen", {}, main.challenger + 0.01, 0.0),
        Candidate("refit", {"half_life": 2.0}, main.challenger, 12.5, chosen=True),
    )
    cleaning = CleaningSummary(
        4000,
        4010,
        {"unusable label": 7, hostile: 3},
        (ColumnCleaning(hostile, converted=12, missing=3),),
        (f"{hostile}: noted",),
        {hostile: 1500, "other": 2500},
    )
    differences = (ContractDifference("categories", hostile, "migrate", f"New in {hostile}."),)
    return UpdateResult(
        name="m",
        decision=verdict.decision,
        champion="v1",
        challenger="v2",
        strategy="refit",
        settings={"half_life": 2.0},
        metric=scores.metric,
        scores=c,
        reasons=tuple(map(describe_reason, verdict.reasons)),
        rows_needed=verdict.rows_needed,
        candidates=tried,
        data=DataSummary("april.csv", 4000, 500, 3, 9000, cleaning, differences),
        training_seconds=13.0,
        refit=True,
    )


def put(store, card, contract):
    staged = store.staging_folder()
    (staged / "contract.json").write_text(contract.to_json())
    return store.add_version(staged, card)


@pytest.fixture
def make(tmp_path):
    """make(task, decision=None, …) -> registry: v1 adopted and, unless ``alone``, v2 judged."""

    def made(
        task="binary", *, decision=None, k=2, gain=0.6, n=500, hostile="age", labels=None, alone=False, scores=None
    ):
        registry = tmp_path / f"registry{len(list(tmp_path.iterdir()))}"
        store = sql(registry)
        labels = labels or tuple(range(k if task != "regression" else 0))
        contract = Contract(task, Roles(target="label"), columns(hostile), labels)
        was, now = (profile_columns(f, contract) for f in frames(hostile))
        scores = scores or pair_of(task, gain=gain, k=k, n=n, slices=[f"{hostile}=1", "job=b"])
        reference = compute_metrics(scores.past.y, scores.past.champion, task)
        tried = (TriedInput("standard", hostile, 0.41), TriedInput("none", "x", 0.1))
        first = put(
            store,
            VersionCard(
                "m",
                "",
                framework="sklearn",
                created=AT,
                packages={"numpy": "2.0"},
                data={"reference": hostile},
                source="m.h5",
                adoption=AdoptionRecord(reference, tried=tried),
                profile=was,
            ),
            contract,
        )
        store.commit_moves(
            "m", [Move("champion", "v1", None)], [event("m", EventKind.ADOPTED, Adopted("v1", notes=(hostile,)))]
        )
        assert first.version == "v1"
        if alone:
            return registry
        verdict = judge(scores)
        if decision:
            verdict = dataclasses.replace(verdict, decision=decision, rows_needed=5400 if decision == "hold" else None)
        curve = tuple(
            Epoch(i, 1 / i, 1 - 1 / i, 1.2 / i if i != 3 else None, 1 - 1.3 / i, seconds=1.0) for i in range(1, 9)
        )
        result = updated(scores, verdict, hostile)
        put(
            store,
            VersionCard(
                "m",
                "",
                ("v1",),
                "refit",
                {"half_life": 2.0, "note": hostile},
                0,
                "sklearn",
                AT,
                {"new": "0" * 64},
                {"numpy": "2.0"},
                update=UpdateRecord(
                    scores.metric,
                    verdict,
                    UpdateDecision(verdict.decision),
                    scores={rows: dict(by_metric) for rows, by_metric in result.scores.items()},
                    candidates=result.candidates,
                    data=result.data,
                    refit=True,
                    training_seconds=result.training_seconds,
                    curve=curve,
                    figures=compute_figures(scores, labels),
                ),
                profile=now,
            ),
            contract,
        )
        moves = [Move("champion", "v2", "v1")] if verdict.decision == "promote" else []
        store.commit_moves("m", moves, [event("m", EVENT_KINDS[UpdateDecision(verdict.decision)], Decided("v2", "v1"))])
        return registry

    return made
