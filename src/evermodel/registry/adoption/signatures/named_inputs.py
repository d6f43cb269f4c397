"""Which columns make which named input of a model: as a signature file says, or as the names themselves say."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

import polars as pl

from evermodel.core.contracts.inference import KnownColumn
from evermodel.core.data.column_names import match_names
from evermodel.core.data.contract import Column, Contract
from evermodel.core.data.list_columns import name_places
from evermodel.core.errors import Ambiguous, BadSetting, ContractBroken, NotFound
from evermodel.core.model.framework import InputTensor, Signature
from evermodel.core.model.transform import Encoding, Feature
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.model_signature import ListLayout, NamedInput
from evermodel.registry.adoption.signatures.signature_file import Padding, SignatureFile

ORDER = "Name its columns in order as `inputs`; also one that has another part, such as the entity."


def assign_columns(needs: Signature, roles: Roles, frame: pl.LazyFrame, given: SignatureFile) -> tuple[NamedInput, ...]:
    """The columns of every named input, in the model's order; empty for a model of one flat row.

    An input of one number, or of a picture, takes the column of its name; the one that is left takes what is left.
    Raises BadSetting, NotFound for a signature file that names other inputs or columns; Ambiguous where names do not
    say which columns an input is made of.
    """
    tensors = needs.inputs
    if given.inputs:
        _check_given(given, frame)
    if not tensors:
        return ()
    free, there = _list_candidates(roles, frame), frozenset(frame.collect_schema().names())
    found = {name: name_listed(part.columns, there) for name, part in given.inputs.items()}
    taken = {column for columns in found.values() for column in columns}
    free = [column for column in free if column not in taken]
    for tensor in tensors:  # a list column of the input's name
        places = name_places(tensor.name, free)
        if tensor.name not in found and len(places) == tensor.width > 1:
            found[tensor.name] = places
            free = [column for column in free if column not in places]
    files = {name for name, dtype in frame.collect_schema().items() if dtype in (pl.Binary, pl.String)}
    pictures = {t.name for t in tensors if len(t.shape) == 3 and t.name in files}  # a picture is one column
    singles = [t.name for t in tensors if t.name not in found and (t.width == 1 or t.name in pictures)]
    named = {name: name for name in singles if name in (*free, roles.entity)}  # who it is may be what it learns from
    named |= match_names([n for n in singles if n not in named], [c for c in free if c not in named.values()])
    found |= {name: (column,) for name, column in named.items()}
    free = [column for column in free if column not in named.values()]
    open_inputs = [t for t in tensors if t.name not in found]
    if len(open_inputs) == 1 and free:
        found[open_inputs[0].name] = tuple(free)
    elif open_inputs:
        raise _ask_for_columns(open_inputs, free)
    return tuple(NamedInput(t.name, t.shape, t.dtype, found[t.name], t.codes) for t in tensors)


def take_flat_input(needs: Signature, roles: Roles, given: SignatureFile) -> tuple[Roles, SignatureFile]:
    """The columns of a signature file's one input as those of a model that takes one flat row and names no input.

    Whatever the file calls it: there is but one. Raises BadSetting where ``roles`` name other inputs.
    """
    parts = list(given.inputs.values())
    if needs.inputs or needs.shape is None or len(parts) != 1 or parts[0].padding is not None:
        return roles, given
    columns = parts[0].columns
    if roles.inputs not in (None, columns):
        raise BadSetting("The signature file and `inputs` name other columns, or another order.", "Name them once.")
    return dataclasses.replace(roles, inputs=columns), dataclasses.replace(given, inputs={})


def find_list_layouts(needs: Signature, given: SignatureFile) -> tuple[ListLayout, ...]:
    """How the list columns of a signature file are read, each as wide as its input.

    Raises BadSetting, NotFound for a signature file that names inputs the model lacks, or a pad that is no code of its.
    """
    tensors = {tensor.name: tensor for tensor in needs.inputs}
    if given.inputs and not tensors and needs.shape is None and needs.layout == "matrix":
        raise BadSetting(
            "The model takes rows of any length, so nothing says to which length lists are padded.",
            "Give its input a length: keras.Input((20,), …), with the same layers behind it and their weights.",
        )
    if given.inputs and not tensors:
        raise BadSetting(
            "The model takes one flat row; the signature file names several inputs, or pads lists.",
            "Name its columns in order as one input, or as `inputs`.",
        )
    layouts = []
    for name, part in given.inputs.items():
        if name not in tensors:
            raise NotFound.among("input of the model", name, list(tensors))
        if part.padding is not None:
            _check_pad(tensors[name], part.padding)
            layouts.append(ListLayout(part.columns[0], tensors[name].width, **dataclasses.asdict(part.padding)))
    return tuple(layouts)


def _check_pad(tensor: InputTensor, padding: Padding) -> None:
    pad = padding.pad
    if tensor.is_whole and (pad != round(pad) or (tensor.codes is not None and not 0 <= pad < tensor.codes)):
        table = "" if tensor.codes is None else f" from 0 to {tensor.codes - 1:,}"
        raise BadSetting(
            f"The input {tensor.name!r} takes whole numbers{table}; its lists cannot be padded with {pad:g}.",
            "Give the number with which the model's training rows were padded as pad.",
        )


def name_listed(columns: Sequence[str], there: Collection[str]) -> tuple[str, ...]:
    """The columns, a list column as those of its places."""
    return tuple(place for column in columns for place in name_places(column, there))


def name_list_columns(roles: Roles, frame: pl.LazyFrame) -> Roles:
    """The roles with list columns among inputs and dropped ones named by their places, as rows are read."""
    there = frozenset(frame.collect_schema().names())
    inputs = None if roles.inputs is None else name_listed(roles.inputs, there)
    return dataclasses.replace(roles, inputs=inputs, drop=name_listed(roles.drop, there))


def know_columns(inputs: Sequence[NamedInput], frame: pl.LazyFrame) -> dict[str, KnownColumn]:
    """Columns of texts; and those of numbers that are places in a table of the model's own: how many there are."""
    schema = frame.collect_schema()
    texts = {column: KnownColumn("text") for part in inputs if part.takes_text for column in part.columns}
    return texts | {
        column: KnownColumn("number", below=part.codes)
        for part in inputs
        for column in part.columns
        if part.codes is not None and column in schema and schema[column].is_numeric()
    }


def keep_learnt(inputs: Sequence[NamedInput], contract: Contract) -> tuple[NamedInput, ...]:
    """The inputs, made of those of their columns alone that the contract has."""
    there = set(contract.names)
    return tuple(dataclasses.replace(p, columns=tuple(c for c in p.columns if c in there)) for p in inputs)


def list_input_features(contract: Contract, inputs: Sequence[NamedInput]) -> list[tuple[tuple[Feature, ...], str]]:
    """Every way to encode the columns of all named inputs, each as wide as its tensor, in the inputs' order.

    A window of several steps whose columns nobody put in order is read both ways: step by step, and column by column.
    Raises ContractBroken where the columns of an input cannot be as wide as it is.
    """
    ways: list[tuple[tuple[Feature, ...], str]] = [((), "named inputs")]
    for part in inputs:
        encoded = _encode_input(contract, part, inputs)
        if is_window(part) and contract.roles.inputs is None:
            encoded = [
                (ordered, f"{how}{', ' if how else ''}{said}")
                for features, how in encoded
                for ordered, said in ((features, "step by step"), (_turn(features, part), "column by column"))
            ]
        ways = [
            ((*features, *more), f"{said}, {part.name}: {how}" if how else said)
            for features, said in ways
            for more, how in encoded
        ]
    return ways


def order_columns(inputs: Sequence[NamedInput], features: Sequence[Feature]) -> tuple[NamedInput, ...]:
    """The inputs with their columns in the order in which the features fill them."""
    place = {feature.column: at for at, feature in enumerate(features)}
    return tuple(dataclasses.replace(p, columns=tuple(sorted(p.columns, key=place.__getitem__))) for p in inputs)


def is_window(part: NamedInput) -> bool:
    """Whether an input takes several steps of several columns."""
    return len(part.shape) == 2 and min(part.shape) > 1


def _turn(features: Sequence[Feature], part: NamedInput) -> tuple[Feature, ...]:
    """Features that lie column by column, each with all its steps, put step by step as the input takes them."""
    steps, columns = part.shape
    if len(features) != steps * columns:
        return tuple(features)
    return tuple(features[column * steps + step] for step in range(steps) for column in range(columns))


def _encode_input(
    contract: Contract, part: NamedInput, inputs: Sequence[NamedInput]
) -> list[tuple[tuple[Feature, ...], str]]:
    """The ways to encode the columns of one input; words say which where there are categories among them."""
    there = set(contract.names)
    columns = [contract.column(name) for name in part.columns if name in there]
    width = part.width
    if part.takes_text and len(columns) == width:
        return [(tuple(Feature(column.name, "text") for column in columns), "")]
    if [c.kind for c in columns] == ["image"] and len(part.shape) == 3:
        return [((Feature(columns[0].name, "image", shape=part.shape),), "")]
    words = [c.name for c in columns if c.kind in ("text", "image")]
    if words:
        raise ContractBroken(f"{words[0]!r} holds {contract.column(words[0]).kind}s; {part.name!r} takes numbers.")
    categories = any(c.kind == "category" for c in columns)
    kinds: tuple[Encoding, ...] = ("code",) if part.is_whole else ("onehot", "onehot_drop_first", "code")
    found: dict[tuple[Feature, ...], str] = {}
    for kind in kinds if categories else kinds[:1]:
        features = tuple(_encode_column(column, part, kind) for column in columns)
        if sum(f.width for f in features) == width:
            found.setdefault(features, kind.replace("onehot", "one-hot").replace("_", " ") if categories else "")
    if not found:
        shown = "1 column is" if len(columns) == 1 else f"{len(columns)} columns are"
        raise ContractBroken(
            f"The model's input {part.name!r} takes {width} numbers a row; {shown} there for it: "
            f"{', '.join(c.name for c in columns[:12])}.",
            _explain_width(part) if len(inputs) > 1 or is_window(part) else ORDER,
        )
    return list(found.items())


def _explain_width(part: NamedInput) -> str:
    if is_window(part):
        steps, columns = part.shape
        return (
            f"It takes windows of {steps} steps: give a row for each window, the {columns} columns of the oldest step "
            f"first, then those of the next, {part.width} in all; and name what is no input as `drop`."
        )
    return "Say in a TOML file, given as `signature`, which columns make each input."


def _encode_column(column: Column, part: NamedInput, kind: Encoding) -> Feature:
    if column.kind == "category":
        table = min(part.codes or len(column.categories), len(column.categories))
        return Feature(column.name, kind, categories=column.categories, below=table if part.is_whole else None)
    return Feature(column.name, "integer", below=part.codes) if part.is_whole else Feature(column.name)


def _check_given(given: SignatureFile, frame: pl.LazyFrame) -> None:
    there = frame.collect_schema().names()
    columns = [column for part in given.inputs.values() for column in name_listed(part.columns, there)]
    for column in columns:
        if column not in there:
            raise NotFound.among("column", column, there)
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise BadSetting(f"The signature file gives the column {twice[0]!r} twice.", "Give each column to one input.")


def _list_candidates(roles: Roles, frame: pl.LazyFrame) -> list[str]:
    schema = frame.collect_schema()
    if roles.inputs is not None:
        return list(roles.inputs)
    columns = roles.input_columns(schema.names())
    return [c for c in columns if not schema[c].is_temporal() and c not in roles.slices]


def _ask_for_columns(tensors: Sequence[InputTensor], free: Sequence[str]) -> Ambiguous | ContractBroken:
    listed = ", ".join(f"{t.name!r} of the shape {t.shape}" for t in tensors)
    if not free:
        return ContractBroken(f"No column is left for the model's input {listed}.", "Give rows with all its columns.")
    shown = ", ".join(free[:12]) + (", …" if len(free) > 12 else "")
    first = tensors[0]
    columns = ", ".join(f'"{c}"' for c in free[: max(1, min(first.width, 3))])
    return Ambiguous(
        f"The names do not say which columns make the model's inputs {listed}. Columns that are left: {shown}.",
        f"Say it in a TOML file, given as `signature`: [inputs.{first.name}] on one line, columns = [{columns}] on the "
        "next, and so on for each input.",
    )
