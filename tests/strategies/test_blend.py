"""Blending networks: roles, lineage, steps, seeds, refusals. And boosters by halves."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import polars as pl
import pytest

from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.table import Table
from evermodel.core.errors import BadSetting, NoData
from evermodel.core.model.ensemble import Ensemble
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.transform import Feature, Transform
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.learning_curve import Epoch
from evermodel.plugins.strategies._blend import phases
from evermodel.plugins.strategies.blend import blend, cost

keras = pytest.importorskip("keras")
from evermodel.plugins.frameworks import keras as plugin  # noqa: E402

NAMES = ("a", "b", "c")
FOUR = ("replay", "recent", "window", "new")


def table(task: str = "binary", n: int = 400, blocks: int = 4, seed: int = 0) -> Table:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3)) * (1, 5, 50) + (0, 3, -100)
    block = np.repeat(np.arange(blocks), n // blocks)
    z = (x[:, 0] + x[:, 1] / 5 - 0.6) * np.where(block < blocks - 1, 1, -1)
    y = z * 1000 + 5000 if task == "regression" else (z > 0).astype(int)
    frame = pl.DataFrame({**{c: x[:, i] for i, c in enumerate(NAMES)}, "y": y})
    return Table(frame, Roles(target="y"), block)


def model(task: str = "binary", *, compiled: bool = True) -> Model:
    classes = () if task == "regression" else (0, 1)
    contract = Contract(
        task=task,
        roles=Roles(target="y"),
        classes=classes,
        columns=tuple(Column(c, "number", "Float64") for c in NAMES),
    )
    bare = Transform(tuple(Feature(c, fill=0.0) for c in NAMES), scaling="standard")
    keras.utils.set_random_seed(0)
    head = keras.layers.Dense(1, activation=None if classes == () else "sigmoid")
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, activation="relu"), head])
    if compiled:
        net.compile(keras.optimizers.Adam(), "mse" if task == "regression" else "binary_crossentropy")
    output = Output("value" if task == "regression" else "probability")
    return Model(contract, bare.fit(table(task).frame[:100]), net, plugin, output)


def split(rows: Table) -> Split:
    newest = rows.blocks == rows.newest_block()
    return Split(rows.rows(newest), rows.rows(~newest))


def roles(made: Model) -> dict[str, Model]:
    assert isinstance(made.obj, Ensemble)
    return dict(made.obj.by_role)


def bits(made: Model) -> bytes:
    return b"".join(w.tobytes() for m in roles(made).values() for w in m.framework.get_weights(m.obj))


def test_members_are_trained_each_in_its_way_and_the_parent_is_untouched() -> None:
    parent, rows = model(), table()
    before = [w.copy() for w in parent.obj.get_weights()]
    made = roles(blend([parent], split(rows), Context(seed=3), members=",".join(FOUR)))
    assert set(made) == set(FOUR)
    assert made["replay"].transform == made["new"].transform == parent.transform
    assert made["recent"].transform != parent.transform != made["window"].transform != made["recent"].transform
    assert all(np.array_equal(a, b) for a, b in zip(before, parent.obj.get_weights(), strict=True))


def test_the_new_concept_is_learnt() -> None:
    parent, rows = model(), table(n=2000)
    data = split(rows)
    made = blend([parent], data, Context(seed=0), members="window", window=1, epochs=200)
    y = made.target(data.new_rows)
    assert ((made.predict(data.new_rows.frame)[:, 1] > 0.5) == y).mean() > 0.85


def test_going_on_starts_from_the_member_of_the_same_role(monkeypatch: pytest.MonkeyPatch) -> None:
    four = ",".join(FOUR)
    first = blend([model()], split(table()), Context(seed=0), members=four)
    started: list[Any] = []

    def listen(obj: Any, x: Any, y: Any, training: Any, *, from_scratch: bool) -> Any:
        started.append((obj, from_scratch))
        return obj

    monkeypatch.setattr(plugin, "fit", listen)
    second = roles(blend([first], split(table(seed=1)), Context(seed=0), members=four))
    given = roles(first)
    assert [fresh for _, fresh in started] == [False, True, True, False]
    assert second["replay"].obj is given["replay"].obj and second["new"].obj is given["new"].obj
    started.clear()
    finished = roles(blend([first], split(table(seed=1)), Context(seed=0), refit_judged=True))
    assert not any(fresh for _, fresh in started)
    assert all(finished[r].obj is given[r].obj and finished[r].transform == given[r].transform for r in given)


def test_same_seed_same_bits_other_seed_other_bits() -> None:
    parent, data = model(), split(table())
    a, b, c = (blend([parent], data, Context(seed=s), members="recent,replay") for s in (1, 1, 2))
    assert bits(a) == bits(b) != bits(c)


def test_finishing_changes_every_member_and_leaves_the_judged_one_alone() -> None:
    data = split(table())
    judged = blend([model()], data, Context(seed=0), members="replay,new")
    before = bits(judged)
    done = blend([judged], data, Context(seed=0), refit_judged=True)
    assert bits(judged) == before
    for role, member in roles(done).items():
        assert not np.array_equal(member.obj.get_weights()[0], roles(judged)[role].obj.get_weights()[0])


def test_large_values_are_learnt_at_a_scale_of_their_own() -> None:
    parent, rows = model("regression"), table("regression", n=2000)
    data = split(rows)
    made = blend([parent], data, Context(seed=0), members="recent,window", window=1, epochs=200)
    outputs = [m.output for m in roles(made).values()]
    assert all(o.scale > 100 and o.shift and 3000 < o.shift[0] < 7000 for o in outputs)
    y = made.target(data.replay_rows)
    half = made.target(data.new_rows)
    assert np.mean((roles(made)["window"].predict(data.new_rows.frame) - half) ** 2) < 0.2 * half.var() and len(y)


def test_steps_follow_the_recipe_and_its_floors() -> None:
    data = split(table(n=8000, blocks=4))
    told = {r: phases.training_phase(r, data, window=2, half_life=2.0, epochs=20) for r in phases.ROLES}
    likely = 2000 * (0.5**1.5 + 0.5 + 0.5**0.5 + 1)
    assert told["recent"].steps == 20 * int(np.ceil(likely / 128))
    assert told["window"].steps == 20 * 32 and len(told["window"].rows) == 4000
    assert told["replay"].steps == 5 * 32 and told["new"].steps == 5 * 16
    assert np.isclose(told["replay"].sampling[-2000:].sum(), told["replay"].sampling[:-2000].sum())
    small = split(table(n=80))
    assert phases.training_phase("new", small, window=3, half_life=2.0, epochs=20).steps == 60
    assert phases.training_phase("recent", small, window=3, half_life=2.0, epochs=20).steps == 20
    assert phases.refit_phase("new", small, window=3).steps == 30
    assert len(phases.refit_phase("window", small, window=2).rows) == 40
    assert len(phases.refit_phase("replay", small, window=2).rows) == 80
    assert cost(model(), data) < 1.1


def test_passes_are_heard_as_one_curve() -> None:
    heard: list[Epoch] = []
    data = dataclasses.replace(split(table()), tuning_rows=table(seed=2))
    blend([model()], data, Context(seed=0, on_epoch=heard.append), members="replay,new")
    assert [e.number for e in heard] == list(range(1, len(heard) + 1)) and len(heard) > 10
    assert any(e.validation_loss is not None for e in heard)


def test_pictures_and_large_networks_go_without_the_window_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evermodel.plugins.strategies.blend.LARGE", 10)
    assert set(roles(blend([model()], split(table()), Context()))) == {"recent", "again"}


def test_few_rows_have_networks_trained_anew_and_more_rows_such_as_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    few = blend([model()], split(table()), Context(seed=0))
    assert set(roles(few)) == {"recent", "again", "window"}
    first = [roles(few)[r].obj.get_weights()[0] for r in ("recent", "again")]
    assert not np.array_equal(*first)
    monkeypatch.setattr("evermodel.plugins.strategies.blend.FEW_ROWS", 100)
    assert set(roles(blend([few], split(table(seed=1)), Context(seed=0)))) == set(FOUR)
    kept = roles(blend([few], split(table()), Context(seed=0), refit_judged=True))
    assert set(kept) == {"recent", "again", "window"}  # what was judged is what is finished, whatever the rows now are


def test_a_member_leaves_the_correction_of_the_whole_behind() -> None:
    parent = model("regression")
    moved = dataclasses.replace(parent, output=dataclasses.replace(parent.output, gain=1.5, offset=300.0))
    made = blend([moved], split(table("regression")), Context(seed=0), members="replay,recent")
    assert all(m.output.gain == 1.0 and m.output.offset == 0.0 for m in roles(made).values())
    again = Context(seed=0).run_strategy("refit", [moved], split(table("regression")), epochs=1)
    assert again.output.gain == 1.0 and again.output.offset == 0.0


@pytest.mark.parametrize("settings", [{"members": "old"}, {"members": ""}, {"refit_judged": True}])
def test_what_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(BadSetting):
        blend([model()], split(table()), Context(), **settings)


def test_without_kept_rows_it_says_so() -> None:
    with pytest.raises(NoData, match="kept"):
        blend([model()], Split(table()), Context())


def test_a_booster_by_halves_stays_as_large_update_after_update() -> None:
    lgb = pytest.importorskip("lightgbm")
    from evermodel.plugins.frameworks import lightgbm as boost

    rows = table(n=2000)
    x, y = rows.frame.select(NAMES).to_numpy(), rows.frame["y"].to_numpy()
    booster = boost._boosted(
        lgb.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, lgb.Dataset(x, y), 21)
    )
    start = dataclasses.replace(model(), transform=Transform(tuple(map(Feature, NAMES))), obj=booster, framework=boost)
    made, again = start, start
    for _ in range(2):
        made = Context(seed=1).run_strategy("recency_ensemble", [made], split(rows), window=1, share=0.5)
        assert made.obj.native.rounds == 21 and made.obj.rounds == 21
    again = Context(seed=1).run_strategy("recency_ensemble", [start], split(rows), window=1)
    assert np.array_equal(again.predict(rows.frame), made.predict(rows.frame))
    assert not np.array_equal(again.predict(rows.frame), start.predict(rows.frame))
    told = Context(seed=1).run_strategy(
        "recency_ensemble", [made], split(rows), window=1
    )  # its two halves tell another share
    assert not np.array_equal(told.predict(rows.frame), made.predict(rows.frame))
    with pytest.raises(BadSetting, match="networks"):
        blend([start], split(rows), Context())
    with pytest.raises(BadSetting, match="boosters"):
        Context().run_strategy("recency_ensemble", [model()], split(rows))
