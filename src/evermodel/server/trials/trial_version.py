"""A version that is tried in service: as a shadow, whose answers nobody gets, or as a canary, which answers a share."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import re
from dataclasses import dataclass, field, replace
from typing import Any

from evermodel.core.errors import BadSetting, ContractBroken
from evermodel.server.prepared_model import PreparedModel
from evermodel.server.request_body import RequestRows
from evermodel.server.trials.trial_outcome import TrialOutcome

logger = logging.getLogger(__name__)
MOST_WAITING = 64  # requests that wait for the shadow; further ones are not shown to it
MOST_FAILURES = 5  # of a canary, then it is stopped
_TRIAL = re.compile(r"(?P<name>[^=]+)=(?P<version>[^:=]+)(?::(?P<share>\d+(?:\.\d+)?)%)?")


@dataclass(frozen=True)
class TrialPlan:
    """What the command line says: a model, a version, and the share of requests that a canary answers; 0: a shadow."""

    name: str
    version: str
    share: float = 0.0
    since: dt.datetime | None = None  # of a release in the registry, which says the share: answers from then on count

    @property
    def key(self) -> str:
        """Names this trial among those of a server: another release of the same version is another trial."""
        return f"{self.name}|{self.version}|{self.since}"

    @property
    def follows_release(self) -> bool:
        """Whether the registry says the share, and what becomes of the version."""
        return self.since is not None


@dataclass
class TrialVersion:
    """A trial that runs. A canary that is stopped answers nothing any more."""

    plan: TrialPlan
    prepared: PreparedModel
    outcome: TrialOutcome = field(default_factory=TrialOutcome)
    waiting: int = 0  # requests that the shadow has not answered yet
    skipped: int = 0  # requests that it was not shown
    judged_files: tuple[int, ...] = ()  # how many files of labels and rows there were when it was judged last

    @property
    def stopped(self) -> str:
        """Why it was stopped; "" while it runs."""
        return self.outcome.stopped

    @property
    def is_shadow(self) -> bool:
        """Whether nobody gets its answers."""
        return self.plan.share == 0.0

    def takes(self, rows: RequestRows, identity: str, drawn: str = "") -> bool:
        """Whether the canary answers a request. Requests of one entity are answered by one version.

        ``drawn``: the version that a proxy in front of the server has chosen; "": it is drawn here.
        """
        if self.stopped or self.is_shadow:
            return False
        if drawn:
            return drawn == self.plan.version
        entity = self.prepared.contract.roles.entity
        values = None if entity is None else rows.read_column(entity)
        return draw_share(self.plan.version, values[0] if values else identity) < self.plan.share

    def count_failure(self) -> None:
        """A canary that raises is answered for by the champion, and stopped after some failures."""
        failures = self.outcome.count_failure()
        if failures >= MOST_FAILURES and not self.stopped:
            self.stop(f"it failed {failures} times")

    def follow_share(self, share: float) -> None:
        """Another share of the requests. Whoever was answered by the version still is where the share grows."""
        if share != self.plan.share:
            self.plan = replace(self.plan, share=share)
            logger.info("%s %s answers %g %% of the requests.", self.plan.name, self.plan.version, 100 * share)

    def stop(self, reason: str) -> None:
        """Ends the trial: the version in service answers everything again."""
        if self.outcome.stop(reason):
            logger.warning("The trial of %s %s is stopped: %s.", self.plan.name, self.plan.version, reason)


def draw_share(salt: str, key: Any) -> float:
    """A number in [0, 1) that is always the same for one key: other versions draw other entities."""
    digest = hashlib.blake2b(f"{salt}|{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def parse_trials(shadows: tuple[str, ...], canaries: tuple[str, ...]) -> tuple[TrialPlan, ...]:
    """The plans of ``NAME=VERSION`` and ``NAME=VERSION:5%``. Raises BadSetting; a model has one trial at most."""
    plans = []
    for text, is_canary in [*((t, False) for t in shadows), *((t, True) for t in canaries)]:
        match = _TRIAL.fullmatch(text.strip())
        if match is None or (match["share"] is not None) is not is_canary:
            option, form = ("canary", "NAME=VERSION:5%") if is_canary else ("shadow", "NAME=VERSION")
            raise BadSetting(f"`{option}` must be {form}. Got {text!r}.")
        share = float(match["share"]) / 100.0 if is_canary else 0.0
        if is_canary and not 0.0 < share <= 1.0:
            raise BadSetting(f"`canary` must have a share above 0 and up to 100 %. Got {text!r}.")
        plans.append(TrialPlan(match["name"], match["version"], share))
    names = [plan.name for plan in plans]
    if len(set(names)) < len(names):
        raise BadSetting("A model can have one trial at a time: a shadow or a canary.")
    return tuple(plans)


def check_alike(current: PreparedModel, trial: PreparedModel) -> None:
    """Raises ContractBroken where the versions do not take the same requests or do not give the same answers."""
    one, two = current.contract, trial.contract
    if one.names != two.names or one.classes != two.classes or one.task != two.task:
        raise ContractBroken(
            f"{trial.version} has other inputs or classes than {current.version}, which serves.",
            "Only a version that takes the same requests can be tried beside it.",
        )
