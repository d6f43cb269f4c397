"""The few kinds of panel our dashboards are made of, each over the data source that ``integrate grafana`` provides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SOURCE = "evermodel-prometheus"
RED, ORANGE, GREEN, BLUE, PURPLE = "red", "orange", "green", "blue", "purple"


def source() -> Any:
    from grafana_foundation_sdk.models.dashboard import DataSourceRef

    return DataSourceRef(type_val="prometheus", uid=SOURCE)


def query(expr: str, legend: str = "", *, ref: str = "A", now: bool = False, table: bool = False) -> Any:
    """A PromQL query; ``now``: only its newest value."""
    from grafana_foundation_sdk.builders.prometheus import Dataquery
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

    built = Dataquery().expr(expr).ref_id(ref).legend_format(legend or "__auto")
    built = built.instant() if now else built.range()
    return built.format(PromQueryFormat.TABLE) if table else built


def _put(
    panel: Any, title: str, description: str, size: tuple[int, int], queries: Sequence[tuple[str, str]], **how: Any
) -> Any:
    """``queries``: (expression, legend); ``size``: columns of 24, and height."""
    panel = panel.title(title).description(description).datasource(source()).span(size[0]).height(size[1])
    for ref, (expr, legend) in zip("ABCDEFGH", queries, strict=False):
        panel = panel.with_target(query(expr, legend, ref=ref, **how))
    return panel


def lines(
    title: str,
    description: str,
    queries: Sequence[tuple[str, str]],
    *,
    size: tuple[int, int] = (12, 8),
    unit: str = "",
    bars: bool = False,
) -> Any:
    """Values over time."""
    from grafana_foundation_sdk.builders.common import VizLegendOptions, VizTooltipOptions
    from grafana_foundation_sdk.builders.timeseries import Panel
    from grafana_foundation_sdk.models.common import (
        GraphDrawStyle,
        LegendDisplayMode,
        LegendPlacement,
        TooltipDisplayMode,
        VisibilityMode,
    )

    panel = _put(Panel(), title, description, size, queries)
    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
    panel = panel.legend(legend).tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    panel = panel.show_points(VisibilityMode.AUTO).span_nulls(True).line_width(2)
    panel = panel.unit(unit) if unit else panel
    return panel.draw_style(GraphDrawStyle.BARS).fill_opacity(60) if bars else panel


def band(panel: Any, low: str, high: str) -> Any:
    """Fills between two of the panel's series: an interval."""
    from grafana_foundation_sdk.models.dashboard import DynamicConfigValue as Value

    quiet = [Value("custom.lineWidth", 0), Value("custom.hideFrom", {"legend": True, "tooltip": False, "viz": False})]
    filled = [*quiet, Value("custom.fillBelowTo", low), Value("custom.fillOpacity", 15)]
    return panel.override_by_name(high, filled).override_by_name(low, quiet)


def number(
    title: str,
    description: str,
    expr: str,
    *,
    legend: str = "",
    size: tuple[int, int] = (4, 4),
    unit: str = "",
    steps: Sequence[tuple[float | None, str]] = (),
    text: bool = False,
) -> Any:
    """The newest value, large; ``steps``: from which value on which colour; ``text``: show the legend instead."""
    from grafana_foundation_sdk.builders.common import ReduceDataOptions
    from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
    from grafana_foundation_sdk.builders.stat import Panel
    from grafana_foundation_sdk.models.common import BigValueGraphMode, BigValueTextMode
    from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode

    panel = _put(Panel(), title, description, size, [(expr, legend)], now=True).graph_mode(BigValueGraphMode.NONE)
    colours = [Threshold(value=at, color=colour) for at, colour in steps or ((None, BLUE),)]
    panel = panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(colours)).no_value("not known")
    panel = panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    panel = panel.text_mode(BigValueTextMode.NAME) if text else panel
    return panel.unit(unit) if unit else panel


def table(
    title: str,
    description: str,
    queries: Sequence[tuple[str, str]],
    *,
    joined: str,
    hidden: Sequence[str] = (),
    size: tuple[int, int] = (24, 9),
) -> Any:
    """Newest values of several queries, a row for each value of the label ``joined``; legends head the columns."""
    from grafana_foundation_sdk.builders.table import Panel
    from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

    panel = _put(Panel(), title, description, size, queries, now=True, table=True).show_header(True)
    named = {f"Value #{ref}": legend for ref, (_, legend) in zip("ABCDEFGH", queries, strict=False)}
    times = ["Time", *(f"Time {n}" for n in range(1, len(queries) + 1))]
    shown = {"excludeByName": dict.fromkeys([*times, *hidden], True), "renameByName": named, "indexByName": {}}
    how = {"byField": joined, "mode": "outer"}
    panel = panel.with_transformation(DataTransformerConfig(id_val="joinByField", options=how))
    return panel.with_transformation(DataTransformerConfig(id_val="organize", options=shown))


def states(title: str, description: str, expr: str, legend: str, *, size: tuple[int, int] = (24, 7)) -> Any:
    """0 and 1 over time as stretches of green and red."""
    from grafana_foundation_sdk.builders.statetimeline import Panel
    from grafana_foundation_sdk.models.common import VisibilityMode
    from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

    shown = {
        "0": ValueMappingResult(text="closed", color=GREEN, index=0),
        "1": ValueMappingResult(text="open", color=RED, index=1),
    }
    panel = _put(Panel(), title, description, size, [(expr, legend)])
    panel = panel.fill_opacity(70).line_width(0).show_value(VisibilityMode.AUTO)
    return panel.mappings([ValueMap(options=shown)])


def variable(name: str, label: str, series: str, of: str, *, chosen: str = "", all_of_them: bool = False) -> Any:
    """A choice of the values of label ``of`` in ``series``."""
    from grafana_foundation_sdk.builders.dashboard import QueryVariable
    from grafana_foundation_sdk.models.dashboard import VariableOption, VariableRefresh, VariableSort

    built = QueryVariable(name).label(label).datasource(source()).query(f"label_values({series}, {of})")
    built = built.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    if all_of_them:
        built = built.include_all(True).multi(True).all_value(".+")
    first = chosen or ("$__all" if all_of_them else "")
    if first:
        built = built.current(VariableOption(selected=True, text="All" if first == "$__all" else first, value=first))
    return built
