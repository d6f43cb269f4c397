"""Every metric family of the exporter: its name, kind, HELP text and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MOST_SLICES = 50  # series are bounded even where the data are not
MOST_COLUMNS = 200
MOST_CLASSES = 100
MODEL = ("model",)
SCORED = ("model", "version", "slice", "metric")
ANSWERED = ("model", "version", "answer", "metric")


@dataclass(frozen=True)
class Family:
    """``name`` as it is exposed, but for a counter's ``_total`` and an info's ``_info``, which its kind adds."""

    name: str
    kind: Literal["gauge", "counter", "info"]
    help: str
    labels: tuple[str, ...] = MODEL

    @property
    def series(self) -> str:
        return self.name + {"gauge": "", "counter": "_total", "info": "_info"}[self.kind]


_ALL = (
    Family("evermodel_monitor_up", "gauge", "1 if the model's monitor could be read, 0 if not."),
    Family("evermodel_version", "info", "The version in service.", ("model", "version", "task", "framework")),
    Family("evermodel_version_created_timestamp_seconds", "gauge", "When the version in service was created."),
    Family("evermodel_quality", "gauge", "Metric on the newest rows whose labels had time to arrive.", SCORED),
    Family("evermodel_quality_low", "gauge", "Lower end of the metric's 95 % interval.", SCORED),
    Family("evermodel_quality_high", "gauge", "Upper end of the metric's 95 % interval.", SCORED),
    Family("evermodel_quality_rows", "gauge", "Labelled rows that the metric was computed on.", SCORED),
    Family("evermodel_answer_quality", "gauge", "Metric of an answer that is not the judged one.", ANSWERED),
    Family("evermodel_answer_quality_low", "gauge", "Lower end of that metric's 95 % interval.", ANSWERED),
    Family("evermodel_answer_quality_high", "gauge", "Upper end of that metric's 95 % interval.", ANSWERED),
    Family("evermodel_answer_quality_rows", "gauge", "Labelled rows that it was computed on.", ANSWERED),
    Family("evermodel_quality_estimated", "gauge", "Metric on the newest rows, estimated without labels.", SCORED),
    Family("evermodel_quality_estimated_low", "gauge", "Lower end of the estimate's 95 % interval.", SCORED),
    Family("evermodel_quality_estimated_high", "gauge", "Upper end of the estimate's 95 % interval.", SCORED),
    Family("evermodel_quality_baseline", "gauge", "Metric at adoption or promotion.", ("model", "metric")),
    Family(
        "evermodel_confusion_rows",
        "gauge",
        "Labelled rows of the newest window by true class and predicted class.",
        ("model", "version", "truth", "predicted"),
    ),
    Family("evermodel_window_rows", "gauge", "Rows of the newest window.", ("model", "version", "slice")),
    Family("evermodel_window_labelled_rows", "gauge", "Of these, rows with a label.", ("model", "version", "slice")),
    Family(
        "evermodel_alarm_open",
        "gauge",
        "1 while the alarm is open, 0 once it has closed.",
        ("model", "alarm", "subject", "level"),
    ),
    Family(
        "evermodel_alarm_evidence",
        "gauge",
        "E-value of the open alarm: the chance of a false alarm is at most 1/x.",
        ("model", "alarm", "subject"),
    ),
    Family("evermodel_alarms_open", "gauge", "How many alarms are open.", ("model", "level")),
    Family(
        "evermodel_drift_statistic",
        "gauge",
        "Difference between the column in the newest window and in the reference rows.",
        ("model", "column", "statistic"),
    ),
    Family(
        "evermodel_drift_evidence",
        "gauge",
        "E-value against the hypothesis that the column is distributed as in the reference rows.",
        ("model", "column"),
    ),
    Family(
        "evermodel_drift_column", "info", "How much the model depends on the column.", ("model", "column", "importance")
    ),
    Family("evermodel_rows", "counter", "Rows with a prediction that were watched."),
    Family("evermodel_labels", "counter", "Labels that arrived."),
    Family("evermodel_batches", "counter", "Batches that arrived."),
    Family(
        "evermodel_duplicates", "counter", "Rows, labels or deliveries that arrived again and were not counted again."
    ),
    Family("evermodel_unmatched_labels", "counter", "Labels whose row was never watched."),
    Family("evermodel_alarms", "counter", "Alarms opened so far."),
    Family(
        "evermodel_predictions",
        "counter",
        "Rows by the class predicted (absent above 100 classes).",
        ("model", "class"),
    ),
    Family("evermodel_last_watched_timestamp_seconds", "gauge", "When the model was last watched."),
    Family("evermodel_last_row_timestamp_seconds", "gauge", "When the newest row arrived."),
    Family("evermodel_last_label_timestamp_seconds", "gauge", "When the newest label arrived."),
    Family("evermodel_label_delay_seconds", "gauge", "Median time from a row to its label."),
    Family("evermodel_batch_latency_p50_seconds", "gauge", "Median time to predict a batch."),
    Family("evermodel_batch_latency_p99_seconds", "gauge", "Time within which 99 % of the batches were predicted."),
    Family("evermodel_throughput_rows_per_second", "gauge", "Rows predicted per second while predicting."),
    Family(
        "evermodel_false_alarm_bound_ratio",
        "gauge",
        "Upper bound on the chance of any false alarm over the life of the monitor.",
    ),
    Family("evermodel_updates", "counter", "Updates by decision.", ("model", "decision")),
    Family("evermodel_promotions", "counter", "How often a version was put in service, adoption included.", MODEL),
    Family("evermodel_rollbacks", "counter", "How often a version was rolled back.", MODEL),
    Family(
        "evermodel_last_verdict_timestamp_seconds",
        "gauge",
        "When an update was last decided, by its decision.",
        ("model", "decision"),
    ),
    Family("evermodel_last_change_timestamp_seconds", "gauge", "When the version in service last changed."),
    Family("evermodel_update_seconds", "gauge", "How long the newest update's training took."),
    Family(
        "evermodel_update_gain",
        "gauge",
        "Gain of the challenger over the champion on the judged rows of the newest update.",
        ("model", "metric"),
    ),
)
FAMILIES = {family.name: family for family in _ALL}
