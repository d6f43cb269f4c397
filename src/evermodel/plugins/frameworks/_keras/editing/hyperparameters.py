"""Hyperparameters of a Keras network, read off the deployed model and edited in its own configuration.

Any network: learning rate, optimizer, weight decay. One that ends in a plain stack of hidden Dense layers before its
head also has their number and width; one that is a plain chain of layers has a dropout rate.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from evermodel.core.errors import BadModel
from evermodel.core.model.search_space import Dimension
from evermodel.core.records.search_record import Value, Values
from evermodel.plugins.frameworks._keras.editing import copy_model
from evermodel.plugins.frameworks._keras.training import objective, optimizer_state

OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")
BESIDE = ("Dropout", "BatchNormalization", "Activation", "ReLU", "LeakyReLU", "LayerNormalization", "ELU", "PReLU")
MOST_WIDE = 4  # times the deployed width


@dataclass(frozen=True)
class Entry:
    """One layer as its class and configuration."""

    kind: Any
    config: dict[str, Any]

    def rename(self, name: str, **changed: Any) -> Entry:
        return dataclasses.replace(self, config={**self.config, "name": name, **changed})


@dataclass(frozen=True)
class Chain:
    """A network that is one layer after another: what comes before its hidden Dense blocks, those, and its head."""

    before: tuple[Entry, ...]
    blocks: tuple[tuple[Entry, ...], ...]  # each: a Dense layer and what stands beside it
    head: tuple[Entry, ...]

    @property
    def width(self) -> int:
        return int(self.blocks[0][0].config["units"])

    @property
    def dropout(self) -> float:
        return max((float(e.config["rate"]) for e in self._all() if e.kind.__name__ == "Dropout"), default=0.0)

    def _all(self) -> tuple[Entry, ...]:
        return (*self.before, *(e for block in self.blocks for e in block), *self.head)


def dimensions(obj: Any) -> tuple[Dimension, ...]:
    """What may vary; widths from a quarter to four times the deployed one, up to two hidden layers more."""
    found = [
        Dimension("learning_rate", "float", 1e-4, 1e-1 if _optimizer(obj) == "sgd" else 2e-2, log=True),
        Dimension("batch_size", "int", 16, 256, log=True),
        Dimension("epochs", "int", 5, 60, log=True),
    ]
    chain = chain_of(obj)
    if chain is not None and chain.blocks:
        low, high = max(4, chain.width // MOST_WIDE), max(16, chain.width * MOST_WIDE)
        found += [
            Dimension("hidden_layers", "int", 1, len(chain.blocks) + 2),
            Dimension("units", "int", low, high, log=True),
        ]
    if chain is not None:
        found.append(Dimension("dropout", "float", 0.0, 0.6))
    found.append(Dimension("weight_decay", "float", 1e-6, 1e-1, log=True))
    found.append(Dimension("optimizer", "choice", choices=OPTIMIZERS))
    return tuple(found)


def hyperparameters(obj: Any) -> Values:
    """As deployed, where the model says it: epochs and batch size it does not say."""
    found: dict[str, Value] = {
        "learning_rate": optimizer_state.learning_rate(obj) or 1e-3,
        "optimizer": _optimizer(obj),
    }
    found["weight_decay"] = float(getattr(getattr(obj, "optimizer", None), "weight_decay", None) or 0.0)
    chain = chain_of(obj)
    if chain is not None:
        found["dropout"] = chain.dropout
        if chain.blocks:
            found |= {"hidden_layers": len(chain.blocks), "units": chain.width}
    return found


def with_hyperparameters(obj: Any, values: Values) -> Any:
    """A new network with other hyperparameters, newly initialised and compiled with the deployed loss."""
    shaped = {"hidden_layers", "units", "dropout"} & set(values)
    now = hyperparameters(obj)
    if any(values[name] != now.get(name) for name in shaped):
        chain = chain_of(obj)
        if chain is None or (not chain.blocks and shaped - {"dropout"}):
            raise BadModel(
                "The network is no chain of layers with hidden Dense layers: its structure cannot be tuned.",
                "Leave hidden_layers, units and dropout out of the space.",
            )
        network = _built(obj, _edited(chain, {k: values[k] for k in shaped}))
    else:
        network = copy_model.clone(obj)
    copy_model.compile_like(obj, network)
    _recompile(obj, network, values)
    return network


def chain_of(obj: Any) -> Chain | None:
    """The network as a chain; None where its layers branch, nest, or are shared."""
    layers = [layer for layer in obj.layers if type(layer).__name__ != "InputLayer"]
    if not layers or any(getattr(layer, "layers", None) for layer in layers) or len(obj.inputs) != 1:
        return None
    if type(obj).__name__ != "Sequential" and not _follow_one_another(obj, layers):
        return None
    entries = [Entry(type(layer), layer.get_config()) for layer in layers]
    at = max((i for i, e in enumerate(entries) if e.config.get("units")), default=len(entries))
    head = entries[at:]
    first = at
    while first > 0 and (entries[first - 1].kind.__name__ in ("Dense", *BESIDE)):
        first -= 1
    while first < at and entries[first].kind.__name__ != "Dense":
        first += 1
    blocks: list[list[Entry]] = []
    for entry in entries[first:at]:
        blocks.append([entry]) if entry.kind.__name__ == "Dense" else blocks[-1].append(entry)
    return Chain(tuple(entries[:first]), tuple(map(tuple, blocks)), tuple(head))


def _follow_one_another(obj: Any, layers: list[Any]) -> bool:
    previous = obj.inputs[0]
    for layer in layers:
        nodes = [n for n in layer._inbound_nodes if any(t is previous for t in n.input_tensors)]
        if len(nodes) != 1 or len(nodes[0].input_tensors) != 1 or len(nodes[0].output_tensors) != 1:
            return False
        previous = nodes[0].output_tensors[0]
    return previous is obj.outputs[0]


def _edited(chain: Chain, values: Values) -> list[Entry]:
    blocks = [
        chain.blocks[min(i, len(chain.blocks) - 1)] for i in range(int(values.get("hidden_layers", len(chain.blocks))))
    ]
    rate = values.get("dropout")
    flat: list[Entry] = []
    for number, block in enumerate(blocks, 1):
        for place, entry in enumerate(block):
            units = {"units": int(values["units"])} if "units" in values and place == 0 else {}
            flat.append(entry.rename(f"hidden_{number}" + (f"_{place}" if place else ""), **units))
        if rate and not any(e.kind.__name__ == "Dropout" for e in block):
            flat.append(_dropout(f"hidden_{number}_dropout", float(rate)))
    entries = [*chain.before, *flat, *chain.head]
    if rate is None:
        return entries
    return [e.rename(e.config["name"], rate=float(rate)) if e.kind.__name__ == "Dropout" else e for e in entries]


def _dropout(name: str, rate: float) -> Entry:
    import keras

    return Entry(keras.layers.Dropout, {**keras.layers.Dropout(rate).get_config(), "name": name})


def _built(obj: Any, entries: list[Entry]) -> Any:
    import keras

    shape, kind = tuple(obj.inputs[0].shape[1:]), obj.inputs[0].dtype
    try:
        with copy_model.rebuild_from(obj):
            layers = [e.kind.from_config({k: v for k, v in e.config.items() if k != "build_config"}) for e in entries]
            network = keras.Sequential([keras.Input(shape, dtype=kind), *layers], name=obj.name)
    except (ValueError, TypeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadModel(f"These hyperparameters make no network: {first}") from None
    copy_model.keep_normalisation(obj, network)
    return network


def _optimizer(obj: Any) -> str:
    return type(getattr(obj, "optimizer", None) or "").__name__.lower().replace("str", "adam")


def _recompile(obj: Any, network: Any, values: Values) -> None:
    """Another optimizer, rate or weight decay; a model that was never compiled gets its usual loss."""
    import keras

    kinds = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "sgd": "SGD"}
    optimizer_name = str(values.get("optimizer", _optimizer(obj)))
    same = optimizer_name == _optimizer(obj) and getattr(obj, "optimizer", None) is not None
    config = dict(obj.optimizer.get_config()) if same else {}
    config["learning_rate"] = float(values.get("learning_rate") or optimizer_state.learning_rate(obj) or 1e-3)
    if values.get("weight_decay"):
        config["weight_decay"] = float(values["weight_decay"])
    if optimizer_name == "sgd" and not same:
        config["momentum"] = 0.9  # plain SGD is nobody's choice for a network
    kind = type(obj.optimizer) if same else getattr(keras.optimizers, kinds.get(optimizer_name, "Adam"))
    loss = objective.full_name(network.loss) if getattr(network, "compiled", False) else _usual_loss(obj)
    network.compile(kind.from_config({k: v for k, v in config.items() if k != "name" or same}), loss)
    network.optimizer.build(network.trainable_variables)


def _usual_loss(obj: Any) -> Any:
    needs = objective.signature(obj)
    return objective.default_loss(obj, 0 if needs.task == "regression" else max(needs.outputs or 2, 2))
