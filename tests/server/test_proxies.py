"""Real proxies in front of the server split the requests of a release; the judge decides from the log as ever."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import polars as pl
import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting, NotDelivered
from evermodel.integrations.proxies import envoy, nginx
from evermodel.integrations.proxies.request_split import RequestSplit
from evermodel.registry.predictions.staged_release import ReleaseEnd, abort_release, begin_release, show_release
from scripts import servers
from tests.cli.ground import ask
from tests.server.conftest import records, wait_for
from tests.updating.conftest import rows


def require(kind: str) -> None:
    if servers.program(kind) is None:
        pytest.skip(f"{kind} not here; 'sh scripts/parts' gets it")


def find_versions(url: str, count: int, entity: str = "") -> list[str]:
    """The versions that answer so many requests."""
    body, headers = {"dataframe_records": records(1)}, {"X-Evermodel-Entity": entity} if entity else {}
    with httpx.Client(base_url=url, trust_env=False, headers=headers) as client:
        return [client.post("/invocations", json=body).raise_for_status().json()["version"] for _ in range(count)]


def answer_and_label(registry: Path, url: str, frame: pl.DataFrame) -> list[str]:
    ids, versions = [], []
    with httpx.Client(base_url=url, trust_env=False) as client:
        for at in range(0, frame.height, 4):
            body = {"dataframe_records": frame[at : at + 4].drop("y").to_dicts()}
            answer = client.post("/invocations", json=body).raise_for_status().json()
            ids += [f"{answer['prediction_id']}-{row}" for row in range(4)]
            versions += [answer["version"]] * 4
    evermodel.label("m", pl.DataFrame({"prediction_id": ids, "y": frame["y"]}), registry=registry)
    return versions


def test_envoy_follows_a_release_from_its_first_stage_into_service(registry, tmp_path):
    require("envoy")
    routes = tmp_path / "routes" / "m.yaml"
    to = f"envoy:{routes}@evermodel"
    assert evermodel.publish("m", to=to, registry=registry).version == "v1"
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        servers.envoy(tmp_path / "envoy", routes, server.url.removeprefix("http://")) as proxy,
    ):
        assert set(find_versions(proxy.url, 20)) == {"v1"}
        begin_release("m", "v2", share=0.2, registry=registry)
        published = evermodel.publish("m", to=to, registry=registry)
        assert (published.version, published.share, published.was) == ("v2", 0.2, "v1")
        wait_for(lambda: "v2" in find_versions(proxy.url, 20))
        assert 0.12 < find_versions(proxy.url, 600).count("v2") / 600 < 0.29
        each = {entity: set(find_versions(proxy.url, 3, f"customer {entity}")) for entity in range(60)}
        assert all(len(versions) == 1 for versions in each.values())  # whoever asks gets one version
        assert set.union(*each.values()) == {"v1", "v2"}
        for seed in range(71, 80):  # v2 was made for such rows
            versions = answer_and_label(registry, proxy.url, rows(1200, seed, angle=1.5))
            before = show_release("m", registry=registry).release
            wait_for(lambda b=before: show_release("m", registry=registry).release.pairs > b.pairs or is_over(registry))
            evermodel.publish("m", to=to, registry=registry)  # as --follow does
            if is_over(registry):
                break
        assert 0.1 < versions.count("v2") / 1200 < 0.4  # split by the proxy to the end
        assert show_release("m", registry=registry).release.end is ReleaseEnd.NO_WORSE
        wait_for(lambda: set(find_versions(proxy.url, 20)) == {"v2"})
    assert evermodel.open(registry)["m"].champion.name == "v2"


def is_over(registry: Path) -> bool:
    return show_release("m", registry=registry).release.end is not None


def test_nginx_splits_what_a_release_says_until_it_ends(registry, tmp_path):
    require("nginx")
    split = tmp_path / "split" / "m.conf"
    assert evermodel.publish("m", to=f"nginx:{split}", registry=registry).version == "v1"
    with (
        evermodel.serve("m", port=0, registry=registry) as server,
        servers.nginx(tmp_path / "nginx", split, "evermodel_m_version", server.url.removeprefix("http://")) as proxy,
    ):
        to = f"nginx:{split}@{tmp_path / 'nginx' / 'nginx.pid'}"
        assert set(find_versions(proxy.url, 20)) == {"v1"}
        begin_release("m", "v2", share=0.3, registry=registry)
        assert ask(["publish", "m", "--to", to], registry).code == 0
        wait_for(lambda: "v2" in find_versions(proxy.url, 20))
        assert 0.2 < find_versions(proxy.url, 400).count("v2") / 400 < 0.4
        each = [set(find_versions(proxy.url, 3, f"customer {entity}")) for entity in range(40)]
        assert all(len(versions) == 1 for versions in each) and set.union(*each) == {"v1", "v2"}
        abort_release("m", registry=registry)
        wait_for(lambda: set(find_versions(proxy.url, 40)) == {"v1"})  # the server, before the proxy is told
        evermodel.publish("m", to=to, registry=registry)
        assert "v2" not in split.read_text()
        wait_for(lambda: set(find_versions(proxy.url, 40)) == {"v1"})


def test_a_version_that_is_not_tried_is_answered_for_by_the_one_in_service(registry):
    with evermodel.serve("m", port=0, registry=registry) as server:
        for drawn in ("v2", "champion", "v9"):
            headers = {"X-Evermodel-Version": drawn}
            answer = httpx.post(
                f"{server.url}/invocations",
                json={"dataframe_records": records(1)},
                headers=headers,
                trust_env=False,
            )
            assert answer.json()["version"] == "v1"


def test_whoever_is_drawn_stays_drawn_where_the_share_grows():
    small = json.loads(envoy.write_routes(RequestSplit("m", "v2", 0.05), "c"))
    route = small["resources"][0]["virtual_hosts"][0]["routes"][0]["route"]["weighted_clusters"]["clusters"]
    assert [cluster["weight"] for cluster in route] == [50_000, 950_000]  # the hash is laid on the weights in order
    assert "    5.00% v2;\n    * champion;" in nginx.write_split(RequestSplit("m", "v2", 0.05))
    assert "    * champion;" in nginx.write_split(RequestSplit("m", "v2"))
    assert "%" not in nginx.write_split(RequestSplit("m", "v1"))


@pytest.mark.parametrize("to", ["envoy:routes.txt", "envoy:@c", "envoy:a.yaml@a b", "nginx:m.yaml", "nginx:@x.pid"])
def test_a_place_that_is_none_is_refused(registry, to):
    with pytest.raises(BadSetting, match="must be"):
        evermodel.publish("m", to=to, registry=registry)


def test_what_a_person_wrote_is_left_alone(registry, tmp_path):
    for kind, name in (("envoy", "own.yaml"), ("nginx", "own.conf")):
        own = tmp_path / name
        own.write_text("hand: written\n")
        with pytest.raises(BadSetting, match="is not the file of m"):
            evermodel.publish("m", to=f"{kind}:{own}", registry=registry)
        assert own.read_text() == "hand: written\n"
    with pytest.raises(NotDelivered, match="cannot be written"):
        evermodel.publish("m", to=f"envoy:{own}/m.yaml", registry=registry)
    with pytest.raises(NotDelivered, match="nginx was not told"):
        evermodel.publish("m", to=f"nginx:{tmp_path / 'm.conf'}@{tmp_path / 'none.pid'}", registry=registry)
    with pytest.raises(AskedWrongly, match="A proxy is told"):
        evermodel.publish("m", to=f"envoy:{tmp_path / 'm.yaml'}", version="v2", registry=registry)
