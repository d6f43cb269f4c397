"""Hold any version against the champion, on given rows or on those that were kept to judge."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.cleaning import clean
from evermodel.core.difference import difference
from evermodel.core.errors import AskedWrongly, NoData
from evermodel.core.judging import judge as judge_pair
from evermodel.core.model import Model
from evermodel.core.reading import scan
from evermodel.core.store import Store
from evermodel.core.table import Table
from evermodel.loop.home import champion_of, open_home
from evermodel.loop.judging import pair
from evermodel.loop.memory import read_memory
from evermodel.loop.results import Score, Shown, score_lines
from evermodel.loop.scoring import check_metric
from evermodel.loop.showing import shown_scores, told_reasons
from evermodel.loop.splitting import without_known
from evermodel.loop.versions import load_version


@dataclass(frozen=True)
class Judged(Shown):
    """What the judge says of a version against the champion; nothing was moved."""

    name: str
    decision: str
    champion: str
    challenger: str
    metric: str
    scores: dict[str, dict[str, Score]]
    reasons: tuple[str, ...]
    rows_needed: int | None
    seconds: float

    def lines(self) -> list[str]:
        head = f"{self.decision}: {self.name} {self.challenger} against {self.champion}"
        return [head, *score_lines(self.scores, self.metric), *(f"  because  {r}" for r in self.reasons)]


def judge(
    name: str,
    version: str,
    data: Any = None,
    *,
    metric: str | None = None,
    margin: float | None = None,
    home: str | Path | None = None,
) -> Judged:
    """Hold ``version`` against the champion on labelled rows; moves nothing and remembers nothing.

    Rows that any update has seen are left out. Without ``data``, the rows that were kept out of all training judge.
    Raises NoData where none are left, NotFound, BadData.

        $ evermodel judge churn v3 april.csv
    """
    began = time.monotonic()
    store = open_home(home)
    champion, challenger = champion_of(store, name), store.card(name, version)
    if champion.version == challenger.version:
        raise AskedWrongly(f"{version} is the champion itself.", f"'evermodel show {name}' lists other versions.")
    first, second = load_version(store, champion), load_version(store, challenger)
    contract = second.contract.with_classes(read_memory(store, name).classes)  # its codes are in the remembered rows
    first, second = dataclasses.replace(first, contract=contract), dataclasses.replace(second, contract=contract)
    check_metric(metric, first.contract.task)
    rows = _rows(store, name, second, data)
    scores = pair(first, second, rows, None, metric=metric, series=not champion.facts.get("shuffled"))
    verdict = judge_pair(scores, margin=margin)
    return Judged(
        name, verdict.decision, champion.version, version, scores.metric, shown_scores(scores),
        told_reasons(verdict), verdict.rows_needed, time.monotonic() - began,
    )  # fmt: skip


def _rows(store: Store, name: str, model: Model, data: Any) -> Table:
    memory = read_memory(store, name)
    kept, past = memory.rows(store, model.contract), memory.past(store, model.contract)
    if data is None:
        if past is None:
            raise NoData(f"No rows of {name} were kept out of training.", "Give labelled rows to judge on.")
        return past
    frame = scan(data)
    found = difference(model.contract, frame, new_classes="refuse")
    found.raise_refused()
    table = clean(found.migrated(frame), model.contract, labelled=True).collect()
    fresh, known = without_known(table, kept)
    if not len(fresh):
        raise NoData(f"All {known} rows were trained on.", "A model can only be judged on rows nobody trained on.")
    return dataclasses.replace(fresh, blocks=None)
