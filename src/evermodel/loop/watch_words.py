"""What an alarm says: what probably caused it, and which command to run next."""

from __future__ import annotations

from evermodel.core.cells import JOINT
from evermodel.loop.watch_evidence import Subject
from evermodel.loop.watch_reference import PREDICTION
from evermodel.loop.watch_state import State, Watched

WORDS = {
    "missing": "values of {of} are missing more often: {now:.1%} of the newest rows, {was:.1%} of the reference rows",
    "unseen": "{of} holds categories that the reference rows do not: {now:.1%} of the newest rows",
    "range": "{of} lies outside the reference rows' range in {now:.1%} of the newest rows",
}


def cause_of(state: State, watched: Watched, subject: Subject) -> str:
    """In words, from what else changed at the same time."""
    newest = subject.looks[-1]
    total = max(1.0, float(newest.sum()))
    if subject.name in WORDS:
        was = float(subject.reference[0] / subject.reference.sum())
        return WORDS[subject.name].format(of=subject.of, now=float(newest[0]) / total, was=was)
    others = [a.subject for a in state.alarms if not a.closed and a.name != "quality" and a.subject != subject.of]
    if subject.name == "quality":
        was, now = (float(x[0] / x.sum()) for x in (subject.reference, newest))
        what = "wrong answers" if subject.of == "accuracy" else "rows with a large loss"
        told = f"{what}: {now:.1%} of the newest labelled rows, {was:.1%} before"
        return f"{told}; " + (f"changed with {', '.join(others[:3])}" if others else "the inputs look as before")
    if subject.of == PREDICTION:
        return "the model answers otherwise" + (f": changed with {', '.join(others[:3])}" if others else "")
    if subject.of == JOINT:
        return "the columns go together otherwise than in the reference rows, though each may look as before"
    weight = watched.matters.get(subject.of)
    told = "" if weight is None else f"; the model depends on it {'much' if weight >= 0.25 else 'little'}"
    return f"the values of {subject.of} are distributed otherwise than in the reference rows{told}"


def next_of(state: State, subject: Subject) -> str:
    """The command to run."""
    if subject.name == "quality":
        return f"evermodel update {state.name} NEW_ROWS"
    if subject.name in ("missing", "unseen", "range"):
        return f"evermodel show {state.name} {state.version}"
    return f"evermodel watch {state.name} --labels FILE"
