"""The demonstration's page: for each stream a picture, a table and links to its files. Opens without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from evermodel.demo.stream_result import StreamResult
from evermodel.reports.charts import Frame, axes, dots, line, pad_range, svg

WAYS = {"never_updated": "never updated", "textbook": "textbook's update", "evermodel": "Evermodel"}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 82rem; padding: 0 1rem; color: #1d2733;
       background: #fff }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.5rem }
.row { display: flex; flex-wrap: wrap; gap: 2rem; align-items: center }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #dfe5ec }
td:first-child, td:last-child { text-align: left }
thead td, tr.mean { font-weight: 600 } .small { color: #5b6875; font-size: .875rem }
.grid { stroke: #e6ebf1 } .axis { stroke: #9aa7b4 } .tick, .name { fill: #5b6875; font-size: 11px }
.line { fill: none; stroke-width: 2.2 } .dot { stroke: #fff; stroke-width: 1 }
.never_updated { stroke: #b0483f; color: #b0483f } .textbook { stroke: #b98a1d; color: #b98a1d }
.evermodel { stroke: #1f6fb5; color: #1f6fb5 } circle.never_updated { fill: #b0483f } circle.textbook { fill: #b98a1d }
circle.evermodel { fill: #1f6fb5 } .legend span { margin-right: 1.2rem } .legend span::before { content: "● " }
"""
HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Evermodel: demonstration</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><style>' + STYLE + "</style></head><body>"
    "<h1>Three deployed models, three ways to keep them</h1>"
    "<p>Each model was deployed on the oldest rows of a stream of real data; the other rows came later, in blocks. "
    "After each block the model was updated in each of the three ways, and scored on the <em>next</em> block, which no "
    "model had seen. Seed 0.</p>"
)
SECTION = Markup(
    '<h2>{}</h2><p class="legend">{}</p><div class="row">{}<table><thead>{}</thead><tbody>{}</tbody></table></div>'
    '<p class="small">Textbook: {}. Data: {}. <a href="{}">Report of the version in service</a>.</p>'
)


def render_page(results: Sequence[StreamResult]) -> str:
    """The whole page as HTML."""
    return HEAD + "".join(_section(r) for r in results) + "</body></html>"


def _section(result: StreamResult) -> Markup:
    legend = Markup("").join(Markup('<span class="{}">{}</span>').format(key, words) for key, words in WAYS.items())
    head = _row(["block", *WAYS.values(), "the judge"])
    rows = [_row([b.block, *(f"{getattr(b, way):.3f}" for way in WAYS), b.decision]) for b in result.blocks]
    mean = _row(["mean", *(f"{result.mean(way):.3f}" for way in WAYS), ""], css="mean")
    link = f"{result.name}/{Path(result.files[0]).name}"
    body = Markup("").join([*rows, mean])
    return SECTION.format(
        result.title, legend, draw_scores(result), head, body, result.textbook_recipe, result.source, link
    )


def _row(cells: Sequence[str], css: str = "") -> Markup:
    inner = Markup("").join(Markup("<td>{}</td>").format(text) for text in cells)
    return Markup('<tr class="{}">{}</tr>').format(css, inner)


def draw_scores(result: StreamResult) -> Markup:
    """The metric of the three ways by block, as SVG."""
    values = [getattr(b, way) for b in result.blocks for way in WAYS]
    frame = Frame((1.0, float(len(result.blocks))), pad_range(values), width=420.0, height=270.0)
    parts = axes(frame, "block", f"{result.metric} on the next block", x_ticks=len(result.blocks))
    for way, words in WAYS.items():
        points = [(float(n), getattr(b, way)) for n, b in enumerate(result.blocks, start=1)]
        tips = [f"{words}, {b.block}: {getattr(b, way):.3f}" for b in result.blocks]
        parts += [line(frame, points, f"line {way}"), dots(frame, points, f"dot {way}", tips)]
    return svg(frame, f"{result.title}: {result.metric} by block", parts)
