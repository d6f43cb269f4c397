"""Plugins of another package: found, checked, and used for the whole life of a model as our own are."""

from __future__ import annotations

import json

import pytest

KINDS = """
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.core.model.strategy import STRATEGIES
from evermodel.core.stats.metric import METRICS
from evermodel.core.store import STORES
"""

ROWS = """
import json
import numpy as np, polars as pl
def rows(n, seed, turn=0.0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 2))
    y = (np.cos(turn) * x[:, 0] + np.sin(turn) * x[:, 1] + 0.5 * random.normal(size=n) > 0).astype(int)
    return pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})
"""

LINEAGE = """
from evermodel.core.data.table import Table
from evermodel.core.records.column_roles import Roles
from evermodel.core.data.contract import Column, Contract
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.strategy import Split
from evermodel.core.model.training import Training
from evermodel.core.model.transform import Feature, Transform
from stranger_plugins import centroids
columns = (Column("a", "number"), Column("b", "number"))
contract = Contract("binary", Roles("y"), columns, (0, 1))
obj = centroids.Centroids(np.array([[-1.0, 0.0], [1.0, 0.0]]), (0, 1))
root = Model(contract, Transform((Feature("a"), Feature("b"))), obj, centroids, Output("probability"))
first, second = (Table(rows(n, seed), Roles("y"), np.full(n, seed)) for seed, n in ((1, 120), (2, 80)))
"""

CHECKS = {
    "metric": "from evermodel.testing.metrics import check_metric as check; arguments = ()",
    "tuner": "from evermodel.testing.tuners import check_tuner as check; arguments = ()",
    "strategy": f"""{LINEAGE}
from evermodel.testing.strategies import check_strategy as check
arguments = (root, Split(second, replay_rows=first))
""",
    "pruner": f"""{LINEAGE}
from evermodel.testing.pruners import check_pruner as check
arguments = (root, Split(first, tuning_rows=second))
""",
    "fuser": f"""{LINEAGE}
from evermodel.testing.fusers import check_fuser as check
members = [root, *(root.fit(part, Training(epochs=3), from_scratch=False) for part in (first, second))]
arguments = (members, Split(first, tuning_rows=second))
""",
    "publisher": f"""{LINEAGE}
import itertools, tempfile, zipfile
from pathlib import Path
from evermodel.core.publication import PUBLISHERS, Publication
from evermodel.testing import publishers
folder, numbers = Path(tempfile.mkdtemp()), itertools.count()
def publication(version, model):
    files = folder / version
    files.mkdir()
    centroids.save(model.obj, files)
    return Publication("m", version, files, files, "centroids", model)
both = publication("v1", root), publication("v2", root.fit(second, Training(epochs=3), from_scratch=False))
known = {{p.version: p.model.obj.centres for p in both}}
def read(to):
    with zipfile.ZipFile(Path(to) / "m.zip") as archive:
        text = archive.read("model.centroids")
    centres = np.array(json.loads(text)["centroids"])
    return next((version for version, at in known.items() if np.array_equal(at, centres)), "another")
def check(module):
    trial = publishers.Trial(module, module.zip_file, both, read, lambda: str(folder / f"place{{next(numbers)}}"))
    return publishers.run_checks(publishers.CHECKS, "publisher", "zip_file", trial)
arguments = ()
""",
    "framework": """
from evermodel.testing.frameworks import Example, check_framework as check
from stranger_plugins.centroids import Centroids
def example():
    one, two = (rows(120, seed, turn) for seed, turn in ((1, 0.0), (2, 1.0)))
    x, other = (frame.select("a", "b").to_numpy() for frame in (one, two))
    obj = Centroids(np.array([[-1.0, 0.0], [1.0, 0.0]]), (0, 1))
    return Example(obj, x, one["y"].to_numpy(), other, two["y"].to_numpy(), classes=(0, 1))
arguments = (example,)
""",
    "store": """
from evermodel.testing.stores import check_store as check
arguments = (lambda folder: f"{SCHEME}{folder}/registry",)
""",
    "trigger": """
from evermodel.core.records.maintenance_policy import Policy
from evermodel.core.records.monitoring import MonitorStatus
from evermodel.core.trigger import TriggerInput
from evermodel.testing.triggers import check_trigger as check
status, month = MonitorStatus("m", "v1", "binary", ""), 31 * 86_400.0
due, quiet = (TriggerInput(Policy(), status, now=60 * month, updated_at=at) for at in (50 * month, 60 * month))
arguments = (due, quiet)
""",
    "gate": "from evermodel.testing.gates import check_gate as check; arguments = ()",
    "drift": "from evermodel.testing.drift import check_drift_statistic as check; arguments = ()",
    "source": """
from evermodel.testing.sources import check_source as check
def write(frame, folder):
    import shlex
    file = folder / "rows.logfmt"
    rows = [{k: v for k, v in row.items() if v is not None} for row in frame.iter_rows(named=True)]
    file.write_text("\\n".join(" ".join(f"{k}={shlex.quote(str(v))}" for k, v in row.items()) for row in rows))
    return file
arguments = (write,)
""",
    "notifier": """
import tempfile
from pathlib import Path
from evermodel.testing.notifiers import check_notifier
folder = Path(tempfile.mkdtemp())
def check(send, received, fail, secret):
    return check_notifier(lambda n: send(n, folder=str(folder)), received, lambda n: send(n, folder=fail), secret)
def received():
    files = sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
    return [json.dumps(json.loads(file.read_text()), ensure_ascii=False) for file in files]
arguments = (received, "/no/such/folder/topsecret", "topsecret")
""",
}
PLUGINS = {
    "metric": "mistake_cost",
    "strategy": "newest_share",
    "tuner": "hill_climb",
    "pruner": "closest_columns",
    "fuser": "middle_centres",
    "publisher": "zip_file",
    "framework": "centroids",
    "store": "audited",
    "trigger": "first_of_month",
    "gate": "confident_mistakes",
    "drift": "hellinger",
    "source": "logfmt",
    "notifier": "spool",
}
LEAST = {"notifier": 3, "source": 3, "publisher": 4}  # checks that these kinds have; every other kind has six or more
BREAKS = {
    "metric": "NaN",
    "strategy": "check_settings_are_typed.* the setting 'share' has no type",
    "framework": "check_fit_leaves_the_object_unchanged.* the given object's predictions changed",
    "tuner": "is not in the space",
    "pruner": "the parent predicts something else",
    "fuser": "one model was fused",
    "publisher": "it raised|half a version was published|check_readers_never_get_a_part",
    "store": "check_stale_expectation_moves_nothing",
    "trigger": "check_same_input_same_answer",
    "gate": "template names a number that is not given",
    "drift": "no rows gave 0",
    "source": "claims to read",
    "notifier": "never taken for a sent one",
}


def checking(kind: str, package: str) -> str:
    """Code that runs a kind's check on one of the stranger's modules and prints how many promises it kept."""
    scheme = "audited://" if package == "stranger_plugins" else "careless://"
    plugin = (
        "getattr(module, module.__name__.rpartition('.')[2])"
        if kind in ("strategy", "tuner", "pruner", "fuser", "trigger", "gate", "notifier")
        else "module"
    )
    return (
        f"{ROWS}\nSCHEME = {scheme!r}\n{CHECKS[kind]}\n"
        f"import importlib; module = importlib.import_module('{package}.{PLUGINS[kind]}')\n"
        f"try: print(check({plugin}, *arguments))\n"
        "except AssertionError as error: print(' '.join(str(error).split()))\n"
    )


def test_the_finder_lists_the_strangers_plugins_with_ours(run) -> None:
    names = run(
        f"{KINDS}\nprint(*METRICS.names(), *STRATEGIES.names(), *FRAMEWORKS.names(), *STORES.names())\n"
        "import sys; print(any(m.startswith('stranger') for m in sys.modules))"
    )
    assert {"mistake_cost", "newest_share", "centroids", "audited", "auc", "refit", "keras", "sql"} <= set(
        names.split()
    )
    assert names.split()[-1] == "False", "listing names imported the package"


@pytest.mark.parametrize("kind", CHECKS)
def test_the_strangers_plugins_pass_the_checks(kind: str, run) -> None:
    assert int(run(checking(kind, "stranger_plugins"))) >= LEAST.get(kind, 6)


@pytest.mark.parametrize("kind", CHECKS)
def test_the_checks_say_which_promise_a_broken_twin_breaks(kind: str, run) -> None:
    import re

    assert re.search(BREAKS[kind], run(checking(kind, "stranger_plugins.broken")))


def test_a_plugin_that_cannot_be_imported_says_so_when_it_is_used(run) -> None:
    said = run(
        f"{KINDS}\nfrom evermodel.core.errors import BrokenPlugin\n"
        "assert 'misspelt' in METRICS.names()\n"
        "try: METRICS.load('misspelt')\n"
        "except BrokenPlugin as error: print(error)"
    )
    assert (
        "The plugin 'misspelt' of the kind 'metrics' (from the package 'stranger-plugins') cannot be imported" in said
    )
    assert "No module named 'a_package_that_nobody_has'" in said
    assert "Update or uninstall the package 'stranger-plugins'." in said


LIFE = """
import json, logging, warnings
import evermodel
from pathlib import Path
from stranger_plugins import centroids
registry = f"audited://{Path('registry').absolute()}"
start = centroids.Centroids(np.array([[-1.0, 0.1], [1.0, 0.0]]), (0, 1))
centroids.write_file(start, Path("deployed.bin"))
rows(600, 0).write_csv("reference.csv")
adopted = evermodel.adopt("deployed.bin", data="reference.csv", target="y", name="m", registry=registry)
rows(800, 1, turn=1.2).write_csv("new.csv")
updated = evermodel.update("m", "new.csv", strategy="newest_share", settings={"share": 0.6}, metric="mistake_cost",
                           registry=registry)
predicted = evermodel.predict_file("m", "new.csv", to="predicted.csv", registry=registry)
evermodel.save("m", to="served.centroids", registry=registry)
served = centroids.read_file(Path("served.centroids"))
evermodel.rollback("m", registry=registry)
audit = [json.loads(line) for line in Path("registry/audit.jsonl").read_text().splitlines()]
print(json.dumps({
    "decision": str(updated.decision), "scores": str(updated), "champions": [a["moves"].get("champion") for a in audit],
    "centres": served.centres.tolist(), "predictions": len(pl.read_csv("predicted.csv")),
}))
"""


MAINTAINED = """
more = Path("inbox"); more.mkdir(); rows(800, 5, turn=1.2).write_csv(more / "more.csv")
evermodel.policy("m", {"data": str(more.absolute()), "triggers": "first_of_month", "check": "hour"}, registry=registry)
evermodel.maintain("m", registry=registry)
from evermodel.registry.lookup import open_store
jobs = open_store(registry).list_jobs("m")
print(json.dumps([[str(job.kind), str(job.state), str(job)] for job in jobs]))
"""


def test_maintenance_updates_when_the_strangers_trigger_says_so(run) -> None:
    jobs = json.loads(run(f"{ROWS}\n{LIFE}\n{MAINTAINED}").strip().splitlines()[-1])
    updates = [job for job in jobs if job[0] == "update"]
    assert [state for _, state, _ in updates] == ["done"]
    assert "month_began" in updates[0][2]


def test_a_model_lives_its_whole_life_with_the_strangers_plugins(run) -> None:
    life = json.loads(run(f"{ROWS}\n{LIFE}").strip().splitlines()[-1])
    assert life["decision"] == "promote"
    assert "cost of mistakes" in life["scores"]
    assert [c for c in life["champions"] if c] == ["v1", "v2", "v1"]
    assert life["predictions"] == 800
    assert abs(life["centres"][1][1]) > 0.3, "the centres did not move"


HANDED_ON = """
from evermodel.core.publication import PUBLISHERS
pruned = evermodel.prune("m", rows(800, 3, turn=1.2), pruner="closest_columns", ratio=0.5, registry=registry)
fused = evermodel.fuse("m", ["v1", "v2"], data=rows(800, 4, turn=1.2), fuser="middle_centres", registry=registry)
evermodel.publish("m", to="zip_file:devices", registry=registry)
print(json.dumps({"pruned": pruned.settings, "fused": fused.settings,
                  "serving": evermodel.open(registry)["m"].champion.name,
                  "published": PUBLISHERS.load_module("zip_file").find_published("m", "devices")}))
"""


def test_a_model_is_pruned_fused_and_published_by_the_strangers_plugins(run) -> None:
    done = json.loads(run(f"{ROWS}\n{LIFE}\n{HANDED_ON}").strip().splitlines()[-1])
    assert done["pruned"]["with"] == "closest_columns"
    assert done["fused"]["with"] == "middle_centres"
    assert done["published"] == done["serving"]
