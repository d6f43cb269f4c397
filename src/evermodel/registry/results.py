"""What the verbs return: frozen, printed as a few lines, shown in a notebook as tables, one JSON document."""

from __future__ import annotations

import dataclasses
import html
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evermodel.core.masking import make_printable
from evermodel.core.records.adoption_record import Inference, Parity
from evermodel.core.records.data_summary import CleaningSummary
from evermodel.registry.adoption.wording import describe_inference, describe_parity, list_columns, name_subject
from evermodel.registry.file_proof import FileProof
from evermodel.registry.result_table import ResultTable, format_number

if TYPE_CHECKING:
    import polars as pl


class Result(ABC):
    """What a verb returns: frozen; ``print`` shows a few lines, a notebook tables, ``to_frame`` the first table."""

    @abstractmethod
    def lines(self) -> list[str]:
        """The result in a few lines, the most important first."""

    @property
    def headline(self) -> str:
        """The result in one line."""
        return self.lines()[0]

    def tables(self) -> Sequence[ResultTable]:
        """The tables that a notebook shows, the most important first; by default one of the plain fields."""
        fields = [(f.name, getattr(self, f.name)) for f in dataclasses.fields(self)]  # type: ignore[arg-type]
        rows = tuple((name, value) for name, value in fields if isinstance(value, (str, int, float)))
        return (ResultTable("", ("field", "value"), rows),)

    def remarks(self) -> Sequence[str]:
        """Sentences that a notebook shows below the tables: reasons and notes."""
        notes = getattr(self, "notes", ())
        return tuple(notes)

    def to_frame(self) -> pl.DataFrame:
        """The first table as a polars frame."""
        return self.tables()[0].to_frame()

    def __str__(self) -> str:
        return make_printable("\n".join(self.lines()))

    def _repr_html_(self) -> str:
        tables = "".join(table.to_html() for table in self.tables())
        remarks = "".join(f"<li>{html.escape(remark)}</li>" for remark in self.remarks())
        below = f"<ul>{remarks}</ul>" if remarks else ""
        return f"<div><p><strong>{html.escape(self.headline)}</strong></p>{tables}{below}</div>"

    def to_json(self) -> str:
        """One JSON document; a number that is not known is null, never 0."""
        fields = dataclasses.asdict(self)  # type: ignore[call-overload]
        return json.dumps(to_json_value(fields), indent=1)


def to_json_value(value: Any) -> Any:
    """The value as JSON can hold it: NaN and infinities become null, tuples lists, numpy numbers numbers."""
    if isinstance(value, Mapping):
        return {str(k): to_json_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_value(v) for v in value]
    if hasattr(value, "tolist"):
        return to_json_value(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_json_value(dataclasses.asdict(value))
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


@dataclass(frozen=True)
class AdoptResult(Result):
    """A deployed model was adopted; its first version is in service."""

    name: str
    version: str
    framework: str
    task: str
    rows: int
    inferences: tuple[Inference, ...]  # what the model expects, each on its ground
    scores: Mapping[str, float]
    stored_difference: float  # largest difference between the file's predictions and those of the stored version
    columns: tuple[str, ...] = ()  # that the model takes, in its order
    parity: Parity | None = None  # with the deployed model's own answers, where they were given
    learned_scaling: float = 0.0  # share of the held-out loss saved by a learned scale and shift a column; 0: none
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def lines(self) -> list[str]:
        scores = "  ".join(f"{metric} {format_number(value, '.4g')}" for metric, value in self.scores.items())
        head = f"adopted {self.name} {self.version}: {self.framework}, {self.task}, {self.rows:,} reference rows"
        return [
            head,
            f"  columns  {list_columns(self.columns)}",
            *(f"  {name_subject(i):<8} {describe_inference(i)}" for i in self.inferences),
            f"  scores   {scores}",
            f"  parity   {describe_parity(self.parity, self.stored_difference, self.task)}",
            *(f"  note     {note}" for note in self.notes),
        ]

    def tables(self) -> Sequence[ResultTable]:
        return (ResultTable("Scores on the reference rows", ("metric", "value"), tuple(self.scores.items())),)

    def remarks(self) -> Sequence[str]:
        settled = (f"{name_subject(i)}: {describe_inference(i)}" for i in self.inferences)
        return (*settled, describe_parity(self.parity, self.stored_difference, self.task), *self.notes)


@dataclass(frozen=True)
class PendingAdoption(Result):
    """A model was stored without reference rows; its first update completes the adoption."""

    name: str
    version: str
    framework: str
    target: str
    inputs: tuple[int, ...] | None  # shape of one row of input, where the model says it
    outputs: int | None
    parity: float  # largest difference between the file's predictions and the stored model's, on random input
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        inputs = "not known" if self.inputs is None else " x ".join(map(str, self.inputs)) + " numbers per row"
        outputs = "not known" if self.outputs is None else f"{self.outputs} numbers per row"
        head = f"kept {self.name} {self.version}: {self.framework}, waits for rows with the column {self.target!r}"
        notes = [f"  note     {note}" for note in self.notes]
        return [head, f"  input    {inputs}", f"  output   {outputs}", *notes]


@dataclass(frozen=True)
class EvaluateResult(Result):
    """The scores of one version on labelled rows."""

    name: str
    version: str
    rows: int
    scores: Mapping[str, float]
    cleaning: CleaningSummary
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def lines(self) -> list[str]:
        scores = [f"  {metric:<18} {format_number(value, '.4f')}" for metric, value in self.scores.items()]
        notes = [f"  note  {note}" for note in self.notes]
        return [f"{self.name} {self.version} on {self.rows:,} rows", *scores, *notes]

    def tables(self) -> Sequence[ResultTable]:
        return (ResultTable("", ("metric", "value"), tuple(self.scores.items())),)


@dataclass(frozen=True)
class PredictResult(Result):
    """Predictions were written to a file."""

    name: str
    version: str
    rows: int
    to: str
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def lines(self) -> list[str]:
        head = f"{self.name} {self.version} predicted {self.rows:,} rows -> {self.to} ({', '.join(self.columns)})"
        return [head, *(f"  note  {n}" for n in self.notes)]


@dataclass(frozen=True)
class PromoteResult(Result):
    """Another version is in service."""

    name: str
    was: str
    version: str
    kind: str  # "promoted" | "rolled back"

    def lines(self) -> list[str]:
        return [f"{self.kind}: {self.name} serves {self.version} (was {self.was})"]


@dataclass(frozen=True)
class SaveResult(Result):
    """A version was written back as files of its own framework."""

    name: str
    version: str
    files: tuple[str, ...]
    proof: FileProof | None = None  # what a clean process found; None: the file was not tried
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        proof = [] if self.proof is None else [f"  proof    {self.proof.describe()}"]
        notes = [f"  note     {note}" for note in self.notes]
        return [f"saved {self.name} {self.version}: {', '.join(self.files)}", *proof, *notes]


@dataclass(frozen=True)
class Listing(Result):
    """A table of models, versions or events."""

    title: str
    rows: Sequence[Mapping[str, Any]]

    def lines(self) -> list[str]:
        lines = self.tables()[0].lines()
        return [self.title, *lines] if lines else [f"{self.title}: none yet"]

    def tables(self) -> Sequence[ResultTable]:
        return (ResultTable.from_mappings("", self.rows),)
