"""Ten scripts as users write them, against the public API alone. mypy checks them strictly; a test runs each.

Each runs in a folder with ``models`` (a registry that holds "churn"), ``existing_model.txt``, ``reference.csv``,
``april.csv`` and ``may.csv``.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import polars as pl

import evermodel as em

logger = logging.getLogger(__name__)


def adopt_and_update() -> None:
    """A deployed model file and new rows; the updated model is written back as a file of the same format."""
    registry = em.open("new_models")
    churn = registry.adopt("existing_model.txt", data="reference.csv", target="churned", name="churn")
    result = churn.update("april.csv")
    if result.decision is em.UpdateDecision.PROMOTE:
        churn.save("updated_model.txt")
    assert Path("updated_model.txt").exists()


def update_every_month() -> None:
    """A scheduled job: update, log the verdict, roll back by hand where the business says so."""
    churn = em.open("models")["churn"]
    for month in ("april.csv", "may.csv"):
        result: em.UpdateResult = churn.update(month, strategy="refit", settings={"window": 5_000})
        logger.info(result.headline)
        for reason in result.reasons:
            logger.info("because %s", reason)
    assert len(churn.versions) >= 2


def predict_a_frame() -> None:
    """Predictions join the frame they came from."""
    customers = pl.read_csv("april.csv").drop("churned")
    predictions: pl.DataFrame = em.open("models")["churn"].predict(customers)
    customers = customers.hstack(predictions)
    assert {"prediction", "p_1"} <= set(customers.columns)


def predict_a_file() -> None:
    """A nightly batch: from file to file."""
    written = em.open("models")["churn"].predict_file("april.csv", to="predicted.parquet")
    assert written.rows == pl.read_parquet("predicted.parquet").height


def use_the_live_object() -> None:
    """The Booster itself, fed as it was fed before it was adopted."""
    champion = em.open("models")["churn"].champion
    answers = champion.load().predict(champion.prepare("april.csv"))
    probabilities = champion.predict("april.csv")["p_1"].to_numpy()
    assert np.allclose(answers, probabilities, atol=1e-6)


def compare_versions() -> None:
    """Every version's score on the newest rows, as one frame; then the judge's word on two of them."""
    churn = em.open("models")["churn"]
    churn.update("april.csv")
    scores = pl.DataFrame(
        [{"version": v.name, "strategy": v.strategy, **v.evaluate("may.csv").scores} for v in churn.versions]
    )
    assert scores.height == 2
    verdict = churn.judge("v1", "may.csv")
    table: pl.DataFrame = verdict.scores.to_frame()
    assert table.filter(pl.col("metric") == "auc")["difference"].max() is not None


def search_hyperparameters() -> None:
    """A small search, its trials as they come, its best point at the end."""
    scores: list[float] = []
    result = em.open("models")["churn"].tune(
        "april.csv", trials=3, tuner="random", on_trial=lambda trial: scores.append(trial.score)
    )
    assert len(scores) == len(result.trials) == 3
    assert set(result.best)


def watch_in_service() -> None:
    """Deliveries of the day; open alarms as a table and to the log."""
    churn = em.open("models")["churn"]
    churn.watch("april.csv", window="200rows")
    for alarm in churn.alarms:
        logger.warning("%s of %s since %s", alarm.kind, alarm.subject, alarm.since)
    assert churn.alarms.to_frame().height == len(churn.alarms)
    assert churn.monitor.counters["predictions"] == 800


def maintain_all_models() -> None:
    """A policy a model, then one call for all; backed up and checked afterwards."""
    registry = em.open("models")
    for name in registry:
        registry[name].policy({"data": "incoming", "promote": "approve"})
    report = registry.maintain(dry_run=True)
    assert report.dry_run
    assert registry.backup("backup.tar").models == ("churn",)
    assert registry.doctor().healthy


def handle_errors() -> None:
    """Errors have classes, one sentence that says what happened, and a hint."""
    registry = em.open("models")
    try:
        registry["chrun"]
    except em.errors.NotFound as error:
        assert "churn" in error.hint
    try:
        em.update("churn", pl.DataFrame({"a": [1.0]}), registry="models")
    except em.errors.BadData as error:
        logger.error("%s", error)
    else:
        raise AssertionError("rows without a label cannot update a model")


SCRIPTS = (
    adopt_and_update,
    update_every_month,
    predict_a_frame,
    predict_a_file,
    use_the_live_object,
    compare_versions,
    search_hyperparameters,
    watch_in_service,
    maintain_all_models,
    handle_errors,
)
