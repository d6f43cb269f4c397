"""Whether the reference rows show how a bare network is fed, or only that one way fits them best.

A network that was hardly trained fits almost any feeding alike, and may fit a wrong one better. So the best reading is
taken only where three things hold: its inputs say little of the target that its answers do not say, no other reading
that answers otherwise is near it, and no feeding that cannot be stated by a word fits as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from evermodel.core.errors import Ambiguous
from evermodel.registry.adoption.readings.close_readings import is_scaled_before
from evermodel.registry.adoption.readings.model_reader import ModelReader
from evermodel.registry.adoption.readings.power_feeding import MEANING, apply_powers
from evermodel.registry.adoption.readings.reading import (
    Reading,
    measure_difference,
    measure_saved_share,
    measure_shifted_losses,
    measure_standard_errors,
)
from evermodel.registry.adoption.readings.unused_signal import measure_unused_signal

UNUSED = 0.05  # share of the trivial loss, from which a network is hardly trained or fed otherwise
UNUSED_OF_SKILL = 0.2  # and of what the network itself saves of that loss, where it saves little
APART, APART_IN_VALUES = 0.02, 0.05  # mean difference of probabilities, and of values in spreads of the target
LEAD = 2.0  # standard errors by which the best must be ahead of a reading that is apart
LEAD_OF_UNUSUAL = 4.0  # and by which a best that few teams would choose must be
LEAD_OVER_RARE = 1.0  # and by which any must be ahead of the rarest
FUNCTION_LEAD = 1.0  # and by which one with logarithms of columns is ahead of the best
USUAL = ("none", "standard", "standard_but_flags", "minmax", "standard_all", "minmax_all")
RARE = ("maxabs",)
WIDEST = 1_000  # inputs of a network whose unused signal is measured


@dataclass(frozen=True)
class _Rival:
    """A reading that answers otherwise than the best, and by how many standard errors the best is ahead of it."""

    reading: Reading
    lead: float
    description: str

    def is_near(self, best: Reading) -> bool:
        if self.reading.model.transform.scaling in RARE or self.description == MEANING:
            return self.lead < LEAD_OVER_RARE
        return self.lead < (LEAD if best.model.transform.scaling in USUAL else LEAD_OF_UNUSUAL)


def rank_by_loss(readings: Sequence[Reading]) -> list[Reading]:
    """The readings with the best first, by the log loss or the squared error: the evidence of each single row."""
    return sorted(readings, key=lambda reading: float(np.mean(measure_shifted_losses(reading))))


def refuse_doubtful(best: Reading, reader: ModelReader) -> None:
    """Raises Ambiguous, with what confirms the best reading, where the rows do not show that it is the right one.

    Columns that were scaled before go in as they are; of them nothing is asked here.
    """
    alike = (r.model.transform for r in reader.kept if r.encoding == best.encoding)
    standard = next((transform for transform in alike if transform.scaling == "standard"), None)
    if best.model.transform.scaling == "none" and standard is not None and is_scaled_before(standard):
        return
    rivals = list(_find_rivals(best, reader))
    if not rivals:
        return
    if best.model.transform.scaling in RARE:
        raise _explain(best, "few networks are fed so, and others answer differently")
    x = np.asarray(best.model.transform(reader.sample.frame))
    if x.dtype.kind == "f" and x.ndim == 2 and x.shape[1] <= WIDEST:
        unused = measure_unused_signal(best, reader.raws[id(best)], x)
        if unused > min(UNUSED, UNUSED_OF_SKILL * measure_saved_share(best)):
            raise _explain(
                best,
                f"a straight line in its inputs, added to its answers, would save {unused:.0%} of the loss that "
                "a constant answer has: it is fed otherwise, or it is hardly trained",
            )
    near = min((r for r in rivals if r.is_near(best)), key=lambda r: r.lead, default=None)
    if near is not None:
        raise _explain(
            best,
            f"{near.description} (skill {near.reading.skill:.3f}) fits them almost as well, and answers differently",
        )


def _find_rivals(best: Reading, reader: ModelReader) -> Iterable[_Rival]:
    losses = measure_shifted_losses(best)
    limit = APART if best.answers.ndim > 1 else APART_IN_VALUES
    powers = apply_powers(best.model.transform, reader.sample.frame)
    unstated = [] if powers is None else reader.read_inputs(best.model, best.encoding, powers)
    own = {id(reading) for reading in unstated}
    for reading in reader.kept:
        if reading is best or reading.answers.shape != best.answers.shape:
            continue
        if measure_difference(best.answers, reading.answers, best.y) <= limit:
            continue
        lead = measure_standard_errors(measure_shifted_losses(reading) - losses)
        if any(f.function != "none" for f in reading.model.transform.features) and lead > -FUNCTION_LEAD:
            continue
        yield _Rival(reading, lead, MEANING if id(reading) in own else reading.description)


def _explain(best: Reading, why: str) -> Ambiguous:
    transform = best.model.transform
    made = [f"{f.function}:{f.column}" for f in transform.features if f.function != "none"]
    return Ambiguous(
        "The reference rows do not show how the columns are fed to the network. They fit best with "
        f"{best.description} (skill {best.skill:.3f}), but {why}.",
        f"If it was trained so, say {','.join([transform.scaling, *made])} as `transform`; else give its fitted scaler "
        "as `transform`, or the deployed model's answers for these rows as `predictions`.",
    )
