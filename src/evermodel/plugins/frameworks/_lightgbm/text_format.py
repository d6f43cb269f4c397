"""LightGBM's text format: read into pieces, checked, put together again.

LightGBM itself trusts the file: a child that points to itself loops for ever, a short array is read past its end. So a
file is checked here, number by number, before LightGBM sees it.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evermodel.core.errors import BadModel
from evermodel.plugins.frameworks._lightgbm.tree import check_tree, fields_of, scale_tree, shift_tree

END_OF_TREES = "end of trees"
MAGIC = b"tree\n"
_PARAMETER = re.compile(r"\[(\w+): (.*)\]")
# Only a line's end and a tab may be in the text: LightGBM ends a line at a carriage return as well, and then reads past
# the end of a parameter's line that has no colon.
_CONTROL_CHARACTERS = bytes(set(range(32)) - set(b"\n\t")) + b"\x7f"
_AGAIN = "Save it again with Booster.save_model()."


@dataclass(frozen=True)
class Native:
    """A model file in pieces: the lines of its header, the text of each tree, parameters, pandas' code tables."""

    header: Mapping[str, str]
    trees: tuple[str, ...]
    parameters: Mapping[str, str]
    categories: tuple[tuple[Any, ...], ...]

    @property
    def objective(self) -> str:
        return self.header.get("objective", "custom").split(" ")[0]

    @property
    def width(self) -> int:
        return int(self.header["max_feature_idx"]) + 1

    @property
    def names(self) -> list[str]:
        return self.header["feature_names"].split(" ")

    @property
    def trees_per_round(self) -> int:
        return int(self.header["num_tree_per_iteration"])

    @property
    def rounds(self) -> int:
        return len(self.trees) // self.trees_per_round

    def categorical(self) -> tuple[int, ...]:
        """Positions of columns that were trained on as categories."""
        infos = self.header.get("feature_infos", "").split(" ")
        coded = {i for i, info in enumerate(infos) if info not in ("", "none") and not info.startswith("[")}
        text = self.parameters.get("categorical_feature", "").split(",")
        return tuple(sorted(coded | {int(s) for s in text if s.isdigit() and int(s) < self.width}))

    def category_tables(self) -> dict[int, tuple[Any, ...]]:
        """Position of a column -> its table of categories in code order; of files that were trained on pandas."""
        places = self.categorical()
        return dict(zip(places, self.categories, strict=True)) if len(places) == len(self.categories) else {}


def parse(data: bytes, name: str = "The model", *, ours: bool = False) -> Native:
    """The pieces of a model file. Raises BadModel where LightGBM could stumble over it.

    ``ours``: LightGBM wrote it in this process a moment ago, and nobody else had it; its trees are not checked then,
    which takes a quarter as long as growing them did.
    """
    try:
        model = _parse(data)
        if not ours:
            _check(model)
        return model
    except (ValueError, KeyError, IndexError, RecursionError) as error:
        detail = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BadModel(f"{name} is not a whole LightGBM model file ({detail[:200]}).", _AGAIN) from None


def _parse(data: bytes) -> Native:
    if not data.startswith(MAGIC):
        raise ValueError("it does not begin with 'tree'")
    if len(data.translate(None, _CONTROL_CHARACTERS)) != len(data):
        raise ValueError("it has a control character in its text")
    start = data.index(b"\n\n") + 2
    header = fields_of(data[:start].decode())
    trees = []
    for size in map(int, header.pop("tree_sizes").split()):
        if size <= 0 or start + size > len(data):
            raise ValueError("it is shorter than its tree_sizes say")
        trees.append(data[start : start + size].decode().split("\n", 1)[1].rstrip("\n"))
        if not data.startswith(b"Tree=%d\n" % (len(trees) - 1), start):
            raise ValueError(f"tree {len(trees) - 1} is not where tree_sizes says")
        start += size
    rest = data[start:].decode()
    if not rest.startswith(END_OF_TREES):
        raise ValueError(f"{END_OF_TREES!r} does not follow the trees")
    return Native(header, tuple(trees), _parameters(rest), _categories(rest))


def _check(model: Native) -> None:
    per_round, classes = model.trees_per_round, int(model.header["num_class"])
    if not 1 <= per_round <= 100_000 or classes != per_round:
        raise ValueError(f"{classes} classes but {per_round} trees a round")
    if not model.trees or len(model.trees) % per_round:
        raise ValueError(f"{len(model.trees)} trees for {per_round} a round")
    if len(model.names) != model.width:
        raise ValueError(f"{len(model.names)} feature names for {model.width} features")
    for number, tree in enumerate(model.trees):
        check_tree(tree, number, model.width)


def _parameters(rest: str) -> dict[str, str]:
    if "\nparameters:" not in rest:
        return {}
    block = rest.split("\nparameters:", 1)[1].split("end of parameters", 1)[0]
    found = {}
    for line in filter(None, block.strip().split("\n")):
        match = _PARAMETER.fullmatch(line)
        if match is None:
            raise ValueError(f"parameter line {line[:40]!r}")
        found[match[1]] = match[2]
    return found


def _categories(rest: str) -> tuple[tuple[Any, ...], ...]:
    last = rest.rstrip("\n").rsplit("\n", 1)[-1]
    if not last.startswith("pandas_categorical:"):
        return ()
    tables = json.loads(last.split(":", 1)[1]) or []
    if not isinstance(tables, list) or not all(isinstance(table, list) for table in tables):
        raise ValueError("pandas_categorical is not a list of lists")
    return tuple(map(tuple, tables))


def to_text(model: Native) -> str:
    """The model as LightGBM writes it; sizes counted anew. Importances are left out: nothing reads them back."""
    trees = [f"Tree={number}\n{tree}\n\n\n" for number, tree in enumerate(model.trees)]
    flags = "".join(f"{k}\n" for k, v in model.header.items() if v == "" and k != "tree")
    lines = "".join(f"{k}={v}\n" for k, v in model.header.items() if v != "")
    sizes = " ".join(str(len(t.encode())) for t in trees)
    parameters = "\n".join(f"[{k}: {v}]" for k, v in model.parameters.items())
    text = f"\nparameters:\n{parameters}\n\nend of parameters\n" if model.parameters else ""
    tables = json.dumps(model.categories) if model.categories else "null"
    head = f"tree\n{lines}{flags}tree_sizes={sizes}\n\n"
    return f"{head}{''.join(trees)}end of trees\n{text}\npandas_categorical:{tables}\n"


def combine_natives(models: Sequence[Native], shares: Sequence[float]) -> Native:
    """One model whose raw output is the weighted sum of theirs: all trees, leaves scaled. Raises BadModel if they
    differ in objective, classes or columns.
    """
    first = models[0]
    for other in models[1:]:
        for key in ("objective", "num_class", "max_feature_idx", "feature_names"):
            if other.header.get(key) != first.header.get(key):
                got = f"{first.header.get(key)} and {other.header.get(key)}"
                raise BadModel(f"Boosters can be combined when their {key} agrees. Got {got[:120]}.")
    trees = []
    for model, share in zip(models, shares, strict=True):
        # A random forest divides by its number of rounds while predicting; here that is done once and for all.
        factor = share / model.rounds if "average_output" in model.header else share
        trees += [scale_tree(tree, factor) for tree in model.trees]
    header = {k: v for k, v in first.header.items() if k != "average_output"}
    return Native(header, tuple(trees), first.parameters, max((m.categories for m in models), key=_entries))


def correct_native(model: Native, factor: float, shift: Sequence[float]) -> Native:
    """The model with the margins ``factor * margin + shift``: leaves scaled, the shift in each class's first tree."""
    scaled = combine_natives([model], [factor])
    first = [shift_tree(tree, by) for tree, by in zip(scaled.trees, shift, strict=False)]
    return dataclasses.replace(scaled, trees=(*first, *scaled.trees[len(first) :]))


def split_native(model: Native, parts: Sequence[tuple[int, float]]) -> list[Native]:
    """What ``combine_natives`` joined, by the rounds and the share of each; leaves as they were but for the last digit.

    Nothing where one of them had no share.
    """
    if not all(share > 0 for _, share in parts):
        return []
    ends = [model.trees_per_round * end for end in itertools.accumulate((rounds for rounds, _ in parts), initial=0)]
    cut = [model.trees[start:end] for start, end in itertools.pairwise(ends)]
    scaled = [tuple(scale_tree(t, 1.0 / share) for t in trees) for trees, (_, share) in zip(cut, parts, strict=True)]
    return [dataclasses.replace(model, trees=trees) for trees in scaled]


def _entries(tables: tuple[tuple[Any, ...], ...]) -> int:
    return sum(map(len, tables))
