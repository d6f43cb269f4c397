"""Grafana's dashboards: all models, one model, data drift; updates, verdicts and alarms as annotations on each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from evermodel.integrations.config.panels import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    RED,
    band,
    lines,
    number,
    source,
    states,
    table,
    variable,
)

ALARM_COLOURS = ((None, GREEN), (1.0, RED))
# The time of a verdict is the value of its series, so that it is drawn when it was reached, not when it was scraped.
VERDICTS = {
    "promote": ("promoted", GREEN),
    "hold": ("held", BLUE),
    "reject": ("rejected", ORANGE),
    "invalid": ("not judged", PURPLE),
}


def dashboards() -> Mapping[str, str]:
    """File name -> the dashboard as JSON."""
    boards = {"models": _all_models_board(), "model": _one_model_board(), "drift": _drift_board()}
    return {f"evermodel-{name}.json": _as_json(board) for name, board in boards.items()}


def _as_json(board: Any) -> str:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    verdicts = {f"update {word}" for word, _ in VERDICTS.values()}
    document = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    for query in document["annotations"]["list"]:  # fields of the Prometheus plugin, which the SDK does not model
        query |= {
            "titleFormat": query["name"],
            "textFormat": "{{model}} {{alarm}} {{subject}}",
            "step": "15s",
            "useValueForTime": query["name"] in verdicts,
        }
    return json.dumps(document, indent=1) + "\n"


def _board(title: str, uid: str, description: str, models: str) -> Any:
    from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink
    from grafana_foundation_sdk.models.dashboard import DashboardLinkType

    board = Dashboard(title).uid(uid).description(description).tags(["evermodel"]).refresh("30s").time("now-24h", "now")
    links = DashboardLink("Evermodel").type(DashboardLinkType.DASHBOARDS).tags(["evermodel"]).as_dropdown(True)
    board = board.readonly().link(links.keep_time(True).include_vars(True))
    for decision, (word, colour) in VERDICTS.items():
        at = f'evermodel_last_verdict_timestamp_seconds{{model=~"{models}",decision="{decision}"}} * 1000'
        board = board.annotation(_annotation(f"update {word}", at, colour))
    opened = f'evermodel_alarm_open{{model=~"{models}"}} == 1 unless evermodel_alarm_open offset 1m == 1'
    return board.annotation(_annotation("alarm opened", opened, RED))


def _annotation(name: str, expr: str, colour: str) -> Any:
    from grafana_foundation_sdk.builders.dashboard import AnnotationQuery

    return AnnotationQuery().name(name).datasource(source()).enable(True).hide(False).icon_color(colour).expr(expr)


def _all_models_board() -> Any:
    description = "Every model: its quality, its open alarms, its rows and its updates."
    board = _board("Evermodel: all models", "evermodel-models", description, ".+")
    board = board.with_variable(variable("metric", "Metric", "evermodel_quality", "metric"))
    return _with_panels(board, [*_all_models_numbers(), _all_models_table(), *_all_models_series()])


def _all_models_numbers() -> list[Any]:
    warnings = ((None, GREEN), (1.0, ORANGE))
    critical, warning = (f'sum(evermodel_alarms_open{{level="{level}"}})' for level in ("critical", "warning"))
    promoted, others = (f'sum(increase(evermodel_updates_total{{decision{of}"promote"}}[7d]))' for of in ("=", "!="))
    unwatched = "max(time() - evermodel_last_watched_timestamp_seconds)"
    return [
        number("Models", "Models whose metrics arrive.", "count(count by (model) (evermodel_version_info))"),
        number("Critical alarms", "Open now, all models.", critical, steps=ALARM_COLOURS),
        number("Warnings", "Open now, all models.", warning, steps=warnings),
        number("Promoted, 7 days", "Updates whose challenger was promoted.", promoted),
        number("Not promoted, 7 days", "Updates held, rejected or not judged.", others),
        number("Longest unwatched", "Time since the model watched least recently was watched.", unwatched, unit="s"),
    ]


def _all_models_table() -> Any:
    queries = [
        ("max by (model, version, task, framework) (evermodel_version_info)", "in service"),
        ("sum by (model) (evermodel_alarms_open)", "open alarms"),
        ("sum by (model) (evermodel_rows_total)", "rows seen"),
        ("sum by (model) (evermodel_labels_total)", "labels"),
        ("time() - max by (model) (evermodel_last_watched_timestamp_seconds)", "seconds since watched"),
    ]
    description = "The version in service, its open alarms and its rows."
    return table("Models", description, queries, joined="model", hidden=("Value #A",))


def _all_models_series() -> list[Any]:
    quality = ('evermodel_quality{metric="$metric",slice=""}', "{{model}} {{version}}")
    alarms = ("sum by (model, level) (evermodel_alarms_open)", "{{model}} {{level}}")
    rows = ("sum by (model) (rate(evermodel_rows_total[$__rate_interval]))", "{{model}}")
    updates = (
        "sum by (model, decision) (increase(evermodel_updates_total[$__interval]))",
        "{{model}} {{decision}}",
    )
    return [
        lines("Quality: $metric", "On the newest rows whose labels had time to arrive.", [quality]),
        lines("Open alarms", "By model and level.", [alarms]),
        lines("Rows", "Rows watched per second.", [rows], unit="rowsps"),
        lines("Updates", "By decision.", [updates], bars=True),
    ]


def _one_model_board() -> Any:
    description = "One model: quality, alarms, rows and updates."
    board = _board("Evermodel: one model", "evermodel-model", description, "$model")
    board = board.with_variable(variable("model", "Model", "evermodel_version_info", "model"))
    board = board.with_variable(variable("metric", "Metric", 'evermodel_quality{model="$model"}', "metric"))
    model, quality = 'model="$model"', 'model="$model",metric="$metric",slice=""'
    panels = [
        *_one_model_numbers(model),
        _quality_band(model, quality),
        _labelled_rows(model, quality),
        states(
            "Alarms", "When each was open.", f"evermodel_alarm_open{{{model}}}", "{{alarm}} {{subject}} ({{level}})"
        ),
        *_one_model_series(model),
        *_one_model_details(model),
    ]
    return _with_panels(board, panels)


def _one_model_numbers(model: str) -> list[Any]:
    version = f"evermodel_version_info{{{model}}}"
    row_age, watch_age = (f"time() - evermodel_last_{of}_timestamp_seconds{{{model}}}" for of in ("row", "watched"))
    return [
        number("In service", "The version that serves.", version, legend="{{version}}", text=True),
        number("Open alarms", "Of all levels.", f"sum(evermodel_alarms_open{{{model}}})", steps=ALARM_COLOURS),
        number("Rows", "Seen so far.", f"evermodel_rows_total{{{model}}}"),
        number("Labels", "Arrived so far.", f"evermodel_labels_total{{{model}}}"),
        number("Newest row", "Its age.", row_age, unit="s"),
        number("Last watched", "Time since the model was watched.", watch_age, unit="s"),
    ]


def _quality_band(model: str, quality: str) -> Any:
    """The chosen metric over time with its interval, its estimate without labels and its baseline."""
    queries = [
        (f"evermodel_quality{{{quality}}}", "$metric {{version}}"),
        (f"evermodel_quality_low{{{quality}}}", "low"),
        (f"evermodel_quality_high{{{quality}}}", "high"),
        (f"evermodel_quality_estimated{{{quality}}}", "estimated without labels"),
        (f'evermodel_quality_baseline{{{model},metric="$metric"}}', "at adoption or promotion"),
    ]
    description = "With its 95 % interval, its estimate without labels, and its value at adoption or promotion."
    return band(lines("Quality: $metric", description, queries, size=(16, 10)), "low", "high")


def _labelled_rows(model: str, quality: str) -> Any:
    queries = [
        (f"evermodel_quality_rows{{{quality}}}", "$metric"),
        (f'evermodel_window_rows{{{model},slice=""}}', "rows of the window"),
        (f'evermodel_window_labelled_rows{{{model},slice=""}}', "of these labelled"),
    ]
    return lines("Labelled rows", "Labelled rows behind the metric.", queries, size=(8, 10))


def _one_model_series(model: str) -> list[Any]:
    total = f"ignoring (class) group_left () sum without (class) (evermodel_predictions_total{{{model}}})"
    predictions = (f"evermodel_predictions_total{{{model}}} / {total}", "{{class}}")
    updates = (f"increase(evermodel_updates_total{{{model}}}[$__interval])", "{{decision}}")
    return [
        lines("Predictions", "Share of each class.", [predictions], unit="percentunit"),
        lines("Updates", "By decision.", [updates], bars=True),
    ]


def _one_model_details(model: str) -> list[Any]:
    false_alarms = f"evermodel_false_alarm_bound_ratio{{{model}}}"
    created = f"evermodel_version_created_timestamp_seconds{{{model}}} * 1000"
    confusion = (f"evermodel_confusion_rows{{{model}}}", "{{truth}} predicted as {{predicted}}")
    return [
        number("Promotions", "Including the adoption.", f"evermodel_promotions_total{{{model}}}"),
        number(
            "False-alarm bound",
            "The chance of any false alarm in the life of the monitor is at most this.",
            false_alarms,
            unit="percentunit",
            size=(8, 4),
        ),
        number("Version created", "The one in service.", created, unit="dateTimeAsIso", size=(12, 4)),
        lines(
            "Confusion",
            "Labelled rows of the newest window, by true class and predicted class.",
            [confusion],
            size=(24, 8),
        ),
    ]


def _drift_board() -> Any:
    description = "What changed in the data, and how much the model depends on it."
    board = _board("Evermodel: data drift", "evermodel-drift", description, "$model")
    board = board.with_variable(variable("model", "Model", "evermodel_version_info", "model"))
    statistics = 'evermodel_drift_statistic{model="$model"}'
    board = board.with_variable(variable("statistic", "Statistic", statistics, "statistic"))
    model = 'model="$model"'
    return _with_panels(board, [*_drift_numbers(model), *_drift_series(model), _drift_table(model)])


def _drift_numbers(model: str) -> list[Any]:
    important = f'count(evermodel_drift_column_info{{{model},importance=~"high|medium"}})'
    kinds = "drift|missing|unseen|range|types"
    alarms = f'sum(evermodel_alarm_open{{{model},alarm=~"{kinds}"}}) or vector(0)'
    evidence = "The largest e-value of any column; an alarm needs far more than 100."
    return [
        number("Important columns", "Columns that the model depends on much.", important, size=(6, 4)),
        number("Drift alarms", "Open now.", alarms, steps=ALARM_COLOURS, size=(6, 4)),
        number("Largest evidence", evidence, f"max(evermodel_drift_evidence{{{model}}})", size=(6, 4)),
        number("Window", "Rows of the newest window.", f'evermodel_window_rows{{{model},slice=""}}', size=(6, 4)),
    ]


def _drift_series(model: str) -> list[Any]:
    statistic = (f'evermodel_drift_statistic{{{model},statistic="$statistic"}}', "{{column}}")
    evidence = (f"evermodel_drift_evidence{{{model}}}", "{{column}}")
    bound = "E-values: under no drift, the chance of ever reaching x is at most 1/x."
    return [
        lines("$statistic by column", "The newest window against the reference.", [statistic], size=(16, 10)),
        lines("Evidence by column", bound, [evidence], size=(8, 10)),
    ]


def _drift_table(model: str) -> Any:
    queries = [
        (f"max by (column, importance) (evermodel_drift_column_info{{{model}}})", "known"),
        (f'max by (column) (evermodel_drift_statistic{{{model},statistic="$statistic"}})', "$statistic"),
        (f"max by (column) (evermodel_drift_evidence{{{model}}})", "evidence"),
    ]
    return table("Columns", "The most important first.", queries, joined="column", hidden=("Value #A",))


def _with_panels(board: Any, panels: Iterable[Any]) -> Any:
    for panel in panels:
        board = board.with_panel(panel)
    return board
