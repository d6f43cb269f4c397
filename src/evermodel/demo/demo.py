"""Three deployed models on streams of real data: never updated, updated as textbooks do, and kept by Evermodel."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evermodel.api.model import Model
from evermodel.api.registry import Registry
from evermodel.core.errors import NotFound
from evermodel.demo.page import render_page
from evermodel.demo.stream_result import BlockScores, StreamResult
from evermodel.demo.streams import STREAMS, Stream
from evermodel.demo.textbook import RECIPES, Textbook
from evermodel.registry.results import Result

__all__ = ["BlockScores", "DemoResult", "StreamResult", "demo"]

METRIC_NAMES = {"accuracy": "accuracy", "auc": "AUC", "r2": "R2"}


@dataclass(frozen=True)
class DemoResult(Result):
    """What the demonstration measured, and where it was written."""

    streams: tuple[StreamResult, ...]
    files: tuple[str, ...]
    seconds: float

    def lines(self) -> list[str]:
        """A table a stream, and where the reports are."""
        tables = [line for stream in self.streams for line in (*stream.lines(), "")]
        if not self.streams:
            return ["Written:", *(f"  {file}" for file in self.files)]
        return [*tables, f"{self.seconds:.0f} seconds, seed 0. Pictures and reports: {self.files[0]}"]


def demo(
    name: str | None = None,
    *,
    to: str | Path = "evermodel_demo",
    files_only: bool = False,
    say: Callable[[str], None] = print,
) -> DemoResult:
    """Adopt deployed models, update them block by block on shipped real data, and compare three ways to keep them.

    The streams are ``gas`` (a Keras network on sensors that age), ``bank`` (a Keras network through the financial
    crisis) and ``bike`` (a LightGBM model of a service that grows). After each update, all three models are
    scored on the next block, which none of them has seen.

    Args:
        name: One stream, or None for all three.
        to: The folder to write to. It gets a page with all tables and pictures, and a folder for each stream with the
            registry, the HTML report and the updated model file.
        files_only: Write the deployed model and the blocks as CSV files, to try the commands on, and stop. The files of
            one stream go directly into ``to``.
        say: Called with each line of progress.

    Raises:
        NotFound: There is no stream of that name.

    Example:
        $ evermodel demo gas
    """
    began = time.monotonic()
    if name is not None and name not in STREAMS:
        raise NotFound.among("demonstration", name, tuple(STREAMS))
    folder = Path(to)
    streams = [STREAMS[key]() for key in ([name] if name else STREAMS)]
    if files_only:
        written = [_write_files(s, folder if name else folder / s.name) for s in streams]
        return DemoResult((), tuple(file for files in written for file in files), time.monotonic() - began)
    results = tuple(_run_stream(s, folder / s.name, say) for s in streams)
    page = folder / "index.html"
    page.write_text(render_page(results), encoding="utf-8")
    files = (str(page), *(file for result in results for file in result.files))
    return DemoResult(results, files, time.monotonic() - began)


def _run_stream(stream: Stream, folder: Path, say: Callable[[str], None]) -> StreamResult:
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    registry = Registry(folder / f"registry-{time.strftime('%Y%m%d-%H%M%S')}")
    say(f"{stream.title}. Deployed on {stream.blocks[0].height:,} rows ({stream.labels[0]}).")
    model = registry.adopt(
        stream.shipped_model,
        data=stream.blocks[0],
        target=stream.target,
        name=stream.name,
        time=stream.time,
        shuffled=stream.shuffled,
    )
    textbook = RECIPES[stream.name](stream)
    blocks = _update_blocks(stream, model, textbook, say)
    report = model.report("champion", to=folder / "report.html")
    saved = model.save(folder / stream.model_file.replace("existing", "updated"))
    files = (str(report.to), *saved.files, str(registry.location))
    seconds = time.monotonic() - began
    metric = METRIC_NAMES[stream.metric]
    return StreamResult(stream.name, stream.title, stream.source, metric, textbook.recipe, blocks, files, seconds)


def _update_blocks(
    stream: Stream, model: Model, textbook: Textbook, say: Callable[[str], None]
) -> tuple[BlockScores, ...]:
    """Update both models with each block and score all three on the block that follows."""
    blocks = []
    for number in range(1, len(stream.blocks) - 1):
        new, following = stream.blocks[number], stream.blocks[number + 1]
        result = model.update(new, metric=stream.metric)
        textbook.update(new)
        say(f"  {stream.labels[number]}, {new.height:,} rows: {result.lines()[0]}")
        never = model.evaluate(following, version="v1").scores[stream.metric]
        kept = model.evaluate(following).scores[stream.metric]
        label = stream.labels[number + 1]
        blocks.append(BlockScores(label, str(result.decision), never, textbook.score(following), kept))
    return tuple(blocks)


def _write_files(stream: Stream, folder: Path) -> Sequence[str]:
    """The deployed model, the rows it was deployed on, and the blocks that came later, as a user would have them."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / stream.model_file
    model.write_bytes(stream.shipped_model.read_bytes())
    written = [str(model)]
    for number, block in enumerate(stream.blocks):
        file = folder / ("reference.csv" if number == 0 else f"new_{number}.csv")
        block.write_csv(file)
        written.append(str(file))
    return written
