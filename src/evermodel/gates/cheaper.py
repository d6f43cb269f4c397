"""Does the challenger cost less to run?"""

from __future__ import annotations

from typing import Annotated

from evermodel.core.judgement import PairedScores, Reason
from evermodel.core.settings import In


def cheaper(pair: PairedScores, /, *, by: Annotated[float, In(0.0, 1.0)] = 0.05) -> Reason:
    """Passes where latency or size falls by at least the share ``by`` and the other does not grow by more than that.

    What prune, quantise and distil are for. Holds where the costs were not measured, or on different numbers of rows.
    """
    then, now = pair.champion_cost, pair.challenger_cost
    if then is None or now is None or then.rows != now.rows:
        return Reason("cheaper", "hold", "Latency and size were not measured alike for both models.")
    shares = (
        now.latency / then.latency - 1 if then.latency > 0 else 0.0,
        now.size / then.size - 1 if then.size else 0.0,
    )
    words = f"latency {100 * shares[0]:+.0f} %, size {100 * shares[1]:+.0f} %"
    if min(shares) <= -by and max(shares) <= by:
        return Reason("cheaper", "pass", f"Cheaper: {words}.")
    return Reason("cheaper", "fail", f"Not cheaper by {100 * by:.0f} %: {words}.")
