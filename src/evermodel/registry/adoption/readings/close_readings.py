"""Readings of a model that lie close together: which comes first, which say the same, and which must be asked about."""

from __future__ import annotations

from collections.abc import Sequence

from evermodel.core.arrays import Array
from evermodel.core.errors import Ambiguous
from evermodel.core.model.transform import Transform
from evermodel.registry.adoption.readings.reading import Reading, measure_difference, measure_lead

ALIKE = 2.0  # standard errors below which one reading is not ahead of another
BEYOND_DOUBT, MUCH = 4.0, 0.02  # standard errors, and skill, by which an unlikely reading must be ahead
INDISTINCT = 0.002  # below it two readings are one, whichever fits the rows better: scaled columns scaled once more
NEAR_CENTER, NEAR_SPREAD = 0.25, 1.25  # what a sample of columns that were scaled before is still centred and spread to
DISTINCT = 0.02  # mean difference of probabilities (or of values, in spreads of the target) below which they agree
MATERIAL = 0.1  # and from which a wrong choice would matter: columns that are nearly standard need no decision


def prefer_unscaled(ranked: Sequence[Reading], y: Array) -> list[Reading]:
    """The reading without scaling first, where it answers nearly as the best does and is not shown to be worse.

    Columns that are nearly standard were scaled before; to scale them again fits the reference rows better by chance.
    """
    best = ranked[0]
    for reading in ranked[1:]:
        if reading.model.transform.scaling != "none" or reading.encoding != best.encoding:
            continue
        if reading.model.output != best.model.output or reading.answers.shape != best.answers.shape:
            continue
        apart = measure_difference(best.answers, reading.answers, y)
        if apart > MATERIAL:
            continue
        settled = apart <= INDISTINCT or is_scaled_before(best.model.transform)
        if settled or measure_lead(best.answers, reading.answers, y) < ALIKE:
            return [reading, *(r for r in ranked if r is not reading)]
    return list(ranked)


def refuse_second_scaling(ranked: Sequence[Reading]) -> None:
    """Raises Ambiguous where columns that come scaled would be scaled once more, because that fits the rows better.

    A model that is hardly trained fits them better under almost any other scaling; that is no proof of one.
    """
    best = ranked[0]
    alike = {r.model.transform.scaling: r for r in reversed(ranked) if r.encoding == best.encoding}
    plain, standard = alike.get("none"), alike.get("standard")
    if plain is None or standard is None or best.model.transform.scaling == "none":
        return
    if is_scaled_before(standard.model.transform):
        raise Ambiguous(
            "The columns come with centres near 0 and spreads near 1, as if they were scaled before; the model fits "
            f"the reference rows better if they are scaled once more: {best.description} (skill {best.skill:.3f}), and "
            f"{plain.description} (skill {plain.skill:.3f}).",
            "Say that the model takes the columns as they are: none as `transform`; or give its own scaler as "
            "`transform`, or the deployed model's answers for these rows as `predictions`.",
        )


def is_scaled_before(transform: Transform) -> bool:
    """Whether the columns come with centres near 0 and spreads near 1, so that the transform hardly changes them.

    A model that was stopped early answers too carefully; spread a little wider, its columns fit the rows better.
    """
    numbers = [feature for feature in transform.features if feature.encoding == "value"]
    return bool(numbers) and all(
        abs(f.center) <= NEAR_CENTER and 1 / NEAR_SPREAD <= f.scale <= NEAR_SPREAD for f in numbers
    )


def is_surely_better(one: Reading, other: Reading) -> bool:
    """Whether a reading that few teams would choose is ahead beyond doubt and by much: only then it is taken."""
    lead = measure_lead(one.answers, other.answers, other.y)
    return one.skill >= other.skill + MUCH and lead >= BEYOND_DOUBT


def is_unscaled(transform: Transform) -> bool:
    """Whether the numbers of the columns go in as they are."""
    return all(feature.center == 0.0 and feature.scale == 1.0 for feature in transform.features)


def drop_alike(ranked: Sequence[Reading], y: Array) -> tuple[Reading, ...]:
    """The best reading, and the best of those that answer otherwise than it does."""
    best = ranked[0]
    others = [r for r in ranked[1:] if measure_difference(best.answers, r.answers, y) > DISTINCT]
    return (best, *others[:1])


def refuse_tie(distinct: tuple[Reading, ...], y: Array) -> None:
    if len(distinct) < 2 or measure_difference(distinct[0].answers, distinct[1].answers, y) <= MATERIAL:
        return
    if measure_lead(distinct[0].answers, distinct[1].answers, y) < ALIKE:
        raise explain_tie(*distinct)


def explain_tie(one: Reading, other: Reading) -> Ambiguous:
    if one.encoding != other.encoding and one.model.transform.inputs:
        return Ambiguous(
            f"Two readings of the model fit the reference rows almost alike and answer differently: {one.description} "
            f"(skill {one.skill:.3f}), and {other.description} (skill {other.skill:.3f}).",
            "Name its columns in order as `inputs`, or give the deployed model's answers as `predictions`.",
        )
    option = "`target_transform` for what was done to the target" if one.answers.ndim == 1 else "`transform`"
    return Ambiguous(
        f"Two readings of the model fit the reference rows almost alike and answer differently: {one.description} "
        f"(skill {one.skill:.3f}), and {other.description} (skill {other.skill:.3f}).",
        f"Give the model's own scaler as `transform`, {option}, or the deployed model's answers for these rows as "
        "`predictions`."
        if one.answers.ndim == 1
        else "Give the model's own scaler as `transform`, or the deployed model's answers for these rows as "
        "`predictions`.",
    )
