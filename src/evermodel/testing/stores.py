"""What every store must promise. ``check_store`` runs all checks; its error names the promise that is broken.

Each takes ``opened``, which opens the same empty place anew with every call, as another process would.
"""

from __future__ import annotations

import functools
import hashlib
import math
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evermodel.core.errors import Damaged, Moved, NotFound
from evermodel.core.plugins import Confidence
from evermodel.core.records.adoption_record import AdoptionRecord, TriedInput
from evermodel.core.records.event import Adopted, AlarmClosed, Decided, Event, EventKind
from evermodel.core.records.version_card import VersionCard
from evermodel.core.store import Move, Store, StoreModule, StoreOpener
from evermodel.testing.check_runner import run_checks
from evermodel.testing.jobs import CHECKS as JOB_CHECKS

Opened = Callable[[], Store]
Check = Callable[[Opened], None]
CARD = VersionCard(
    "m",
    "",
    settings={"rate": 0.1, "deep": True},
    adoption=AdoptionRecord({"auc": 0.75}, tried=(TriedInput("none", "ü", -math.inf),)),
)


def add_tiny_version(store: Store, name: str = "m", text: str = "weights") -> VersionCard:
    """Adds a version with one small file to ``store``."""
    staged = store.staging_folder()
    (staged / "model").mkdir()
    (staged / "model" / "w").write_text(text)
    return store.add_version(staged, VersionCard(name, "", adoption=CARD.adoption, settings=CARD.settings))


def check_versions_never_change(opened: Opened) -> None:
    """Versions are v1, v2 …, each with the bytes and the card it was added with, whoever asks."""
    cards = [add_tiny_version(opened(), text=text) for text in ("a", "b", "c")]
    assert [c.version for c in cards] == ["v1", "v2", "v3"], f"numbered {[c.version for c in cards]}"
    other = opened()
    for card, text in zip(cards, "abc", strict=True):
        stored = (other.version_folder("m", card.version) / "model" / "w").read_text()
        assert stored == text, f"{card.version} holds {stored!r}, added with {text!r}"
        assert other.read_card("m", card.version) == card, f"the card of {card.version} changed"
    assert other.list_cards("m") == cards, "the cards are not those of the versions, oldest first"


def check_concurrent_writers_get_numbers_of_their_own(opened: Opened) -> None:
    """Versions added at the same time get different numbers, and none is lost or mixed with another."""
    with ThreadPoolExecutor(6) as pool:
        cards = list(pool.map(lambda i: add_tiny_version(opened(), text=f"writer {i}"), range(12)))
    assert sorted(int(c.version[1:]) for c in cards) == list(range(1, 13)), "a number was given twice or left out"
    for i, card in enumerate(cards):
        stored = (opened().version_folder("m", card.version) / "model" / "w").read_text()
        assert stored == f"writer {i}", f"{card.version} was added by writer {i} and holds {stored!r}"


def check_stale_expectation_moves_nothing(opened: Opened) -> None:
    """A move from where an alias is not raises Moved; the other moves and events of the call do not happen either."""
    store = opened()
    store.commit_moves("m", [Move("champion", "v1", None)], [])
    moves = [Move("memory", "x", None), Move("champion", "v2", None)]
    try:
        store.commit_moves("m", moves, [_promoted(2)])
    except Moved:
        other = opened()
        assert other.resolve_alias("m", "champion") == "v1", "the alias moved"
        assert other.resolve_alias("m", "memory") is None, "another move of the same call happened"
        assert not other.read_events("m"), "the event was written"
        return
    raise AssertionError("a stale expectation was accepted")


def check_one_of_many_movers_wins(opened: Opened) -> None:
    """Of all who expect the same target, exactly one moves the alias; its event alone is in the log."""
    opened().commit_moves("m", [Move("champion", "v0", None)], [])

    def try_to_move(number: int) -> bool:
        try:
            opened().commit_moves("m", [Move("champion", f"v{number}", "v0")], [_promoted(number)])
        except Moved:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        winners = [n for n, moved in zip(range(1, 13), pool.map(try_to_move, range(1, 13)), strict=True) if moved]
    assert len(winners) == 1, f"{len(winners)} moved it"
    assert opened().resolve_alias("m", "champion") == f"v{winners[0]}"
    assert [e.version for e in opened().read_events("m")] == [f"v{winners[0]}"]


def check_events_keep_their_order(opened: Opened) -> None:
    """Events are read oldest first, of one model or of all; their data come back as they went in."""
    events = [
        Event("m", EventKind.ADOPTED, "now", Adopted("v1", 3, ("ü\x00",))),
        Event("n", EventKind.ADOPTED, "now", Adopted("v1")),
        Event("m", EventKind.HELD, "now", Decided("v2", "v1", seconds=math.inf)),
        Event("m", EventKind.ALARM_CLOSED, "now", AlarmClosed("drift", "age")),
    ]
    for event in events:
        opened().commit_moves(event.name, [], [event])
    log = opened().read_events()
    assert [(e.name, e.kind, e.at) for e in log] == [(e.name, e.kind, e.at) for e in events], "the order changed"
    assert [e.data for e in log] == [e.data for e in events], "data changed"
    assert [e.data for e in opened().read_events("m")] == [e.data for e in events if e.name == "m"]
    assert [e.number for e in log] == sorted({e.number for e in log}), "the numbers do not grow"


def check_blobs_are_named_by_their_bytes(opened: Opened) -> None:
    """``put_blob`` returns the SHA-256, twice the same bytes are kept once; ``delete_blob`` may be called again."""
    store = opened()
    digest = hashlib.sha256(b"rows").hexdigest()
    for _ in range(2):
        staged = store.staging_folder() / "rows"
        staged.write_bytes(b"rows")
        assert store.put_blob(staged) == digest, "put_blob did not return the SHA-256"
    assert opened().get_blob(digest).read_bytes() == b"rows", "the blob holds other bytes"
    store.delete_blob(digest)
    store.delete_blob(digest)
    try:
        opened().get_blob(digest)
    except Damaged:
        return
    raise AssertionError("a deleted blob is still there")


def check_unknown_names_are_refused(opened: Opened) -> None:
    """An unknown model or version raises NotFound, and the hint names those there are."""
    store = opened()
    add_tiny_version(store)
    store.commit_moves("m", [Move("champion", "v1", None)], [])
    for name, version, existing in (("m", "v9", "v1"), ("n", "v1", "m")):
        try:
            store.read_card(name, version)
        except NotFound as error:
            assert existing in error.hint, f"{error.hint!r} does not name {existing}"
        else:
            raise AssertionError(f"{name} {version} was found")
    assert store.resolve_alias("m", "nothing") is None, "an alias that was never set has a target"
    assert store.list_models() == ["m"], "list_models does not list the models with a champion"


CHECKS = (
    check_versions_never_change,
    check_concurrent_writers_get_numbers_of_their_own,
    check_stale_expectation_moves_nothing,
    check_one_of_many_movers_wins,
    check_events_keep_their_order,
    check_blobs_are_named_by_their_bytes,
    check_unknown_names_are_refused,
)


def check_locations_are_recognized(module: StoreModule, location: str) -> None:
    """It recognizes its own locations, and no URL of a scheme that nobody has."""
    assert module.recognize(location) is not Confidence.NO, f"it does not recognize {location!r}"
    assert module.recognize("nobody-has-this://somewhere") is Confidence.NO, "it claims a URL of a foreign scheme"


def check_store(module: StoreModule, make_location: Callable[[Path], str]) -> int:
    """Runs every check on a store's module, those of jobs as well; returns how many ran.

    ``make_location`` gives the location of a new, empty registry; the folder that it is given is removed afterwards.
    Raises AssertionError that names the broken promise.
    """
    name = module.__name__.rpartition(".")[2]
    opener: StoreOpener = getattr(module, name)
    for check in (*CHECKS, *JOB_CHECKS):
        with tempfile.TemporaryDirectory() as folder:
            location = make_location(Path(folder))
            run_checks([check], "store", name, functools.partial(opener, location))
    with tempfile.TemporaryDirectory() as folder:
        run_checks([check_locations_are_recognized], "store", name, module, make_location(Path(folder)))
    return len(CHECKS) + len(JOB_CHECKS) + 1


def _promoted(number: int) -> Event:
    return Event("m", EventKind.PROMOTED, "now", Decided(f"v{number}", "v0"))
