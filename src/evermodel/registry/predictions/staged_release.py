"""A release that grows by itself: 1, 5, 25 % of the requests, then the champion; taken back by itself on harm.

What is decided, and on what, is a typed record in the registry. Every running server follows it, and the one that sees
the evidence first moves it on: of several, one move counts (compare-and-swap).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from evermodel.core import clock
from evermodel.core.data.contract import Contract
from evermodel.core.errors import AskedWrongly, BadSetting, ContractBroken, NotFound
from evermodel.core.records.codec import RecordKind, decode, encode
from evermodel.core.records.event import Actor, ChampionMoved, Event, EventKind
from evermodel.core.store import Move, Store
from evermodel.registry.lookup import card_of, champion_of, event, open_store
from evermodel.registry.predictions.compare_logged import DECIDED, MARGIN, LoggedComparison
from evermodel.registry.results import Result

ALIAS = "release"  # of a model: the digest of its newest release
SHARES = (0.01, 0.05, 0.25)  # of the requests, one stage after the other; then the version serves
STAGE_PAIRS = 100  # labelled pairs that each stage waits for
HARM = 100.0  # e-value of harm at which it is taken back: of equal versions at most 1 in 100 ever is
CAUTION = 4.0  # e-value of harm from which on the share grows no further


class ReleasePhase(StrEnum):
    """Where a release stands."""

    RUNNING = "running"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    ABORTED = "aborted"


class ReleaseEnd(StrEnum):
    """Why a release ended."""

    WORSE = "labels show that it is worse"
    FAILED = "it failed to answer"
    NO_WORSE = "labels show that it is no worse"
    OVERTAKEN = "another version was put in service"
    BY_HAND = "a person ended it"


@dataclass(frozen=True)
class StagedRelease:
    """The record of a release, with the evidence at the last look."""

    version: str
    champion: str  # in service when it began
    shares: tuple[float, ...]
    since: str  # ISO 8601, UTC; what was answered before is no evidence
    stage: int = 0  # place in ``shares``
    stage_pairs: int = 0  # labelled pairs there were when the stage began
    phase: ReleasePhase = ReleasePhase.RUNNING
    end: ReleaseEnd | None = None
    pairs: int = 0
    worse: float = 1.0  # e-values
    no_worse: float = 1.0

    @property
    def share(self) -> float:
        """Of the requests that the version answers now; all where it serves, none where it was taken back."""
        if self.phase is ReleasePhase.RUNNING:
            return self.shares[self.stage]
        return 1.0 if self.phase is ReleasePhase.PROMOTED else 0.0


STAGED_RELEASE = RecordKind("release", StagedRelease)


@dataclass(frozen=True)
class StagedReleaseResult(Result):
    """A model's release as it stands."""

    name: str
    release: StagedRelease

    def lines(self) -> list[str]:
        """Where it stands, on what evidence, and what comes next."""
        held = self.release
        head = f"{self.name} {held.version}: {held.phase}" + ("" if held.end is None else f", because {held.end}")
        if held.phase is not ReleasePhase.RUNNING:
            return [head, *self._evidence()]
        waits = max(0, STAGE_PAIRS - (held.pairs - held.stage_pairs))
        later = [f"{100 * share:g} %" for share in held.shares[held.stage + 1 :]]
        then = " -> ".join([*later, "in service"])
        return [
            f"{head}, answers {100 * held.share:g} % of the requests beside {held.champion}",
            *self._evidence(),
            f"  next     {then}; this stage waits for {waits:,} more labelled pairs",
            f"  servers of {self.name} follow within a second: evermodel serve {self.name}",
        ]

    def _evidence(self) -> list[str]:
        held = self.release
        return [
            f"  labelled pairs {held.pairs:,}; e-value of worse {held.worse:.3g} ({HARM:g} takes it back), "
            f"of no worse than by {MARGIN:g} {held.no_worse:.3g} ({DECIDED:g} puts it in service)"
        ]


def begin_release(
    name: str, version: str, *, share: float = SHARES[0], registry: str | Path | None = None
) -> StagedReleaseResult:
    """Let the servers of a model answer a share of the requests with ``version``, which grows by itself.

    Each stage waits for labelled pairs. After the last one the version serves, once it is shown to be no worse. It is
    taken back as soon as labels show that it is worse, or when it fails to answer.

    Args:
        name: the name of the model.
        version: the version to release, for example ``"v3"``.
        share: of the requests to begin with, above 0 and below 1.
        registry: the location of the registry.

    Raises:
        BadSetting: the share is out of its bounds.
        AskedWrongly: the version serves already, or another release runs.
        ContractBroken: the version does not take the same rows, or gives other classes.

    Example:
        $ evermodel release churn v3 --canary 5%
    """
    if not 0.0 < share < 1.0:
        raise BadSetting(f"`canary` must be a share above 0 and below 100 %. Got {100 * share:g} %.")
    store = open_store(registry)
    champion = champion_of(store, name).version
    version = card_of(store, name, version).version
    if version == champion:
        raise AskedWrongly(f"{name} {version} serves already.", "Name another version.")
    digest, running = read_release(store, name)
    if running is not None and running.phase is ReleasePhase.RUNNING:
        raise AskedWrongly(
            f"The release of {name} {running.version} is running.", f"End it first: evermodel release {name} --abort"
        )
    one, two = (_read_contract(store, name, each) for each in (champion, version))
    if (one.names, one.classes, one.task) != (two.names, two.classes, two.task):
        raise ContractBroken(
            f"{version} has other inputs or classes than {champion}, which serves.",
            "Only a version that takes the same requests can be released by a share of them.",
        )
    shares = (share, *(later for later in SHARES if later > share))
    release = StagedRelease(version, champion, shares, clock.current_time().isoformat())
    write_release(store, name, digest, release)
    return StagedReleaseResult(name, release)


def show_release(name: str, *, registry: str | Path | None = None) -> StagedReleaseResult:
    """A model's newest release as it stands. Raises NotFound where there was none.

    Example:
        $ evermodel release churn --status
    """
    store = open_store(registry)
    champion_of(store, name)
    _, release = read_release(store, name)
    if release is None:
        raise NotFound(f"{name} has no release.", f"Begin one: evermodel release {name} VERSION --canary 1%")
    return StagedReleaseResult(name, release)


def abort_release(name: str, *, registry: str | Path | None = None) -> StagedReleaseResult:
    """End a running release: the version in service answers everything again.

    Raises NotFound where there was none, AskedWrongly where it is over, Moved where a server moved it on meanwhile.

    Example:
        $ evermodel release churn --abort
    """
    store = open_store(registry)
    release = show_release(name, registry=registry).release
    if release.phase is not ReleasePhase.RUNNING:
        raise AskedWrongly(f"The release of {name} {release.version} is over: {release.phase}.")
    ended = replace(release, phase=ReleasePhase.ABORTED, end=ReleaseEnd.BY_HAND)
    write_release(store, name, store.resolve_alias(name, ALIAS), ended)
    return StagedReleaseResult(name, ended)


def advance(release: StagedRelease, held: LoggedComparison | None, champion: str, *, failed: bool) -> StagedRelease:
    """What the evidence makes of a running release; the same where it decides nothing. Pure: no input or output.

    Harm is looked for in all pairs, at every look: of equal versions at most one in a hundred is ever taken back. The
    share grows after enough pairs of its stage without a sign of harm. ``champion``: the version that serves now.
    """
    if release.phase is not ReleasePhase.RUNNING:
        return release
    if champion != release.champion:
        return replace(release, phase=ReleasePhase.ABORTED, end=ReleaseEnd.OVERTAKEN)
    if held is not None:
        release = replace(release, pairs=held.pairs, worse=held.worse, no_worse=held.no_worse)
    if failed:
        return replace(release, phase=ReleasePhase.ROLLED_BACK, end=ReleaseEnd.FAILED)
    if release.worse >= HARM:
        return replace(release, phase=ReleasePhase.ROLLED_BACK, end=ReleaseEnd.WORSE)
    if release.pairs - release.stage_pairs < STAGE_PAIRS or release.worse >= CAUTION:
        return release
    if release.stage + 1 < len(release.shares):
        return replace(release, stage=release.stage + 1, stage_pairs=release.pairs)
    if release.no_worse >= DECIDED:
        return replace(release, phase=ReleasePhase.PROMOTED, end=ReleaseEnd.NO_WORSE)
    return release


def read_release(store: Store, name: str) -> tuple[str | None, StagedRelease | None]:
    """The digest and the record of a model's newest release; None where there is none. Raises Damaged."""
    digest = store.resolve_alias(name, ALIAS)
    if digest is None:
        return None, None
    return digest, decode(STAGED_RELEASE, store.get_blob(digest).read_bytes(), name)


def write_release(store: Store, name: str, before: str | None, release: StagedRelease) -> str:
    """Keeps the record and does what it says, in one transaction. Raises Moved where another was written meanwhile."""
    staged = store.staging_folder() / "release.json"
    staged.write_text(encode(STAGED_RELEASE, release))
    digest = store.put_blob(staged)
    moves = [Move(ALIAS, digest, before)]
    if release.phase is ReleasePhase.PROMOTED:
        moves.append(Move("champion", release.version, release.champion))
    store.commit_moves(name, moves, _tell(name, release))
    return digest


def _tell(name: str, release: StagedRelease) -> list[Event]:
    """The event of a release that ended; a champion that stays is told of as well."""
    if release.end is None:
        return []
    actor = Actor.HAND if release.end is ReleaseEnd.BY_HAND else Actor.RELEASE
    kind = EventKind.RELEASED if release.phase is ReleasePhase.PROMOTED else EventKind.DECLINED
    reason = f"the release ended at {100 * release.shares[release.stage]:g} % of the requests: {release.end}"
    return [event(name, kind, ChampionMoved(release.version, release.champion, actor, (reason,)))]


def _read_contract(store: Store, name: str, version: str) -> Contract:
    return Contract.from_json((store.version_folder(name, version) / "contract.json").read_text())
