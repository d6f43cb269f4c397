"""What a metric plugin is, and which optional functions make its intervals faster or exact."""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

from evermodel.core.arrays import Array
from evermodel.core.plugins import FunctionKind


class Metric(Protocol):
    """The function of a metric plugin: labels (n,) and predictions (n,) or (n, k) to one number.

    Of free text: tokens of the reference answer (n,) and what a model made of it (n, 3), see ``check_text_rows``.

    NaN without rows and where the rows do not determine it; raises BadData for predictions that are NaN. ``weight``
    (n,) counts a row of weight 2 as a row that occurs twice. Ranking metrics take ``group`` (n,) and ``top`` as well.
    """

    __name__: str

    def __call__(self, y: Array, p: Array, /, *, weight: Array | None = None, **settings: Any) -> float: ...


class MetricModule(Protocol):
    """The module of a metric plugin."""

    __name__: str
    HIGHER_IS_BETTER: bool
    TASKS: tuple[str, ...]  # out of "binary", "multiclass", "regression", "text", "ranking"
    LABEL: str  # the name in reports: "AUC"
    MARGIN_UNIT: Literal["points", "% of the loss"]  # the unit in which a margin for this metric is given


METRICS: FunctionKind[Metric, MetricModule] = FunctionKind("metrics", MetricModule)


@runtime_checkable
class PerRow(Protocol):
    """The metric is the mean over rows: each row's part (n,)."""

    def per_row(self, y: Array, p: Array, /) -> Array: ...


@runtime_checkable
class Additive(Protocol):
    """The metric is a function of sums over rows: the terms of each row (n, m), and the metric of their sums (…, m)."""

    def sums(self, y: Array, p: Array, /) -> Array: ...
    def of_sums(self, sums: Array, /) -> Array: ...


@runtime_checkable
class Tabular(Protocol):
    """The metric of two classes is a function of a table of each group's rows, which add up over groups.

    So many rows in few groups are resampled without going through the rows again. A table may count rows of nearly the
    same prediction together: resamples say how far a metric scatters, not its value.
    """

    def tabulate_groups(self, y: Array, p: Array, codes: Array, n_groups: int, /) -> Array: ...  # (n_groups, cells)
    def score_tables(self, tables: Array, /) -> Array: ...  # (r, cells) -> (r,)


@runtime_checkable
class Influential(Protocol):
    """What each row adds to the metric's error (n,): for independent rows the variance is the sum of squares."""

    def influence(self, y: Array, p: Array, /) -> Array: ...


@runtime_checkable
class PerGroup(Protocol):
    """A ranking metric: the value of each group of rows (groups,)."""

    def each_group(self, y: Array, p: Array, group: Array, /) -> Array: ...
