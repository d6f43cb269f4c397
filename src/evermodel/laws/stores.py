"""What every store obeys. A law is a function: it returns when it holds and raises AssertionError when it does not.

Each takes ``opened``, which opens the same empty place anew with every call, as another process would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from evermodel.core.errors import Damaged, Moved, NotFound
from evermodel.core.store import Card, Event, Move, Store

Opened = Callable[[], Store]


def put(store: Store, name: str = "m", text: str = "weights") -> Card:
    """A tiny version."""
    staged = store.stage()
    (staged / "model").mkdir()
    (staged / "model" / "w").write_text(text)
    return store.put(staged, Card(name, ""))


def versions_are_numbered_and_never_change(opened: Opened) -> None:
    """v1, v2 …, each with the bytes it was put with, whoever asks."""
    cards = [put(opened(), text=text) for text in ("a", "b", "c")]
    assert [c.version for c in cards] == ["v1", "v2", "v3"], f"numbered {[c.version for c in cards]}"
    other = opened()
    for card, text in zip(cards, "abc", strict=True):
        found = (other.get("m", card.version) / "model" / "w").read_text()
        assert found == text, f"{card.version} holds {found!r}, put with {text!r}"
        assert other.card("m", card.version) == card, f"the card of {card.version} changed"
    assert other.cards("m") == cards


def of_many_writers_each_has_its_number(opened: Opened) -> None:
    """Versions put at the same time get different numbers, and none is lost or mixed with another."""
    with ThreadPoolExecutor(6) as pool:
        cards = list(pool.map(lambda i: put(opened(), text=f"writer {i}"), range(12)))
    assert sorted(int(c.version[1:]) for c in cards) == list(range(1, 13)), "a number was given twice or left out"
    for i, card in enumerate(cards):
        found = (opened().get("m", card.version) / "model" / "w").read_text()
        assert found == f"writer {i}", f"{card.version} was put by writer {i} and holds {found!r}"


def a_stale_expectation_moves_nothing(opened: Opened) -> None:
    """A move from where a name is not raises Moved; other moves and events of the same call do not happen either."""
    store = opened()
    store.point("m", [Move("champion", "v1", None)], [])
    try:
        store.point("m", [Move("memory", "x", None), Move("champion", "v2", None)], [Event("m", "promoted", "now")])
    except Moved:
        other = opened()
        assert other.at("m", "champion") == "v1", "the name moved"
        assert other.at("m", "memory") is None, "another move of the same call happened"
        assert not other.log("m"), "the event was written"
        return
    raise AssertionError("a stale expectation was accepted")


def of_many_who_move_a_name_one_wins(opened: Opened) -> None:
    """Of all who expect the same, exactly one moves it; its event alone is in the log."""
    opened().point("m", [Move("champion", "v0", None)], [])

    def tries(number: int) -> bool:
        try:
            opened().point("m", [Move("champion", f"v{number}", "v0")], [Event("m", "promoted", "now", {"n": number})])
        except Moved:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        won = [n for n, moved in zip(range(1, 13), pool.map(tries, range(1, 13)), strict=True) if moved]
    assert len(won) == 1, f"{len(won)} moved it"
    assert opened().at("m", "champion") == f"v{won[0]}"
    assert [e.facts["n"] for e in opened().log("m")] == won


def events_keep_their_order(opened: Opened) -> None:
    """The log is what happened, oldest first, of one model or of all; facts come back as they went in."""
    for name, kind in (("m", "adopted"), ("n", "adopted"), ("m", "held"), ("m", "promoted")):
        opened().point(name, [], [Event(name, kind, "now", {"a": [1, None, "ü\x00"]})])
    log = opened().log()
    assert [(e.name, e.kind) for e in log] == [("m", "adopted"), ("n", "adopted"), ("m", "held"), ("m", "promoted")]
    assert [e.kind for e in opened().log("m")] == ["adopted", "held", "promoted"]
    assert all(e.facts == {"a": [1, None, "ü\x00"]} for e in log), "facts changed"
    assert [e.number for e in log] == sorted({e.number for e in log})


def blobs_are_named_by_their_bytes(opened: Opened) -> None:
    """``keep`` returns the SHA-256, twice the same bytes are once; ``discard`` forgives what is gone."""
    store = opened()
    for _ in range(2):
        staged = store.stage() / "rows"
        staged.write_bytes(b"rows")
        assert store.keep(staged) == hashlib.sha256(b"rows").hexdigest()
    digest = hashlib.sha256(b"rows").hexdigest()
    assert opened().blob(digest).read_bytes() == b"rows"
    store.discard(digest)
    store.discard(digest)
    try:
        opened().blob(digest)
    except Damaged:
        return
    raise AssertionError("a discarded blob is still there")


def what_is_unknown_is_said(opened: Opened) -> None:
    """An unknown model or version raises NotFound, naming what there is."""
    store = opened()
    put(store)
    store.point("m", [Move("champion", "v1", None)], [])
    for name, version, known in (("m", "v9", "v1"), ("n", "v1", "m")):
        try:
            store.card(name, version)
        except NotFound as error:
            assert known in error.hint, f"{error.hint!r} does not name {known}"
        else:
            raise AssertionError(f"{name} {version} was found")
    assert store.at("m", "nothing") is None
    assert store.models() == ["m"]


LAWS = (
    versions_are_numbered_and_never_change,
    of_many_writers_each_has_its_number,
    a_stale_expectation_moves_nothing,
    of_many_who_move_a_name_one_wins,
    events_keep_their_order,
    blobs_are_named_by_their_bytes,
    what_is_unknown_is_said,
)
