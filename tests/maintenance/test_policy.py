"""Policies: read strictly, kept in versions, shown as they are written."""

from __future__ import annotations

import json

import pytest

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting, NotFound
from evermodel.core.records.codec import decode, encode
from evermodel.core.records.maintenance_policy import POLICY_RECORD, Policy, PolicyRecord, change_policy
from tests.cli.ground import ask


def test_two_keys_suffice():
    policy = change_policy(Policy(), {"data": "incoming", "every": "week"})
    assert (policy.check, policy.update) == ("week", "week")
    assert policy.promote == "auto"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"chek": "day"}, "Did you mean 'check'"),
        ({"min_rows": "many"}, "min_rows must be a whole number"),
        ({"min_rows": 3}, "at least 10"),
        ({"promote": "yes"}, "auto, approve, never"),
        ({"probation": "a while"}, "probation must be a time"),
        ({"max_size": "large"}, "800KB"),
        ({"time_zone": "Berlin"}, "Europe/Berlin"),
        ({"data": 3}, "data must be text"),
        ({"budget": True}, "budget must be a number"),
        ({"budget": "inf"}, "budget must be at least"),
    ],
)
def test_what_is_wrong_is_said(given, says):
    with pytest.raises(AskedWrongly) as found:
        change_policy(Policy(), given)
    assert says in str(found.value)


@pytest.mark.parametrize("key", ["triggers", "steps"])
def test_a_plugin_that_is_not_installed_is_refused_and_the_names_are_listed(place, key):
    with pytest.raises(AskedWrongly, match="full moon") as refused:
        place.police(**{key: "full moon"})
    assert ("quality" if key == "triggers" else "intake") in str(refused.value)
    assert place.store.resolve_alias("m", "policy") is None


def test_json_and_back():
    policy = change_policy(Policy(), {"data": "x", "triggers": "quality, age", "budget": "12.5", "rows": "7"})
    record = PolicyRecord(policy, "2026-01-01T00:00:00+00:00")
    assert decode(POLICY_RECORD, encode(POLICY_RECORD, record)) == record


def test_a_file_says_all_of_it_and_each_state_is_kept(place, tmp_path):
    place.police(budget=5)
    file = tmp_path / "evermodel.toml"
    file.write_text('[models.m]\ndata = "incoming/*.parquet"\nevery = "2 weeks"\ntriggers = ["quality"]\n')
    told = evermodel.policy("m", file=file, registry=place.registry)
    assert told.policy.budget == Policy().budget, "a key that the file leaves out has its default"
    assert told.policy.triggers == ("quality",)
    assert [e.kind for e in place.store.read_events("m")].count("policy changed") == 2
    again = evermodel.policy("m", file=file, registry=place.registry)
    assert not again.changed
    assert [e.kind for e in place.store.read_events("m")].count("policy changed") == 2, (
        "nothing changed, so nothing happened"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[models.n]\ndata = 'x'\n", "no table"),
        ("[model.m]\ndata = 'x'\n", "Did you mean 'models'"),
        ("data = \n", "no TOML"),
        ("models = 3\n", "must be tables"),
        ("[models]\nm = 3\n", "must be a table"),
    ],
)
def test_a_file_that_is_wrong_changes_nothing(place, tmp_path, text, says):
    file = tmp_path / "evermodel.toml"
    file.write_text(text)
    with pytest.raises(AskedWrongly) as found:
        evermodel.policy("m", file=file, registry=place.registry)
    assert says in str(found.value)
    assert place.store.resolve_alias("m", "policy") is None


@pytest.mark.parametrize(
    ("metric", "says"), [("accurcy", "Did you mean 'accuracy'"), ("rmse", "no metric of a binary")]
)
def test_a_metric_that_cannot_decide_is_refused(place, metric, says):
    with pytest.raises(AskedWrongly) as found:
        place.police(metric=metric)
    assert says in str(found.value)
    assert place.store.resolve_alias("m", "policy") is None


def test_a_policy_without_rows_or_model_is_refused(place):
    with pytest.raises(BadSetting, match="needs data"):
        evermodel.policy("m", {"every": "day"}, registry=place.registry)
    with pytest.raises(NotFound):
        evermodel.policy("n", {"data": "x"}, registry=place.registry)
    with pytest.raises(NotFound, match="no plugin"):
        place.police(steps="intake,shadow_of_a_doubt")


def test_the_command_says_the_same(place):
    answer = ask(["policy", "m", "--set", "data=in", "--set", "every=week", "--json"], place.registry)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["policy"]["update"] == "week"
    assert '* data = "in"' in ask(["policy", "m"], place.registry).out
    wrong = ask(["policy", "m", "--set", "evry=week"], place.registry)
    assert wrong.code == 2
    assert "every" in wrong.err
