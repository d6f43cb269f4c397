"""Every metric that fits a task, on one set of predictions."""

from __future__ import annotations

from evermodel.core import plugs
from evermodel.core.errors import BadSetting
from evermodel.core.framework import Task
from evermodel.core.table import Array

SHOWN: dict[Task, tuple[str, ...]] = {
    "binary": ("auc", "accuracy", "log_loss", "f1", "precision", "recall", "pr_auc", "brier", "calibration_error"),
    "multiclass": ("accuracy", "balanced_accuracy", "log_loss", "f1", "precision", "recall", "calibration_error"),
    "regression": ("r2", "mae", "rmse", "pinball"),
}


def metrics_for(task: Task) -> tuple[str, ...]:
    """The metrics shown for a task, the one that decides first; then those that others have plugged in."""
    own = [m for names in SHOWN.values() for m in names]
    others = [m for m in plugs.names("metrics") if m not in own and task in plugs.module("metrics", m).TASKS]
    return (*SHOWN[task], *others)


def ranking_metrics() -> tuple[str, ...]:
    """The metrics of rows ranked within groups."""
    return tuple(m for m in plugs.names("metrics") if "ranking" in plugs.module("metrics", m).TASKS)


def check_metric(metric: str | None, task: Task) -> None:
    """Raises NotFound or BadSetting, before anything is trained, for a metric that cannot decide this task."""
    if metric is not None and task not in plugs.module("metrics", metric).TASKS:
        raise BadSetting(f"{metric!r} is no metric of a {task} model.", f"There is: {', '.join(metrics_for(task))}.")


def scores_of(y: Array, p: Array, task: Task) -> dict[str, float]:
    """metric -> value; NaN where a metric cannot be known on these rows (AUC of one class)."""
    return {name: float(plugs.function("metrics", name)(y, p)) for name in metrics_for(task)}
