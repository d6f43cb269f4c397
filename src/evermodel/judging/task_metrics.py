"""Which metrics fit a task, which of them decides, and all of them on one set of predictions."""

from __future__ import annotations

from collections.abc import Mapping

from evermodel.core.arrays import Array
from evermodel.core.data.task import Task
from evermodel.core.errors import BadSetting
from evermodel.core.stats.metric import METRICS

DEFAULT_METRIC: dict[Task, str] = {
    "binary": "auc",  # it uses every row, needs no threshold, and rare positives do not hide behind the many negatives
    "multiclass": "accuracy",  # exact for few rows (McNemar), and defined where a class is missing
    "regression": "r2",  # without a unit; on the same rows it orders models as the squared error does
    "text": "token_f1",  # what people read; it counts answers that are nearly right, as exact match does not
}
# Proper scores: their paired difference has several times less noise than that of an AUC or an accuracy. R2 orders
# models on the same rows as the squared error does.
PROPER_SCORE: dict[Task, str] = {
    "binary": "log_loss",
    "multiclass": "log_loss",
    "regression": "r2",
    "text": "token_loss",
}
SHOWN: dict[Task, tuple[str, ...]] = {
    "binary": ("auc", "accuracy", "log_loss", "f1", "precision", "recall", "pr_auc", "brier", "calibration_error"),
    "multiclass": ("accuracy", "balanced_accuracy", "log_loss", "f1", "precision", "recall", "calibration_error"),
    "regression": ("r2", "mae", "rmse", "pinball"),
    "text": ("token_f1", "exact_match", "token_loss", "perplexity"),
}


def list_metrics(task: Task) -> tuple[str, ...]:
    """The metrics shown for a task, the one that decides first; then those that other packages add."""
    own = [m for names in SHOWN.values() for m in names]
    others = [name for name, module in METRICS.usable() if name not in own and task in module.TASKS]
    return (*SHOWN[task], *others)


def list_ranking_metrics() -> tuple[str, ...]:
    """The metrics of rows ranked within groups."""
    return tuple(name for name, module in METRICS.usable() if "ranking" in module.TASKS)


def choose_metrics(task: Task, metric: str | None) -> tuple[str, str | None]:
    """The primary metric and the one that guards: the proper score and the task's metric, or the user's alone."""
    if metric is not None:
        return metric, None
    primary, shown = PROPER_SCORE[task], DEFAULT_METRIC[task]
    return primary, None if primary == shown else shown


def read_margins(
    margin: float | Mapping[str, float] | None, metric: str | None, task: Task
) -> tuple[float | None, float | None]:
    """The margins of the primary and of the guarding metric, in points or percent of the loss; None is the default.

    One number is that of the metric which people look at; a mapping names metrics ("auc", "log_loss"). Raises
    BadSetting.
    """
    primary, guard = choose_metrics(task, metric)
    named: Mapping[str, float] = margin if isinstance(margin, Mapping) else {}
    if margin is not None and not isinstance(margin, Mapping):
        named = {guard or primary: margin}
    unknown = sorted(named.keys() - {primary, guard})
    if unknown:
        known = " and ".join(m for m in (guard, primary) if m is not None)
        raise BadSetting(f"No margin of {unknown[0]!r} is asked for.", f"The judge compares by {known}.")
    for name, value in named.items():
        if not (isinstance(value, (int, float)) and 0 <= value < float("inf")):
            raise BadSetting(f"The margin of {name} must be a number of 0 or more. Got {value!r}.")
    return named.get(primary), None if guard is None else named.get(guard)


def check_metric_fits(metric: str | None, task: Task) -> None:
    """Raises NotFound or BadSetting, before anything is trained, for a metric that cannot decide this task."""
    if metric is not None and task not in METRICS.load_module(metric).TASKS:
        raise BadSetting(f"{metric!r} is no metric of a {task} model.", f"There is: {', '.join(list_metrics(task))}.")


def compute_metrics(y: Array, p: Array, task: Task) -> dict[str, float]:
    """metric -> value; NaN where the rows do not determine it (AUC of one class)."""
    return {name: float(METRICS.load(name)(y, p)) for name in list_metrics(task)}
