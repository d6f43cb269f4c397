"""What is known of a model in service: windows, alarms, history, reports; and the policy it is maintained by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evermodel.api.arguments import suggest_arguments
from evermodel.api.collection import Collection
from evermodel.api.handle import ModelHandle
from evermodel.core.records.monitoring import Alarm, MonitorStatus
from evermodel.explaining.explain import Explanation, explain
from evermodel.integrations.nagios_check import CheckResult, check
from evermodel.maintenance.policy import PolicyResult, policy
from evermodel.monitoring.alarms.alarm_wording import describe_alarm
from evermodel.monitoring.notify import NotifyResult, notify
from evermodel.monitoring.summary import WatchResult
from evermodel.monitoring.watch import status, watch
from evermodel.registry.history import History, history
from evermodel.registry.result_table import ResultTable
from evermodel.reports.report import ReportResult, report


class ObservedModel(ModelHandle):
    """How good the model is in service, what changed in its rows, and what happened to it."""

    @suggest_arguments
    def watch(
        self,
        data: Any = None,
        *,
        labels: Any = None,
        window: str | None = None,
        version: str | None = None,
        id: str | None = None,  # noqa: A002
        false_alarms: float | None = None,
        second: str | None = None,
        suggest: int | None = None,
        to: str | Path | None = None,
        merge: str | Path | None = None,
    ) -> WatchResult:
        """Take in rows that were predicted in service, and labels that came later; open alarms where they are due.

        Give each delivery once; one that was taken in before changes nothing.

        Args:
            data: rows with a column ``prediction`` (and ``p_CLASS``), or rows that are predicted now.
            labels: rows with the target, joined by the id column, or by entity and time.
            window: how many rows or how much time is looked at together: "1d", "6h", "10000rows".
            version: the version that predicted the rows, if it is not the one in service.
            id: the column that identifies a row.
            false_alarms: the chance of any false alarm over the life of the monitor; 0.01 by default.
            second: a version whose predictions make the intervals of few labels narrower.
            suggest: draw this many rows whose labels would tell most; needs ``to``.
            to: the .csv or .parquet file for the rows to be labelled.
            merge: another registry whose monitor of this model is added to this one.

        Returns:
            The windows with their scores, the drift of each column, and the alarms that are open.

        Raises:
            BadData: the rows or labels cannot be read; then nothing is changed.

        Example:
            >>> import evermodel as em
            >>> watched = em.open("models")["churn"].watch("april.csv")
            >>> watched.status.counters["predictions"]
            800
        """
        return watch(
            self.name,
            data,
            labels=labels,
            window=window,
            version=version,
            id=id,
            false_alarms=false_alarms,
            second=second,
            suggest=suggest,
            to=to,
            merge=merge,
            registry=self.location,
        )

    @property
    def monitor(self) -> MonitorStatus:
        """The state of the monitor: windows, drift, counters and alarms; empty where nothing was watched yet."""
        return status(self.name, registry=self.location)

    @property
    def alarms(self) -> Collection[Alarm]:
        """The alarms that are open, the newest first.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].alarms
            Open alarms of churn: none
        """
        alarms = self.monitor.open
        rows = tuple((str(a.kind), a.subject, a.level, a.since, describe_alarm(a)) for a in alarms)
        columns = ("alarm", "subject", "level", "since", "what was observed")
        return Collection(alarms, ResultTable(f"Open alarms of {self.name}", columns, rows))

    @suggest_arguments
    def check(
        self,
        *,
        metric: str | Sequence[str] = (),
        warning: str | Sequence[str] = (),
        critical: str | Sequence[str] = (),
        alarms: bool = True,
        slice: str = "",  # noqa: A002
    ) -> CheckResult:
        """Compare the figures of the monitor with thresholds, as a Nagios plugin does.

        Args:
            metric: figures to report even without a threshold.
            warning: Nagios ranges: "0.8:" (for the deciding metric) or "auc=0.8:" warns below 0.8.
            critical: the same, for the state CRITICAL.
            alarms: whether open alarms count.
            slice: only this group of rows: "sex=f".

        Returns:
            The state ("OK", "WARNING", "CRITICAL", "UNKNOWN"), its exit code and one line of text.

        Raises:
            BadSetting: a range cannot be read.
            MissingExtra: the extra ``monitor`` is not installed.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].check().state
            'UNKNOWN'
        """
        return check(
            self.name,
            metric=metric,
            warning=warning,
            critical=critical,
            alarms=alarms,
            slice=slice,
            registry=self.location,
        )

    @suggest_arguments
    def notify(self, notifier: str, *, settings: Mapping[str, Any] | None = None, test: bool = False) -> NotifyResult:
        """Send the open alarms to people: each once per level, and once when it is over.

        Args:
            notifier: "log", "webhook", "email", "slack", or a plugin of your own.
            settings: its settings; secrets as "env:NAME" or "file:PATH".
            test: send one trial notice instead.

        Raises:
            BadSetting: a setting is unknown.
            NotDelivered: the trial notice was not accepted.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].notify("log").failed
            ()
        """
        return notify(self.name, notifier, settings=settings, test=test, registry=self.location)

    @property
    def history(self) -> History:
        """What happened to the model, oldest first: what, when, why, and which version served afterwards.

        Example:
            >>> import evermodel as em
            >>> [event.what for event in em.open("models")["churn"].history.events]
            ['adopted']
        """
        return history(self.name, registry=self.location)

    @suggest_arguments
    def report(
        self, version: str | None = None, *, to: str | Path = "report.html", explanation: bool = True
    ) -> ReportResult:
        """Write one self-contained HTML page about a version: verdict, scores, explanation, what changed in the data.

        Args:
            version: "v3", or "newest", the one stored last; by default the one in service.
            to: the HTML file to write.
            explanation: say what it does differently from the version it was made from; this loads both models.

        Raises:
            NotFound: there is no such version or folder.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].report(to="report.html").to
            'report.html'
        """
        return report(self.name, version, to=to, explanation=explanation, registry=self.location)

    @suggest_arguments
    def policy(self, settings: Mapping[str, Any] | None = None, *, file: str | Path | None = None) -> PolicyResult:
        """Show the maintenance policy, or change it.

        Args:
            settings: keys to change: ``{"data": "incoming", "promote": "approve"}``.
            file: a TOML file whose table ``[models.NAME]`` replaces the whole policy.

        Raises:
            BadSetting: a key or value is unknown; the message names the nearest.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].policy({"data": "incoming", "promote": "approve"}).changed
            ('data', 'promote')
        """
        return policy(self.name, settings, file=file, registry=self.location)

    @suggest_arguments
    def explain(
        self, old: str | None = None, new: str | None = None, data: Any = None, *, seed: int = 0
    ) -> Explanation:
        """Compare two versions: which rows were won and lost, where, by which columns, and what the data did.

        Args:
            old: the older version; by default the one that ``new`` was made from.
            new: the newer version; by default the one in service.
            data: labelled rows that neither was trained on. Without rows, those that were kept out of all training.
            seed: makes the sampling repeatable.

        Returns:
            Wins and losses with an interval, calibration, the segments in which the loss changed most, each column's
            Shapley value of the difference, the change of the loss split into model and data, and the rows whose
            output changed most.

        Raises:
            AskedWrongly: the version was adopted, and there is none before it.
            NoData: fewer than 60 labelled rows are there.

        Example:
            >>> import evermodel as em
            >>> churn = em.open("models")["churn"]
            >>> _ = churn.update("april.csv")
            >>> explanation = churn.explain(data="may.csv")
            >>> (explanation.old, explanation.new, explanation.flips.rows)
            ('v1', 'v2', 800)
        """
        return explain(self.name, old, new, data, seed=seed, registry=self.location)
