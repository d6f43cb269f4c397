"""The main job on a real drifting stream: a deployed Keras model, several updates in a row, the report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from evermodel.core import plugs
from evermodel.core.cleaning import clean
from evermodel.core.model import Model
from evermodel.core.training import Training
from evermodel.export.report import report
from evermodel.loop.adopt import adopt
from evermodel.loop.home import champion_of, open_home
from evermodel.loop.results import Shown
from evermodel.loop.update import update
from evermodel.loop.use import save
from evermodel.loop.versions import load_version

SHIPPED = Path(__file__).parent / "_demo"
FIRST = 9_000  # rows the model was deployed on
BLOCKS = 6  # then: five updates, each scored on the block that follows
NAME = "existing_model"


@dataclass(frozen=True)
class Demonstrated(Shown):
    """Score on the NEXT block after each update, by three ways to keep a model; where the report is."""

    stream: str
    metric: str
    blocks: Sequence[Mapping[str, object]]
    means: Mapping[str, float]
    files: tuple[str, ...]
    seconds: float

    def lines(self) -> list[str]:
        files = [f"  {f}" for f in self.files]
        if not self.blocks:
            return ["Written:", *files]
        head = f"{self.stream}: {self.metric} on the block that came NEXT"
        columns = f"{'block':>6}{'never updated':>16}{'textbook recipe':>18}{'Evermodel':>12}   decision"
        rows = [
            f"{b['block']:>6}{b['never']:>16.4f}{b['textbook']:>18.4f}{b['evermodel']:>12.4f}   {b['decision']}"
            for b in self.blocks
        ]
        m = self.means
        mean = f"{'mean':>6}{m['never']:>16.4f}{m['textbook']:>18.4f}{m['evermodel']:>12.4f}"
        return [head, columns, *rows, mean, f"{self.seconds:.0f} seconds. Written:", *files]


def demo(
    to: str | Path = "evermodel_demo", *, files_only: bool = False, say: Callable[[str], None] = print
) -> Demonstrated:
    """Adopt a deployed ``existing_model.h5``, update it block by block on a real stream, compare, write the report.

    Bank Marketing (UCI, CC BY 4.0): telephone campaigns from 2008 to 2010, through the financial crisis. The textbook
    recipe fits the scaler anew and trains on the new rows only. Everything is written into the folder ``to``;
    ``files_only`` writes the model and the rows as CSV files to try the commands on, and stops.

        $ evermodel demo
    """
    began = time.monotonic()
    folder = Path(to)
    folder.mkdir(parents=True, exist_ok=True)
    if files_only:
        return _only_files(folder, began)
    home = folder / f"home-{time.strftime('%Y%m%d-%H%M%S')}"
    blocks = _blocks(folder)
    say(f"A model was deployed on {FIRST:,} rows of 2008; then came {BLOCKS} blocks of {blocks[1].height:,} rows.")
    say(str(adopt(folder / "existing_model.h5", data=blocks[0], target="subscribed", name=NAME, home=home)))
    store = open_home(home)
    deployed = load_version(store, champion_of(store, NAME))
    models = {"never": deployed, "textbook": deployed, "evermodel": deployed}
    told = []
    for number, (new, following) in enumerate(zip(blocks[1:-1], blocks[2:], strict=True), start=1):
        result = update(NAME, new, home=home)
        models["textbook"] = _textbook(models["textbook"], new)
        models["evermodel"] = load_version(store, champion_of(store, NAME))
        scores = {k: _score(m, following) for k, m in models.items()}
        told.append({"block": number, **scores, "decision": result.decision})
        say(f"block {number}: {result.lines()[0]}")
    means = {k: float(np.mean([b[k] for b in told])) for k in models}
    files = _files(folder, home)
    return Demonstrated("Bank Marketing, 2008 to 2010", "AUC", told, means, files, time.monotonic() - began)


def _blocks(folder: Path) -> list[pl.DataFrame]:
    rows = pl.read_parquet(SHIPPED / "bank_marketing.parquet")
    (folder / "existing_model.h5").write_bytes((SHIPPED / "existing_model.h5").read_bytes())
    ends = np.linspace(FIRST, rows.height, BLOCKS + 1).round().astype(int)
    return [rows[:FIRST], *(rows[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True))]


def _only_files(folder: Path, began: float) -> Demonstrated:
    """The deployed model, its reference rows and the blocks that came after, as a user would have them."""
    written = [str(folder / "existing_model.h5")]
    for number, block in enumerate(_blocks(folder)):
        file = folder / ("reference.csv" if number == 0 else f"new_{number}.csv")
        block.write_csv(file)
        written.append(str(file))
    return Demonstrated("Bank Marketing, 2008 to 2010", "AUC", (), {}, tuple(written), time.monotonic() - began)


def _textbook(before: Model, new: pl.DataFrame) -> Model:
    table = clean(new.lazy(), before.contract, labelled=True).collect()
    fed = dataclasses.replace(before, transform=before.transform.fitted(table.frame))
    return fed.fitted(table, Training(epochs=10), fresh=False)


def _score(model: Model, rows: pl.DataFrame) -> float:
    table = clean(rows.lazy(), model.contract, labelled=True).collect()
    return float(plugs.function("metrics", "auc")(model.target(table), model.predict(table.frame)))


def _files(folder: Path, home: Path) -> tuple[str, ...]:
    saved = save(NAME, to=folder / "updated_model.h5", home=home)
    page = report(NAME, "champion", to=folder / "report.html", home=home)
    return (*saved.files, str(home), page.to)
