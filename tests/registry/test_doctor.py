"""The doctor: a healthy registry, kinds of damage (all of them in bench/doctor.py), and what it says."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

import evermodel
from bench import doctor as bench
from evermodel.core.errors import AskedWrongly, NotFound
from evermodel.core.records.doctor_finding import Finding
from evermodel.core.records.event import Actor
from evermodel.maintenance.doctor import environment, packages
from evermodel.maintenance.doctor.target import DoctorOptions, read_target
from evermodel.registry.lookup import open_store
from tests.cli.ground import ask
from tests.integrations.conftest import needs
from tests.updating.conftest import rows

KINDS = (
    "a bit of the model flipped",
    "the champion points at nothing",
    "a killed process's staging",
    "pages overwritten, a backup",
    "golden predictions differ",
    "the second copy lost a file",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A registry with everything, and the predictions it must give. Not to be changed."""
    registry = bench.make(tmp_path_factory.mktemp("whole"))
    return registry, bench.answers(registry)


@pytest.fixture
def registry(whole, tmp_path):
    return bench.copied(whole[0], tmp_path / "copied")


def test_a_healthy_registry_is_healthy(registry):
    answer = ask(["doctor", "--json"], registry)
    assert answer.code == 0, answer.out
    assert [f for f in json.loads(answer.out)["findings"] if f["severity"] != "note"] == []


def test_there_are_at_least_twenty_kinds():
    assert len(bench.DAMAGES) >= 20 and set(KINDS) <= {d.name for d in bench.DAMAGES}


@pytest.mark.parametrize("name", KINDS)
def test_damage_is_found_and_mended_or_said(whole, registry, name):
    damage = next(d for d in bench.DAMAGES if d.name == name)
    fine, said = bench.tried(damage, registry, whole[1])
    assert fine, said


def test_a_champion_that_cannot_be_mended_is_rolled_back_to_one_that_loads(registry):
    (registry / "store.toml").unlink()
    bench.model_file(registry).unlink()
    answer = ask(["doctor", "m", "--repair"], registry)
    assert answer.code == 1, "v2's file is still gone"
    assert open_store(registry).resolve_alias("m", "champion") == "v1"
    assert open_store(registry).read_events("m")[-1].data.by is Actor.DOCTOR
    evermodel.predict_file("m", rows(20, 9).drop("y"), to=registry / "p.csv", registry=registry)


def test_a_name_or_registry_there_is_not(registry, tmp_path):
    with pytest.raises(NotFound, match="no model 'n'"):
        evermodel.doctor("n", registry=registry)
    with pytest.raises(NotFound, match="no registry"):
        evermodel.doctor(registry=tmp_path / "nothing")


def found_by(check, registry, **asked) -> list[Finding]:
    return list(check(read_target(open_store(registry), DoctorOptions(**asked))))


def test_tokens_that_end_soon_are_named_and_not_shown(registry, monkeypatch):
    monkeypatch.setenv("EVERMODEL_TOKEN", "eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDB9.c2ln")
    (finding,) = found_by(environment.check_tokens, registry)
    assert finding.where == "EVERMODEL_TOKEN" and "ended" in finding.what and "eyJ" not in str(finding)
    monkeypatch.setenv("EVERMODEL_TOKEN", "eyJhbGciOiJub25lIn0.eyJleHAiOjk5OTk5OTk5OTl9.c2ln")
    assert found_by(environment.check_tokens, registry) == []


def test_little_room_is_said(registry, monkeypatch):
    usage = environment.shutil.disk_usage(registry)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage._replace(free=5_000_000))
    (finding,) = found_by(environment.check_disk, registry)
    assert finding.severity == "critical" and "5 MB" in finding.what


def test_packages_with_holes_are_said(registry, monkeypatch):
    monkeypatch.setattr(packages, "package_versions", lambda: {"keras": "3.11.2", "torch": "2.9.0"})
    assert [f.where for f in found_by(packages.check_vulnerabilities, registry)] == ["keras 3.11.2"]


def test_a_prometheus_without_our_series_is_said(registry):
    class Empty(BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"status": "success", "data": {"result": []}}'
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        (finding,) = found_by(
            environment.check_monitoring, registry, prometheus=f"http://127.0.0.1:{server.server_port}"
        )
        assert finding.where == "m" and "no series" in finding.what
    finally:
        server.shutdown()
        server.server_close()
    (finding,) = found_by(environment.check_monitoring, registry, prometheus=f"http://127.0.0.1:{server.server_port}")
    assert "does not answer" in finding.what
    assert (
        "must start with" in found_by(environment.check_monitoring, registry, prometheus="file:///etc/passwd")[0].what
    )


@needs("prometheus")
def test_a_prometheus_that_scrapes_us_is_fine(registry, tmp_path):
    from tests.integrations.test_prometheus import scraped

    with scraped(registry, tmp_path / "monitoring") as server:
        assert found_by(environment.check_monitoring, registry, prometheus=server.url) == []


def test_certificates_are_asked_for_only_when_told_to(registry):
    with (registry / "store.toml").open("a") as file:
        file.write("# https://127.0.0.1:1/hook\n")
    assert found_by(environment.check_certificates, registry) == []
    (finding,) = found_by(environment.check_certificates, registry, network=True)
    assert finding.where == "https://127.0.0.1:1" and "cannot be reached" in finding.what


@pytest.fixture(scope="module")
def updated(tmp_path_factory):
    """Three updates: by refit, by auto, and one with rows that only judge. Not to be changed."""
    from tests.cli.ground import make_ground

    ground = make_ground(tmp_path_factory.mktemp("updated"))
    evermodel.update("m", rows(1500, 3, angle=0.8), registry=ground.registry, strategy="refit")
    evermodel.update("m", rows(900, 4, angle=0.8), registry=ground.registry)
    evermodel.update("m", rows(3000, 5, angle=1.0), registry=ground.registry)
    return ground.registry


@pytest.mark.parametrize("version", ["v2", "v3", "v4"])
def test_an_update_is_built_again_bit_for_bit(updated, version):
    answer = ask(["reproduce", "m", version, "--json"], updated)
    assert answer.code == 0, answer.out + answer.err
    told = json.loads(answer.out)
    assert told["exact"] and told["differing"] == [] and told["difference"] == 0.0


def test_what_was_lost_is_put_back_by_building_it_again(updated, tmp_path):
    import shutil

    registry = shutil.copytree(updated, tmp_path / "registry")
    (registry / "versions" / "m" / "v3" / "model" / "model.txt").unlink()
    done = evermodel.reproduce("m", "v3", registry=registry, restore=True, to=tmp_path / "v3")
    assert done.restored and (tmp_path / "v3" / "contract.json").is_file()
    open_store(registry).version_folder("m", "v3")


def test_another_seed_is_no_reproduction(updated, monkeypatch, tmp_path):
    """The comparison can fail: a card that tells other settings gives another model."""
    from evermodel.searching import reproduce as module

    real = module.card_of
    monkeypatch.setattr(module, "card_of", lambda *a: dataclasses.replace(real(*a), settings={"half_life": 0.5}))
    done = evermodel.reproduce("m", "v2", registry=updated)
    assert not done.exact and done.within is False and "model/model.txt" in done.differing


def test_an_adopted_model_is_not_built_again(updated):
    with pytest.raises(AskedWrongly, match=r"adopted from existing_model\.txt"):
        evermodel.reproduce("m", "v1", registry=updated)


def test_history_is_one_timeline(updated):
    told = json.loads(ask(["history", "m", "--json"], updated).out)["events"]
    assert told[0]["what"] == "adopted" and len(told) == 4
    assert told[1]["why"] and told[-1]["champion"]
    assert len(evermodel.history("m", since="1h", registry=updated).events) == 4
    assert evermodel.history("m", since="2099-01-01", registry=updated).events == ()
    assert ask(["history", "m", "--since", "soon"], updated).code == 2
    assert ask(["history", "n"], updated).code == 2


def test_a_healthy_registry_predicts_as_before(whole):
    assert bench.answers(whole[0]).equals(whole[1]) and isinstance(whole[1], pl.DataFrame)


def test_room_in_the_database_is_given_back(whole, registry):
    at = registry / "evermodel.db"
    with contextlib.closing(sqlite3.connect(at)) as db:
        db.execute("CREATE TABLE gone (x BLOB)")
        db.execute("INSERT INTO gone VALUES (zeroblob(20000000))")
        db.commit()
        db.execute("DROP TABLE gone")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    large = at.stat().st_size
    first = evermodel.doctor(registry=registry)
    assert first.healthy and [f.check for f in first.findings if f.repair.endswith("compacts it")] == ["slack"]
    second = evermodel.doctor(registry=registry, repair=True)
    assert [f.mended for f in second.findings if f.check == "slack"] == [True], second
    assert at.stat().st_size < large - 19_000_000 and bench.answers(registry).equals(whole[1])


def test_a_teams_registry_on_postgresql_is_checked_and_mended(whole, postgres, tmp_path):
    registry, objects = tmp_path / "team", tmp_path / "objects"
    registry.mkdir()
    told = f'database = "{postgres.fresh()}"\nfiles = "{objects.as_uri()}"\ncopies = ["{tmp_path / "second"}"]\n'
    (registry / "store.toml").write_text(told)
    evermodel.restore(whole[0].parent / "backup.tar", to=registry)
    first = evermodel.doctor(registry=registry)
    assert [f.check for f in first.findings if f.severity != "note"] == ["copies"], (
        "a restore fills the first place only"
    )
    assert evermodel.doctor(registry=registry, repair=True).healthy
    card = open_store(registry).read_card("m", "v2")
    digest = card.files["model/model.txt"]
    bench.flip(objects / digest[:2] / digest)
    import shutil

    shutil.rmtree(registry / "cache")
    found = evermodel.doctor(registry=registry)
    assert {f.check for f in found.findings if f.severity == "critical"} == {"files", "loads"}
    assert evermodel.doctor(registry=registry, repair=True).healthy
    assert bench.answers(registry).equals(whole[1])
    assert "evermodel:" not in str(found), "a password is shown"


@pytest.fixture(scope="module")
def iterated(updated, tmp_path_factory):
    """Tuned with new rows and without, pruned, fused. Not to be changed."""
    import shutil

    registry = shutil.copytree(updated, tmp_path_factory.mktemp("iterated") / "registry")
    told = {
        "tuned": evermodel.tune("m", rows(4000, 6, angle=1.2), registry=registry, trials=3, seed=7),
        "tuned without rows": evermodel.tune("m", registry=registry, trials=3),
        "pruned": evermodel.prune("m", rows(2000, 8, angle=1.2), registry=registry, ratio=0.3),
        "fused": evermodel.fuse(
            "m", ["v2", "v3", "v4"], data=rows(2000, 9, angle=1.2), registry=registry, fuser="select"
        ),
        "fused without rows": evermodel.fuse("m", ["v3", "v4"], registry=registry, seed=3),
    }
    return registry, {how: done.challenger for how, done in told.items()}


@pytest.mark.parametrize("how", ["tuned", "tuned without rows", "pruned", "fused", "fused without rows"])
def test_what_a_search_found_is_built_again_bit_for_bit(iterated, how):
    registry, versions = iterated
    done = evermodel.reproduce("m", versions[how], registry=registry)
    assert done.exact and done.difference == 0.0, done.lines()
