"""Whether a version that was tried in service is better or worse than the one that serves, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evermodel.core.data.logged_predictions import is_prediction_log
from evermodel.core.errors import AskedWrongly, NotFound
from evermodel.registry.lookup import card_of, champion_of, open_store
from evermodel.registry.predictions.compare_logged import (
    DECIDED,
    SHADOW,
    LoggedComparison,
    compare_logged,
    measure_scale,
)
from evermodel.registry.predictions.label import read_contract
from evermodel.registry.predictions.seal_segments import log_folder, seal_orphans
from evermodel.registry.promotion import promote
from evermodel.registry.results import Result
from evermodel.registry.row_memory import read_memory


@dataclass(frozen=True)
class ReleaseResult(Result):
    """The verdict of a trial; ``promoted`` where the version serves now because of it."""

    name: str
    version: str
    champion: str
    comparison: LoggedComparison
    promoted: bool

    @property
    def outcome(self) -> str:
        """better, worse or undecided."""
        return self.comparison.outcome

    def lines(self) -> list[str]:
        """The verdict, the evidence, and what to do."""
        held = self.comparison
        said = {"better": "is better than", "worse": "is worse than", "undecided": "is not told apart from"}
        found = [
            f"{self.name} {self.version} {said[self.outcome]} {self.champion}, as a {held.kind} on {held.pairs:,} "
            f"labelled pairs (it answered {held.answered:,} rows)"
        ]
        if held.pairs:
            found.append(f"  mean loss of a row {held.loss:.4f}, that of {self.champion} {held.champion_loss:.4f}")
        found.append(f"  e-value of better {held.better:.3g}, of worse {held.worse:.3g}; {DECIDED:g} decides")
        if self.promoted:
            found.append(f"  {self.version} serves now")
        elif self.outcome == "better":
            found.append(f"  evermodel release {self.name} {self.version} --apply puts it in service")
        return found


def release(name: str, version: str, *, apply: bool = False, registry: str | Path | None = None) -> ReleaseResult:
    """Say whether a version that ``evermodel serve`` tried as a shadow or canary is better, by the labels that came.

    It may be asked as often as one likes: an equal version is called worse, or better, in at most 5 % of trials.

    Args:
        name: the name of the model.
        version: the version that was tried, for example ``"v3"``.
        apply: put it in service if it is better.
        registry: the location of the registry.

    Raises:
        NotFound: there are no logged answers of the version.
        AskedWrongly: the version serves already.

    Example:
        $ evermodel release churn v3 --apply
    """
    store = open_store(registry)
    champion = champion_of(store, name).version
    version = card_of(store, name, version).version
    if version == champion:
        raise AskedWrongly(f"{name} {version} serves already.", "Name the version that was tried beside it.")
    folder = log_folder(store, name)
    if not is_prediction_log(folder):
        raise NotFound(f"No predictions of {name} are logged.", f"'evermodel serve {name}' logs them.")
    for log in (folder, folder / SHADOW):
        seal_orphans(log)
    contract = read_contract(store, name)
    scale = measure_scale(store, read_memory(store, name), contract)
    comparison = compare_logged(folder, contract, champion, version, scale)
    better = apply and comparison.outcome == "better"
    if better:
        promote(name, version, registry=registry)
    return ReleaseResult(name, version, champion, comparison, better)
