"""Evermodel keeps deployed models good: it updates, judges, promotes, rolls back, watches and maintains them.

Example:
    >>> import evermodel as em
    >>> registry = em.open("models")
    >>> churn = registry["churn"]
    >>> result = churn.update("april.csv")
    >>> str(result.decision)
    'promote'

``open`` gives a ``Registry`` of ``Model`` objects; each verb also is a function that takes the name of a model:
``em.update("churn", "april.csv", registry="models")``. Everything is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evermodel.api.explained_update import ModelUpdate as ModelUpdate
    from evermodel.api.model import Model as Model
    from evermodel.api.predictions import predict as predict
    from evermodel.api.registry import Registry as Registry
    from evermodel.api.registry import open as open  # noqa: A004
    from evermodel.api.version import Version as Version
    from evermodel.core import errors as errors
    from evermodel.core.errors import EvermodelError as EvermodelError
    from evermodel.core.records.monitoring import Alarm as Alarm
    from evermodel.core.records.monitoring import Drift as Drift
    from evermodel.core.records.monitoring import MonitorStatus as MonitorStatus
    from evermodel.core.records.monitoring import Window as Window
    from evermodel.core.records.update_decision import UpdateDecision as UpdateDecision
    from evermodel.core.records.update_record import Candidate as Candidate
    from evermodel.core.records.update_record import Score as Score
    from evermodel.explaining.explain import Explanation as Explanation
    from evermodel.explaining.explain import explain as explain
    from evermodel.integrations.exporter import Exporter as Exporter
    from evermodel.integrations.exporter import exporter as exporter
    from evermodel.integrations.exposition import ExposeResult as ExposeResult
    from evermodel.integrations.exposition import expose as expose
    from evermodel.integrations.integrate import IntegrateResult as IntegrateResult
    from evermodel.integrations.integrate import integrate as integrate
    from evermodel.integrations.nagios_check import CheckResult as CheckResult
    from evermodel.integrations.nagios_check import check as check
    from evermodel.integrations.publish import PublishResult as PublishResult
    from evermodel.integrations.publish import publish as publish
    from evermodel.integrations.pushgateway import PushResult as PushResult
    from evermodel.integrations.pushgateway import push as push
    from evermodel.maintenance.approve import ApproveResult as ApproveResult
    from evermodel.maintenance.approve import approve as approve
    from evermodel.maintenance.deletion.delete_rows import DeleteResult as DeleteResult
    from evermodel.maintenance.deletion.delete_rows import delete as delete
    from evermodel.maintenance.doctor.doctor import DoctorResult as DoctorResult
    from evermodel.maintenance.doctor.doctor import doctor as doctor
    from evermodel.maintenance.maintain import MaintainResult as MaintainResult
    from evermodel.maintenance.maintain import maintain as maintain
    from evermodel.maintenance.policy import PolicyResult as PolicyResult
    from evermodel.maintenance.policy import policy as policy
    from evermodel.monitoring.notify import NotifyResult as NotifyResult
    from evermodel.monitoring.notify import notify as notify
    from evermodel.monitoring.summary import WatchResult as WatchResult
    from evermodel.monitoring.watch import watch as watch
    from evermodel.registry.adoption.adopt import adopt as adopt
    from evermodel.registry.evaluation import evaluate as evaluate
    from evermodel.registry.history import History as History
    from evermodel.registry.history import history as history
    from evermodel.registry.inspection import log as log
    from evermodel.registry.inspection import models as models
    from evermodel.registry.inspection import show as show
    from evermodel.registry.model_export import save as save
    from evermodel.registry.prediction import predict_file as predict_file
    from evermodel.registry.predictions.batch_scoring import ScoreResult as ScoreResult
    from evermodel.registry.predictions.batch_scoring import score as score
    from evermodel.registry.predictions.label import LabelResult as LabelResult
    from evermodel.registry.predictions.label import label as label
    from evermodel.registry.predictions.release import ReleaseResult as ReleaseResult
    from evermodel.registry.predictions.release import release as release
    from evermodel.registry.predictions.staged_release import StagedReleaseResult as StagedReleaseResult
    from evermodel.registry.predictions.staged_release import abort_release as abort_release
    from evermodel.registry.predictions.staged_release import begin_release as begin_release
    from evermodel.registry.predictions.staged_release import show_release as show_release
    from evermodel.registry.promotion import promote as promote
    from evermodel.registry.promotion import rollback as rollback
    from evermodel.registry.results import AdoptResult as AdoptResult
    from evermodel.registry.results import EvaluateResult as EvaluateResult
    from evermodel.registry.results import PendingAdoption as PendingAdoption
    from evermodel.registry.results import PredictResult as PredictResult
    from evermodel.registry.results import PromoteResult as PromoteResult
    from evermodel.registry.results import Result as Result
    from evermodel.registry.results import SaveResult as SaveResult
    from evermodel.registry.update_result import ScoreTable as ScoreTable
    from evermodel.registry.update_result import UpdateResult as UpdateResult
    from evermodel.registry.upkeep.backup import BackupResult as BackupResult
    from evermodel.registry.upkeep.backup import RestoreResult as RestoreResult
    from evermodel.registry.upkeep.backup import backup as backup
    from evermodel.registry.upkeep.backup import restore as restore
    from evermodel.registry.upkeep.gc import GcResult as GcResult
    from evermodel.registry.upkeep.gc import gc as gc
    from evermodel.reports.report import ReportResult as ReportResult
    from evermodel.reports.report import report as report
    from evermodel.searching.fuse import FuseResult as FuseResult
    from evermodel.searching.fuse import fuse as fuse
    from evermodel.searching.iterate import IterateResult as IterateResult
    from evermodel.searching.iterate import iterate as iterate
    from evermodel.searching.merge.merge_files import MergeFilesResult as MergeFilesResult
    from evermodel.searching.merge.merge_files import merge_files as merge_files
    from evermodel.searching.prune.prune import PruneResult as PruneResult
    from evermodel.searching.prune.prune import prune as prune
    from evermodel.searching.reproduce import ReproduceResult as ReproduceResult
    from evermodel.searching.reproduce import reproduce as reproduce
    from evermodel.searching.tune.tune import TuneResult as TuneResult
    from evermodel.searching.tune.tune import tune as tune
    from evermodel.server.serve import InferenceServer as InferenceServer
    from evermodel.server.serve import serve as serve
    from evermodel.server.server_settings import ServerLimits as ServerLimits
    from evermodel.updating.update import update as update
    from evermodel.updating.verdicts.judge_version import JudgeResult as JudgeResult
    from evermodel.updating.verdicts.judge_version import judge as judge

__version__ = "0.1.0"

# Where each public name is defined; the module is imported when the name is first used.
_MODULES = {
    "Registry": "api.registry",
    "open": "api.registry",
    "Model": "api.model",
    "Version": "api.version",
    "predict": "api.predictions",
    "adopt": "registry.adoption.adopt",
    "update": "updating.update",
    "judge": "updating.verdicts.judge_version",
    "JudgeResult": "updating.verdicts.judge_version",
    "promote": "registry.promotion",
    "rollback": "registry.promotion",
    "evaluate": "registry.evaluation",
    "explain": "explaining.explain",
    "Explanation": "explaining.explain",
    "predict_file": "registry.prediction",
    "save": "registry.model_export",
    "AdoptResult": "registry.results",
    "EvaluateResult": "registry.results",
    "PendingAdoption": "registry.results",
    "PredictResult": "registry.results",
    "PromoteResult": "registry.results",
    "Result": "registry.results",
    "SaveResult": "registry.results",
    "Candidate": "core.records.update_record",
    "Score": "core.records.update_record",
    "ScoreTable": "registry.update_result",
    "ModelUpdate": "api.explained_update",
    "UpdateResult": "registry.update_result",
    "log": "registry.inspection",
    "models": "registry.inspection",
    "show": "registry.inspection",
    "History": "registry.history",
    "history": "registry.history",
    "BackupResult": "registry.upkeep.backup",
    "RestoreResult": "registry.upkeep.backup",
    "backup": "registry.upkeep.backup",
    "restore": "registry.upkeep.backup",
    "GcResult": "registry.upkeep.gc",
    "gc": "registry.upkeep.gc",
    "TuneResult": "searching.tune.tune",
    "tune": "searching.tune.tune",
    "FuseResult": "searching.fuse",
    "fuse": "searching.fuse",
    "IterateResult": "searching.iterate",
    "iterate": "searching.iterate",
    "MergeFilesResult": "searching.merge.merge_files",
    "merge_files": "searching.merge.merge_files",
    "PruneResult": "searching.prune.prune",
    "prune": "searching.prune.prune",
    "ReproduceResult": "searching.reproduce",
    "reproduce": "searching.reproduce",
    "watch": "monitoring.watch",
    "WatchResult": "monitoring.summary",
    "NotifyResult": "monitoring.notify",
    "notify": "monitoring.notify",
    "Alarm": "core.records.monitoring",
    "Drift": "core.records.monitoring",
    "MonitorStatus": "core.records.monitoring",
    "Window": "core.records.monitoring",
    "UpdateDecision": "core.records.update_decision",
    "EvermodelError": "core.errors",
    "ReportResult": "reports.report",
    "report": "reports.report",
    "DeleteResult": "maintenance.deletion.delete_rows",
    "delete": "maintenance.deletion.delete_rows",
    "DoctorResult": "maintenance.doctor.doctor",
    "doctor": "maintenance.doctor.doctor",
    "MaintainResult": "maintenance.maintain",
    "maintain": "maintenance.maintain",
    "PolicyResult": "maintenance.policy",
    "policy": "maintenance.policy",
    "ApproveResult": "maintenance.approve",
    "approve": "maintenance.approve",
    "ExposeResult": "integrations.exposition",
    "expose": "integrations.exposition",
    "PushResult": "integrations.pushgateway",
    "push": "integrations.pushgateway",
    "Exporter": "integrations.exporter",
    "exporter": "integrations.exporter",
    "CheckResult": "integrations.nagios_check",
    "check": "integrations.nagios_check",
    "InferenceServer": "server.serve",
    "ServerLimits": "server.server_settings",
    "serve": "server.serve",
    "ReleaseResult": "registry.predictions.release",
    "release": "registry.predictions.release",
    "StagedReleaseResult": "registry.predictions.staged_release",
    "abort_release": "registry.predictions.staged_release",
    "begin_release": "registry.predictions.staged_release",
    "show_release": "registry.predictions.staged_release",
    "ScoreResult": "registry.predictions.batch_scoring",
    "score": "registry.predictions.batch_scoring",
    "PublishResult": "integrations.publish",
    "publish": "integrations.publish",
    "LabelResult": "registry.predictions.label",
    "label": "registry.predictions.label",
    "IntegrateResult": "integrations.integrate",
    "integrate": "integrations.integrate",
}
__all__ = [
    "AdoptResult",
    "Alarm",
    "ApproveResult",
    "BackupResult",
    "Candidate",
    "CheckResult",
    "DoctorResult",
    "Drift",
    "EvaluateResult",
    "EvermodelError",
    "Explanation",
    "Exporter",
    "ExposeResult",
    "FuseResult",
    "GcResult",
    "History",
    "InferenceServer",
    "IntegrateResult",
    "IterateResult",
    "JudgeResult",
    "LabelResult",
    "MaintainResult",
    "MergeFilesResult",
    "Model",
    "ModelUpdate",
    "MonitorStatus",
    "NotifyResult",
    "PendingAdoption",
    "PolicyResult",
    "PredictResult",
    "PromoteResult",
    "PruneResult",
    "PublishResult",
    "PushResult",
    "Registry",
    "ReleaseResult",
    "ReportResult",
    "ReproduceResult",
    "RestoreResult",
    "Result",
    "SaveResult",
    "Score",
    "ScoreResult",
    "ScoreTable",
    "ServerLimits",
    "StagedReleaseResult",
    "TuneResult",
    "UpdateDecision",
    "UpdateResult",
    "Version",
    "WatchResult",
    "Window",
    "__version__",
    "abort_release",
    "adopt",
    "approve",
    "backup",
    "begin_release",
    "check",
    "delete",
    "doctor",
    "errors",
    "evaluate",
    "explain",
    "exporter",
    "expose",
    "fuse",
    "gc",
    "history",
    "integrate",
    "iterate",
    "judge",
    "label",
    "log",
    "maintain",
    "merge_files",
    "models",
    "notify",
    "open",
    "policy",
    "predict",
    "predict_file",
    "promote",
    "prune",
    "publish",
    "push",
    "release",
    "report",
    "reproduce",
    "restore",
    "rollback",
    "save",
    "score",
    "serve",
    "show",
    "show_release",
    "tune",
    "update",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("evermodel.core.errors")
    if name not in _MODULES:
        raise AttributeError(f"module 'evermodel' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"evermodel.{_MODULES[name]}"), name)
    if callable(value) and not isinstance(value, type):
        from evermodel.api.arguments import suggest_arguments

        value = suggest_arguments(value)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
