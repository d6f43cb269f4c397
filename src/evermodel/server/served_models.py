"""The models being served: each answers with one version, and changes it whole once the next one is proven."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from dataclasses import dataclass

from evermodel.core.data.logged_predictions import list_label_files, list_row_files
from evermodel.core.errors import AskedWrongly, EvermodelError, Moved, NotFound
from evermodel.core.store import Store
from evermodel.registry.lookup import card_of, champion_of
from evermodel.registry.predictions.compare_logged import SHADOW, LoggedComparison, compare_logged, measure_scale
from evermodel.registry.predictions.seal_segments import log_folder
from evermodel.registry.predictions.staged_release import (
    ReleasePhase,
    StagedRelease,
    advance,
    read_release,
    write_release,
)
from evermodel.registry.row_memory import has_moments, read_memory
from evermodel.registry.versions import load_version
from evermodel.server.log_writer import LogMode, LogWriter
from evermodel.server.prepared_model import PreparedModel, prepare_model
from evermodel.server.server_metrics import ServerMetrics
from evermodel.server.trials.trial_outcome import SharedTrials
from evermodel.server.trials.trial_version import TrialPlan, TrialVersion, check_alike

logger = logging.getLogger(__name__)
LOOK_SECONDS = 0.25  # between two looks at which version is the champion
RETRY_SECONDS = 30.0  # until a version that failed is tried again: a disk may have been full


@dataclass
class ServedModel:
    """A model and the version that answers for it. A request holds the version it began with until it is answered."""

    name: str
    current: PreparedModel
    failed_version: str = ""  # the champion, where it could not be put in
    failed_at: float = 0.0
    failure: str = ""
    trial: TrialVersion | None = None
    release: str | None = None  # digest of the release that was read last


class ServedModels:
    """All models of a server. ``start`` follows the registry in a thread of its own until ``stop``."""

    def __init__(
        self,
        store: Store,
        names: tuple[str, ...],
        metrics: ServerMetrics,
        log: LogMode = "off",
        trials: tuple[TrialPlan, ...] = (),
        shared: SharedTrials | None = None,
    ) -> None:
        """``shared``: where several processes of one server agree on its trials; None: there is one process."""
        self.store, self.metrics, self.log = store, metrics, log
        self._shared = shared or SharedTrials()
        self.writers: dict[str, LogWriter] = {}  # by the name of the model
        self.shadow_writers: dict[str, LogWriter] = {}
        self._trials = trials
        self._names = names
        self._models: dict[str, ServedModel] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="evermodel-versions", daemon=True)

    def load_all(self) -> None:
        """Loads the champion of every model. Raises NotFound for a name there is not, Damaged, MissingExtra."""
        for name in self._names or self.store.list_models():
            self._put(name, self._load(name, champion_of(self.store, name).version))
        if not self._models:
            raise NotFound("There is no model to serve.", "'evermodel adopt' makes one.")
        for plan in self._trials:
            self._begin_trial(plan)

    def find(self, name: str) -> ServedModel | None:
        """The model of that name; None where it is not served."""
        return self._models.get(name)

    def only(self) -> ServedModel | None:
        """The one model; None where there are several."""
        return next(iter(self._models.values())) if len(self._models) == 1 else None

    def list_names(self) -> list[str]:
        return sorted(self._models)

    def start(self) -> None:
        """Follows the registry from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Ends following; a version that is being loaded is not put in."""
        self._end.set()
        self._thread.join(timeout=5.0)
        for writer in (*self.writers.values(), *self.shadow_writers.values()):
            writer.close()

    def look(self) -> None:
        """Puts in the champions that have changed. A version that fails does not go in; the old one goes on."""
        for name in self._names or tuple(self.store.list_models()):
            version = self.store.resolve_alias(name, "champion")
            served = self._models.get(name)
            if version is None or (served is not None and served.current.version == version):
                continue
            if served is not None and served.failed_version == version and _is_recent(served):
                continue
            self._change(name, served, version)

    def _follow(self) -> None:
        while not self._end.wait(LOOK_SECONDS):
            try:
                self.look()
                self.follow_releases()
                self.judge_trials()
                self.count_lost()
            except Exception:  # a database that is away for a while must not end the server
                logger.exception("The registry could not be read; the versions in service go on answering.")

    def count_lost(self) -> None:
        """Tells the metrics how many predictions are missing in the log."""
        for name, writer in tuple(self.writers.items()):
            self.metrics.lost_predictions.labels(name).set(writer.lost)

    def judge_trials(self) -> None:
        """Stops the trial of a version that is worse beyond doubt, by the labels that came; ends one that serves.

        Of several processes one judges; the others take in what it decided.
        """
        for served in self._models.values():
            if served.trial is not None:
                served.trial.outcome.refresh()
        if not self._shared.judges_here():
            return
        for served in self._models.values():
            trial = served.trial
            if trial is None:
                continue
            if trial.plan.follows_release:
                self._advance_release(served, trial)
            elif not trial.stopped and served.current.version == trial.plan.version:
                trial.stop("it is in service")
            elif not trial.stopped:
                held = self._compare(served, trial)
                if held is not None and held.outcome == "worse":
                    trial.stop(f"worse than {served.current.version} on {held.pairs:,} labelled pairs")

    def follow_releases(self) -> None:
        """Begins, widens and ends what the registry says of the releases of the models."""
        for served in self._models.values():
            digest, release = read_release(self.store, served.name)
            if digest == served.release or release is None:
                continue
            served.release = digest
            trial = served.trial
            follows = trial is not None and trial.plan.follows_release and not trial.stopped
            if release.phase is not ReleasePhase.RUNNING:
                if trial is not None and follows:
                    trial.stop(f"its release is over: {release.phase}")
            elif trial is not None and follows and trial.plan.version == release.version:
                trial.follow_share(release.share)
            elif self.log == "off" or (trial is not None and not trial.stopped and not follows):
                logger.warning("The release of %s needs a server that logs and has no other trial.", served.name)
            else:
                self._begin_release(served, digest, release)

    def _begin_release(self, served: ServedModel, digest: str | None, release: StagedRelease) -> None:
        try:
            self._begin_trial(
                TrialPlan(served.name, release.version, release.share, dt.datetime.fromisoformat(release.since))
            )
        except EvermodelError:
            logger.exception("%s %s cannot be released.", served.name, release.version)
            self._write_release(served.name, digest, advance(release, None, release.champion, failed=True))

    def _advance_release(self, served: ServedModel, trial: TrialVersion) -> None:
        """Moves a running release on where labels, failures or another champion decide something."""
        digest, release = read_release(self.store, served.name)
        if release is None or digest != served.release or release.phase is not ReleasePhase.RUNNING:
            return
        champion = self.store.resolve_alias(served.name, "champion") or ""
        held = None if trial.stopped else self._compare(served, trial)
        moved_on = advance(release, held, champion, failed=bool(trial.stopped))
        if moved_on != release:
            self._write_release(served.name, digest, moved_on)

    def _write_release(self, name: str, before: str | None, release: StagedRelease) -> None:
        try:
            write_release(self.store, name, before, release)
        except Moved:  # another server was first, or a person ended it
            logger.info("The release of %s was moved on by somebody else.", name)

    def _compare(self, served: ServedModel, trial: TrialVersion) -> LoggedComparison | None:
        """The trial beside the version in service; None where the log has nothing new, or nothing of it."""
        folder = log_folder(self.store, served.name)
        files = len(list_label_files(folder)), len(list_row_files(folder)), len(list_row_files(folder / SHADOW))
        if files == trial.judged_files:
            return None
        trial.judged_files = files
        contract = served.current.contract
        scale = measure_scale(self.store, read_memory(self.store, served.name), contract)
        try:
            return compare_logged(folder, contract, served.current.version, trial.plan.version, scale, trial.plan.since)
        except NotFound:  # nothing of it is in the log yet
            return None

    def _begin_trial(self, plan: TrialPlan) -> None:
        served = self._models.get(plan.name)
        if served is None:
            raise NotFound.among("model served here", plan.name, self._models)
        if self.log == "off":
            raise AskedWrongly("A trial needs the log: without it nothing can be compared.", "Leave out `log` off.")
        prepared = self._load(plan.name, card_of(self.store, plan.name, plan.version).version)
        check_alike(served.current, prepared)
        served.trial = TrialVersion(plan, prepared, self._shared.open_outcome(plan.key))
        if served.trial.is_shadow:
            self.shadow_writers[plan.name] = LogWriter(
                log_folder(self.store, plan.name) / SHADOW, "async", prepared.contract
            )

    def _change(self, name: str, served: ServedModel | None, version: str) -> None:
        began = time.monotonic()
        try:
            prepared = self._load(name, version)
        except Exception as error:  # whatever is wrong with it, it does not go in
            logger.exception("%s %s does not go in service here.", name, version)
            self.metrics.failed_swaps.labels(name).inc()
            if served is not None:
                served.failed_version, served.failed_at = version, time.monotonic()
                served.failure = error.message if isinstance(error, EvermodelError) else type(error).__name__
            return
        if self._end.is_set():
            return
        was = served.current.version if served is not None else ""
        self._put(name, prepared)
        logger.info("%s answers with %s (was %s), ready after %.2f s.", name, version, was, time.monotonic() - began)

    def _load(self, name: str, version: str) -> PreparedModel:
        card = self.store.read_card(name, version)
        model = load_version(self.store, card)
        return prepare_model(name, version, model, self.store.version_folder(name, version))

    def _open_log(self, name: str, prepared: PreparedModel) -> LogWriter:
        time_column = prepared.contract.roles.time
        moments = time_column is not None and has_moments(self.store, read_memory(self.store, name), time_column)
        return LogWriter(log_folder(self.store, name), self.log, prepared.contract, moments=moments)

    def _put(self, name: str, prepared: PreparedModel) -> None:
        if self.log != "off":
            if name not in self.writers:
                self.writers[name] = self._open_log(name, prepared)
            self.writers[name].follow_contract(prepared.contract)
        served = self._models.get(name)
        if served is None:
            self._models[name] = ServedModel(name, prepared)
        else:
            was, served.current = served.current, prepared  # one assignment: a request sees the old or the new version
            served.failed_version = served.failure = ""
            self.metrics.forget_version(name, was.version)
            self.metrics.swaps.labels(name).inc()
        self.metrics.version.labels(name, prepared.version).set(1)


def _is_recent(served: ServedModel) -> bool:
    return time.monotonic() - served.failed_at < RETRY_SECONDS
