"""Does the challenger cost less to run?"""

from __future__ import annotations

from typing import Annotated, Literal

from evermodel.core.judgement import PairedScores, Reason
from evermodel.core.settings import In


def cheaper(
    pair: PairedScores, /, *, by: Annotated[float, In(0.0, 1.0)] = 0.05, of: Literal["either", "size"] = "either"
) -> Reason:
    """Passes where latency or size falls by at least the share ``by`` and the other does not grow by more than that.

    What prune, quantise and distil are for. ``of`` size asks for size alone, and tells latency: who asks for 8-bit
    weights pays in time on most CPUs. Holds where the costs were not measured, or on different numbers of rows.
    """
    then, now = pair.champion_cost, pair.challenger_cost
    if then is None or now is None or then.rows != now.rows:
        return Reason("cheaper", "hold", "Latency and size were not measured alike for both models.")
    latency = now.latency / then.latency - 1 if then.latency > 0 else 0.0
    size = now.size / then.size - 1 if then.size else 0.0
    words = f"latency {100 * latency:+.0f} %, size {100 * size:+.0f} %"
    asked = (size,) if of == "size" else (latency, size)
    if min(asked) <= -by and max(asked) <= by:
        slower = " Slower: take it for its size." if of == "size" and latency > by else ""
        return Reason("cheaper", "pass", f"Cheaper: {words}.{slower}")
    what = " in size" if of == "size" else ""
    return Reason("cheaper", "fail", f"Not cheaper{what} by {100 * by:.0f} %: {words}.")
