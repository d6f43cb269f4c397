"""What each pruner promises beyond the checks: exact graphs of every shape, what goes first, what is left alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evermodel
from evermodel.core.data.contract import Column
from evermodel.core.errors import AskedWrongly, BadModel, BadSetting
from evermodel.core.model.channel_groups import Channels
from evermodel.core.model.strategy import Context, Split
from evermodel.core.model.transform import Feature
from evermodel.plugins.frameworks import keras as of_keras
from evermodel.plugins.frameworks import torch as of_torch
from evermodel.plugins.pruners.channels import channels, l2, least
from evermodel.plugins.pruners.features import features, importances
from evermodel.plugins.pruners.magnitude import magnitude
from evermodel.plugins.pruners.trees import trees
from evermodel.searching.prune.ratios import costs_alike
from evermodel.testing.pruners import check_zero_channels_can_be_removed
from tests.searching.fusing import split, table
from tests.searching.pruning import parent
from tests.updating.conftest import rows

RANDOM = np.random.default_rng(0)


def _stirred(model):
    """The network with random weights, so that nothing is zero or one by chance of its start."""
    for w in model.weights:
        if w.dtype == "float32":
            value = RANDOM.normal(size=w.shape) * 0.3
            w.assign(np.abs(value) + 0.1 if "variance" in w.path else value)
    return model


def _residual():
    import keras
    from keras import layers as L  # noqa: N812

    source = keras.Input((12, 12, 3))
    h = L.ReLU()(L.BatchNormalization()(L.Conv2D(16, 3, padding="same", use_bias=False)(source)))
    r = L.Activation("relu")(L.BatchNormalization()(L.Conv2D(16, 3, padding="same")(h)))
    h = L.Add()([h, L.Conv2D(16, 3, padding="same")(r)])
    d = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(h)
    se = L.Dense(32, "sigmoid")(L.Dense(8, "relu")(L.GlobalAveragePooling2D()(d)))
    d = L.Multiply()([d, L.Reshape((1, 1, 32))(se)])
    c = L.MaxPooling2D()(L.SeparableConv2D(20, 3)(L.Concatenate()([h, d])))
    f = L.LayerNormalization()(L.PReLU()(L.Dense(24)(L.Flatten()(c))))
    return keras.Model(source, L.Dense(5, "softmax")(L.Dense(12, "relu")(f))), (12, 12, 3)


def _transformer():
    import keras
    from keras import layers as L  # noqa: N812

    source = keras.Input((6, 8))
    h = L.Dense(16)(source)
    h = L.LayerNormalization()(L.Add()([h, L.MultiHeadAttention(4, 4)(h, h)]))
    h = L.LayerNormalization()(L.Add()([h, L.Dense(16)(L.Dense(32, "relu")(h))]))
    return keras.Model(source, L.Dense(3, "softmax")(L.GlobalAveragePooling1D()(h))), (6, 8)


def _shared():
    import keras
    from keras import layers as L  # noqa: N812

    source, twice = keras.Input((7,)), L.Dense(10, "relu")
    one, two = L.Dense(10, "tanh")(source), L.Dense(10)(source)
    return keras.Model(source, L.Dense(2, "softmax")(L.Add()([twice(one), twice(two)]))), (7,)


@pytest.mark.parametrize(("make", "wanted"), [(_residual, 5), (_transformer, 2), (_shared, 2)])
def test_taking_out_zeros_of_a_keras_graph_changes_nothing(make, wanted):
    model, shape = make()
    model = _stirred(model)
    found = of_keras.find_channel_groups(model)
    assert len(found) == wanted
    check_zero_channels_can_be_removed(of_keras, model, RANDOM.normal(size=(5, *shape)).astype("float32"))
    half = of_keras.remove_channels(model, {g.name: np.arange(g.width // 2) for g in found})
    assert half.count_params() < 0.75 * model.count_params()


def _torch_net():
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1, bias=False)
            self.first, self.second = nn.BatchNorm2d(16), nn.BatchNorm2d(16)
            self.deep, self.point = nn.Conv2d(32, 32, 3, groups=32, padding=1), nn.Conv2d(32, 24, 1)
            self.wide, self.head = nn.Linear(24 * 9, 40), nn.Linear(40, 5)
            self.example_input_array = torch.zeros(2, 3, 12, 12)

        def forward(self, x):
            h = torch.relu(self.first(self.one(x)))
            r = torch.relu(h + self.second(self.two(h)))
            c = torch.max_pool2d(self.point(torch.relu(self.deep(torch.cat([h, r], 1)))), 4)
            return self.head(torch.relu(self.wide(c.view(c.size(0), -1))))

    torch.manual_seed(0)
    net = Net()
    for p in net.parameters():
        nn.init.normal_(p, 0, 0.3)
    return of_torch.convert_object(net.eval())


def test_taking_out_zeros_of_a_torch_program_changes_nothing(tmp_path):
    program, x = _torch_net(), RANDOM.normal(size=(5, 12, 12, 3)).astype("float32")
    assert len(of_torch.find_channel_groups(program)) == 3
    check_zero_channels_can_be_removed(of_torch, program, x)
    half = of_torch.remove_channels(
        program, {g.name: np.arange(g.width // 2) for g in of_torch.find_channel_groups(program)}
    )
    of_torch.write_file(half, tmp_path / "half.pt2")
    assert np.array_equal(of_torch.predict(of_torch.read_file(tmp_path / "half.pt2"), x), of_torch.predict(half, x))


def test_the_check_of_zero_channels_catches_a_framework_that_cuts_elsewhere():
    class Broken:
        find_channel_groups, mask_channels = of_torch.find_channel_groups, of_torch.mask_channels
        predict = of_torch.predict

        @staticmethod
        def remove_channels(obj, removed):
            width = {g.name: g.width for g in of_torch.find_channel_groups(obj)}
            return of_torch.remove_channels(obj, {name: (at + 1) % width[name] for name, at in removed.items()})

    with pytest.raises(AssertionError, match="predictions differ"):
        check_zero_channels_can_be_removed(Broken, _torch_net(), RANDOM.normal(size=(5, 12, 12, 3)).astype("float32"))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 9))
def test_joined_channels_go_together_and_fixed_ones_stay(seed, layers, width):
    random, trace = np.random.default_rng(seed), Channels()
    made = [trace.new_channels(width, f"layer {i}") for i in range(layers)]
    for i, ids in enumerate(made):
        trace.slot(i, random.normal(size=(3, width)), {1: ids})
    pairs = random.integers(0, layers, size=(int(random.integers(0, layers)), 2))
    for a, b in pairs:
        trace.join(made[a], made[b])
    trace.freeze(made[0])
    units = trace.units()
    assert all(len(u) == width for u in units.values())
    removed = {name: random.permutation(width)[: width - 1] for name in units}
    gone = trace.find_removed(removed)
    shapes = [trace.cut(i, gone).shape[1] for i in range(layers)]
    assert set(shapes) <= {1, width}
    assert shapes[0] == width
    for a, b in pairs:
        assert shapes[a] == shapes[b]
        assert np.array_equal(trace.find_remaining(made[a], gone), trace.find_remaining(made[b], gone))
    assert shapes.count(1) == sum(not np.isin(trace.roots(m), trace.roots(made[0])).any() for m in made)


def test_what_is_not_there_cannot_be_removed():
    own = parent("torch")
    name = own.framework.find_channel_groups(own.obj)[0].name
    for removed, said in (
        ({"x": [0]}, "no group"),
        ({name: [99]}, "channels 0 to"),
        ({name: range(24)}, "at least one"),
    ):
        with pytest.raises(BadSetting, match=said):
            own.framework.remove_channels(own.obj, removed)


def test_the_smallest_channels_go_and_wide_layers_keep_a_multiple_of_eight():
    trace = Channels()
    ids = trace.new_channels(40, "wide")
    trace.slot("kernel", np.arange(1, 41) * np.ones((3, 40)), {1: ids})
    (group,) = trace.groups()
    assert least([group], 0.35, l2)["wide"].tolist() == list(range(16))  # 26 would stay, 24 do
    assert least([group], 0.0, l2) == {}


def test_a_network_without_inner_channels_is_refused():
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    with pytest.raises(BadModel, match="No channel"):
        of_keras.find_channel_groups(model)


@pytest.mark.parametrize("kind", ["keras", "torch"])
def test_recovery_brings_back_what_cutting_lost(kind):
    from evermodel.combining.members import build_scorer

    own, data = parent(kind), Split(table(600, 31), table(600, 32), table(600, 33))
    score = build_scorer(own, data.tuning_rows)
    cut, made = (channels([own], data, Context(seed=1), ratio=0.7, recover=r) for r in (False, True))
    assert score(made) > score(cut)
    assert score(made) > score(own) - 0.1


def test_fewer_trees_with_larger_steps_beat_the_first_few():
    from evermodel.combining.members import build_scorer

    own = parent("lightgbm")
    score = build_scorer(own, split().tuning_rows)
    first, made = (trees([own], split(), Context(seed=1), ratio=0.9, recover=r) for r in (False, True))
    assert first.framework.count_trees(first.obj) == made.framework.count_trees(made.obj) == 6
    assert score(made) >= score(first)


def test_useless_columns_are_found_and_left_out():
    own, data = parent("lightgbm"), split()
    noisy = [
        dataclasses.replace(t, frame=_with_noise(t.frame)) for t in (data.new_rows, data.replay_rows, data.tuning_rows)
    ]
    columns = (*own.contract.columns, Column("noise", "number", "Float64"))
    contract = dataclasses.replace(own.contract, columns=columns)
    transform = dataclasses.replace(own.transform, features=(*own.transform.features, Feature("noise")))
    wide = dataclasses.replace(own, contract=contract, transform=transform)
    wide = wide.fit(noisy[0], Context().training(wide, None), from_scratch=True)
    worth = importances(wide, noisy[2], ["a", "b", "noise"], 2, 0)
    assert min(worth, key=worth.__getitem__) == "noise"
    made = features([wide], Split(*noisy), Context(seed=1), ratio=0.34)
    assert [f.column for f in made.transform.features] == ["a", "b"]
    assert made.contract == wide.contract


def _with_noise(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.Series("noise", np.random.default_rng(frame.height).normal(size=frame.height)))


@pytest.mark.parametrize("kind", ["torch", "keras"])
def test_masks_save_compressed_size_and_nothing_else(kind):
    own = parent(kind)
    made = magnitude([own], split(), Context(seed=1), ratio=0.8)
    frame = table(64, 1).frame
    before, after = costs_alike("channels", own, made, frame, repeats=1)
    assert after.size == pytest.approx(before.size, rel=0.02)
    before, after = costs_alike("magnitude", own, made, frame, repeats=1)
    assert after.size < 0.9 * before.size


def test_an_ensemble_in_service_is_pruned_member_by_member(adopted):
    for seed, angle in ((3, 0.5), (4, 0.9)):
        evermodel.update("m", rows(900, seed, angle=angle), strategy="refit", settings={"window": 1}, registry=adopted)
    evermodel.fuse("m", ["v2", "v3"], data=rows(900, 7, angle=0.8), fuser="vote", registry=adopted)
    evermodel.promote("m", "v4", registry=adopted)
    done = evermodel.prune("m", rows(2000, 8, angle=0.8), ratio=0.5, keep_metric=0.05, registry=adopted)
    assert done.champion == "v4"
    assert done.size[1] < 0.7 * done.size[0]
    with pytest.raises(AskedWrongly):
        evermodel.prune("m", rows(900, 9, angle=0.8), pruner="channels", ratio=0.5, registry=adopted)


def test_normalisation_is_folded_into_convolutions_and_nothing_else_changes():
    import torch
    from torch import nn

    from evermodel.plugins.frameworks import torch as plugin
    from evermodel.plugins.frameworks._torch.fold_batchnorm import fold_batchnorm
    from evermodel.plugins.frameworks._torch.program import run

    torch.manual_seed(1)
    body = [nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3, padding=1)]
    body += [nn.BatchNorm2d(6, affine=False), nn.ReLU(), nn.BatchNorm2d(6), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    module = nn.Sequential(*body, nn.Linear(6, 3))
    for layer in module:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -1, 1)
            nn.init.uniform_(layer.running_var, 0.3, 3)
            if layer.affine:
                nn.init.uniform_(layer.weight, 0.5, 2)
                nn.init.uniform_(layer.bias, -1, 1)
    module.eval().example_input_array = torch.zeros(2, 3, 12, 12)
    program = plugin.convert_object(module)
    graph, tensors = fold_batchnorm(program.graph, program.tensors)
    kinds = [n.short for n in graph.nodes]
    assert kinds.count("batch_norm") == 1  # the one that stands behind no convolution
    x = torch.randn(70, 3, 12, 12)
    with torch.no_grad():
        whole = run(program.graph, program.tensors, x)
        assert torch.allclose(run(graph, tensors, x), whole, atol=1e-5)
        assert torch.allclose(module(x), whole, atol=1e-5)
    few = plugin.predict(program, x[:5].numpy())
    assert np.allclose(plugin.predict(program, x.numpy())[:5], few, atol=1e-5)  # folded and not


def test_a_file_may_say_of_8_bits_only_what_keras_writes_by_default(tmp_path):
    import zipfile

    import keras

    from evermodel.plugins.frameworks import keras as plugin

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(1)])
    made = plugin.quantise(model, 1.0)
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    made.save(tmp_path / "good.keras")
    assert np.array_equal(plugin.predict(plugin.read_file(tmp_path / "good.keras"), x), plugin.predict(made, x))
    assert np.allclose(
        plugin.predict(made, x), plugin.predict(model, x), atol=0.05 * np.abs(plugin.predict(model, x)).max()
    )
    for old, new in (('"mode": "int8"', '"mode": "int8/../x"'), ('"AbsMaxQuantizer"', '"GPTQConfig"')):
        at = tmp_path / "bad.keras"
        with zipfile.ZipFile(tmp_path / "good.keras") as good, zipfile.ZipFile(at, "w") as bad:
            for name in good.namelist():
                text = good.read(name)
                bad.writestr(name, text.decode().replace(old, new).encode() if name == "config.json" else text)
            assert old in good.read("config.json").decode()
        with pytest.raises(BadModel, match="by default"):
            plugin.read_file(at)
