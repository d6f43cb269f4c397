"""Evermodel keeps deployed models good: one function a verb, loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evermodel.loop.adopt import adopt as adopt
    from evermodel.loop.approve import approve as approve
    from evermodel.loop.backup import backup as backup
    from evermodel.loop.backup import restore as restore
    from evermodel.loop.doctor import doctor as doctor
    from evermodel.loop.fuse import fuse as fuse
    from evermodel.loop.gc import gc as gc
    from evermodel.loop.history import history as history
    from evermodel.loop.iterate import iterate as iterate
    from evermodel.loop.look import log as log
    from evermodel.loop.look import models as models
    from evermodel.loop.look import show as show
    from evermodel.loop.maintain import maintain as maintain
    from evermodel.loop.notify import notify as notify
    from evermodel.loop.point import promote as promote
    from evermodel.loop.point import rollback as rollback
    from evermodel.loop.policy import policy as policy
    from evermodel.loop.prune import prune as prune
    from evermodel.loop.reproduce import reproduce as reproduce
    from evermodel.loop.tune import tune as tune
    from evermodel.loop.update import update as update
    from evermodel.loop.use import evaluate as evaluate
    from evermodel.loop.use import predict as predict
    from evermodel.loop.use import save as save
    from evermodel.loop.watching import watch as watch

__version__ = "0.1.0"
VERBS = {
    "adopt": "loop.adopt",
    "update": "loop.update",
    "judge": "loop.judge",
    "promote": "loop.point",
    "rollback": "loop.point",
    "evaluate": "loop.use",
    "tune": "loop.tune",
    "fuse": "loop.fuse",
    "iterate": "loop.iterate",
    "prune": "loop.prune",
    "predict": "loop.use",
    "save": "loop.use",
    "models": "loop.look",
    "show": "loop.look",
    "log": "loop.look",
    "watch": "loop.watching",
    "gc": "loop.gc",
    "backup": "loop.backup",
    "restore": "loop.backup",
    "doctor": "loop.doctor",
    "reproduce": "loop.reproduce",
    "history": "loop.history",
    "notify": "loop.notify",
    "report": "export.report",
    "demo": "export.demo",
    "maintain": "loop.maintain",
    "policy": "loop.policy",
    "approve": "loop.approve",
    "expose": "export.exposition",
    "push": "export.pushing",
    "exporter": "export.exporter",
    "check": "export.check",
    "integrate": "export.integrate",
}
__all__ = ["VERBS", "__version__"]


def __getattr__(name: str) -> Any:
    if name in VERBS:
        return getattr(importlib.import_module(f"evermodel.{VERBS[name]}"), name)
    raise AttributeError(f"module 'evermodel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *VERBS])
