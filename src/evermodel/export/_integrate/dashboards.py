"""Grafana's dashboards: all models, one model, data drift; updates, verdicts and alarms as annotations on each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from evermodel.export._integrate.panels import (
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
)  # fmt: skip

ALARMING = ((None, GREEN), (1.0, RED))
# A verdict's time is the value of a series, so that it is drawn when it fell, not when it was scraped.
VERDICTS = {"promote": ("promoted", GREEN), "hold": ("held", BLUE), "reject": ("rejected", ORANGE),
            "invalid": ("set aside", PURPLE)}  # fmt: skip


def dashboards() -> Mapping[str, str]:
    """File name -> the dashboard as JSON."""
    return {f"{name}.json": _text(made()) for name, made in
            {"evermodel-models": _models, "evermodel-model": _model, "evermodel-drift": _drift}.items()}  # fmt: skip


def _text(board: Any) -> str:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    made = json.loads(JSONEncoder(sort_keys=True).encode(board.build()))
    for query in made["annotations"]["list"]:  # fields of the Prometheus plugin, which the SDK does not model
        query |= {"titleFormat": query["name"], "textFormat": "{{model}} {{alarm}} {{subject}}", "step": "15s",
                  "useValueForTime": query["name"].startswith("update ")}  # fmt: skip
    return json.dumps(made, indent=1) + "\n"


def _board(title: str, uid: str, says: str, models: str) -> Any:
    from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink
    from grafana_foundation_sdk.models.dashboard import DashboardLinkType

    board = Dashboard(title).uid(uid).description(says).tags(["evermodel"]).refresh("30s").time("now-24h", "now")
    links = DashboardLink("Evermodel").type(DashboardLinkType.DASHBOARDS).tags(["evermodel"]).as_dropdown(True)
    board = board.readonly().link(links.keep_time(True).include_vars(True))
    for decision, (said, colour) in VERDICTS.items():
        at = f'evermodel_last_verdict_timestamp_seconds{{model=~"{models}",decision="{decision}"}} * 1000'
        board = board.annotation(_annotation(f"update {said}", at, colour))
    opened = f'evermodel_alarm_open{{model=~"{models}"}} == 1 unless evermodel_alarm_open offset 1m == 1'
    return board.annotation(_annotation("alarm opened", opened, RED))


def _annotation(name: str, expr: str, colour: str) -> Any:
    from grafana_foundation_sdk.builders.dashboard import AnnotationQuery

    return AnnotationQuery().name(name).datasource(source()).enable(True).hide(False).icon_color(colour).expr(expr)


def _models() -> Any:
    board = _board("Evermodel: all models", "evermodel-models", "Every model: how good, how watched, how kept.", ".+")
    board = board.with_variable(variable("metric", "Metric", "evermodel_quality", "metric"))
    for panel in (
        number("Models", "Models whose metrics arrive.", "count(count by (model) (evermodel_version_info))"),
        number("Critical alarms", "Open now, all models.", 'sum(evermodel_alarms_open{level="critical"})',
               steps=ALARMING),
        number("Warnings", "Open now, all models.", 'sum(evermodel_alarms_open{level="warning"})',
               steps=((None, GREEN), (1.0, ORANGE))),
        number("Promoted, 7 days", "Updates that the judge let into service.",
               'sum(increase(evermodel_updates_total{decision="promote"}[7d]))'),
        number("Not promoted, 7 days", "Updates held, rejected or set aside.",
               'sum(increase(evermodel_updates_total{decision!="promote"}[7d]))'),
        number("Longest without a look", "The model nobody watched for longest.",
               "max(time() - evermodel_last_look_timestamp_seconds)", unit="s"),
        table("Models", "The version in service, its open alarms, its rows.", [
            ("max by (model, version, task, framework) (evermodel_version_info)", "in service"),
            ("sum by (model) (evermodel_alarms_open)", "open alarms"),
            ("sum by (model) (evermodel_rows_total)", "rows seen"),
            ("sum by (model) (evermodel_labels_total)", "labels"),
            ("time() - max by (model) (evermodel_last_look_timestamp_seconds)", "seconds since a look"),
        ], joined="model", hidden=("Value #A",)),
        lines("Quality: $metric", "On the newest rows whose labels had time to come.",
              [('evermodel_quality{metric="$metric",slice=""}', "{{model}} {{version}}")]),
        lines("Open alarms", "By model and level.",
              [("sum by (model, level) (evermodel_alarms_open)", "{{model}} {{level}}")]),
        lines("Rows", "Rows watched a second.",
              [("sum by (model) (rate(evermodel_rows_total[$__rate_interval]))", "{{model}}")], unit="rowsps"),
        lines("Updates", "By the judge's decision.",
              [("sum by (model, decision) (increase(evermodel_updates_total[$__interval]))",
                "{{model}} {{decision}}")], bars=True),
    ):  # fmt: skip
        board = board.with_panel(panel)
    return board


def _model() -> Any:
    board = _board("Evermodel: one model", "evermodel-model", "One model: quality, alarms, rows, updates.", "$model")
    board = board.with_variable(variable("model", "Model", "evermodel_version_info", "model"))
    board = board.with_variable(variable("metric", "Metric", 'evermodel_quality{model="$model"}', "metric"))
    of, said = 'model="$model"', 'model="$model",metric="$metric",slice=""'
    quality = lines("Quality: $metric", "Its 95 % interval; estimated without labels; at adoption or promotion.", [
        (f"evermodel_quality{{{said}}}", "$metric {{version}}"),
        (f"evermodel_quality_low{{{said}}}", "low"),
        (f"evermodel_quality_high{{{said}}}", "high"),
        (f"evermodel_quality_estimated{{{said}}}", "estimated without labels"),
        (f"evermodel_quality_baseline{{{of},metric=\"$metric\"}}", "at adoption or promotion"),
    ], size=(16, 10))  # fmt: skip
    for panel in (
        number("In service", "The version.", f"evermodel_version_info{{{of}}}", legend="{{version}}", text=True),
        number("Open alarms", "All levels.", f"sum(evermodel_alarms_open{{{of}}})", steps=ALARMING),
        number("Rows", "Seen so far.", f"evermodel_rows_total{{{of}}}"),
        number("Labels", "Came so far.", f"evermodel_labels_total{{{of}}}"),
        number("Newest row", "Its age.", f"time() - evermodel_last_row_timestamp_seconds{{{of}}}", unit="s"),
        number("Newest look", "Its age.", f"time() - evermodel_last_look_timestamp_seconds{{{of}}}", unit="s"),
        band(quality, "low", "high"),
        lines("Rows that speak", "Labelled rows behind each metric.", [(f"evermodel_quality_rows{{{said}}}", "$metric"),
              (f'evermodel_window_rows{{{of},slice=""}}', "rows of the window"),
              (f'evermodel_window_labelled_rows{{{of},slice=""}}', "of these labelled")], size=(8, 10)),
        states("Alarms", "When each was open.", f"evermodel_alarm_open{{{of}}}", "{{alarm}} {{subject}} ({{level}})"),
        lines("Predictions", "Share of each class.", [(
            f"evermodel_predictions_total{{{of}}} / ignoring (class) group_left ()"
            f" sum without (class) (evermodel_predictions_total{{{of}}})", "{{class}}")], unit="percentunit"),
        lines("Updates", "By the judge's decision.",
              [(f"increase(evermodel_updates_total{{{of}}}[$__interval])", "{{decision}}")], bars=True),
        number("Promoted so far", "Adoption included.", f"evermodel_promotions_total{{{of}}}"),
        number("False-alarm promise", "Chance of any false alarm in the monitor's life.",
               f"evermodel_false_alarm_promise_ratio{{{of}}}", unit="percentunit", size=(8, 4)),
        number("Version made", "The one in service.", f"evermodel_version_created_timestamp_seconds{{{of}}} * 1000",
               unit="dateTimeAsIso", size=(12, 4)),
        lines("Confusion", "Labelled rows of the newest window: class in truth, class predicted.",
              [(f"evermodel_confusion_rows{{{of}}}", "{{truth}} taken for {{predicted}}")], size=(24, 8)),
    ):  # fmt: skip
        board = board.with_panel(panel)
    return board


def _drift() -> Any:
    board = _board(
        "Evermodel: data drift", "evermodel-drift", "What changed in the data, and does it matter.", "$model"
    )
    board = board.with_variable(variable("model", "Model", "evermodel_version_info", "model"))
    board = board.with_variable(
        variable("statistic", "Statistic", 'evermodel_drift_statistic{model="$model"}', "statistic")
    )
    of = 'model="$model"'
    for panel in (
        number("Columns that matter", "Much: the model depends on them.",
               f'count(evermodel_drift_column_info{{{of},matters=~"high|medium"}})', size=(6, 4)),
        number("Drift alarms", "Open now.",
               f'sum(evermodel_alarm_open{{{of},alarm=~"drift|missing|unseen|range|types"}}) or vector(0)',
               steps=ALARMING, size=(6, 4)),
        number("Largest evidence", "E-value of the column that differs most; alarms need far more than 100.",
               f"max(evermodel_drift_evidence{{{of}}})", size=(6, 4)),
        number("Rows of the newest window", "What the newest look saw.",
               f'evermodel_window_rows{{{of},slice=""}}', size=(6, 4)),
        lines("$statistic by column", "The newest look against the reference.",
              [(f'evermodel_drift_statistic{{{of},statistic="$statistic"}}', "{{column}}")], size=(16, 10)),
        lines("Evidence by column", "E-values: 1/x bounds the chance that a drift this clear is false.",
              [(f"evermodel_drift_evidence{{{of}}}", "{{column}}")], size=(8, 10)),
        table("Columns", "What matters most first.", [
            (f"max by (column, matters) (evermodel_drift_column_info{{{of}}})", "known"),
            (f'max by (column) (evermodel_drift_statistic{{{of},statistic="$statistic"}})', "$statistic"),
            (f"max by (column) (evermodel_drift_evidence{{{of}}})", "evidence"),
        ], joined="column", hidden=("Value #A",)),
    ):  # fmt: skip
        board = board.with_panel(panel)
    return board
