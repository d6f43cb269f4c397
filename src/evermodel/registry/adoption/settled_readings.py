"""What was settled about the input and the target of a model, on which basis, and what came second."""

from __future__ import annotations

from evermodel.core.records.adoption_record import Basis, Inference, Parity, Subject
from evermodel.registry.adoption.readings.input_inference import Choice, Stated


def describe_input(choice: Choice, stated: Stated, *, parity: Parity | None) -> Inference:
    best, second = choice.best, choice.runner_up
    given = stated.unscaled or stated.scaling is not None or stated.transform is not None
    basis = Basis.GIVEN if given else _ground(parity, Basis.PROVEN)
    if best.model.transform.layout == "frame" or (second is None and not best.model.signature.network):
        basis = Basis.FILE if basis is Basis.PROVEN else basis
    return Inference(
        Subject.INPUT,
        best.description,
        basis,
        best.skill,
        "" if second is None else second.description,
        None if second is None else second.skill,
        None if second is None else choice.lead,
        choice.rows,
    )


def describe_target(choice: Choice, stated: Stated, *, parity: Parity | None) -> Inference:
    output = choice.best.model.output
    basis = Basis.USUAL if output.target_transform == "none" and output.scale == 1.0 else Basis.PROVEN
    basis = Basis.GIVEN if stated.output is not None else _ground(parity, basis)
    shift = output.shift[0] if output.shift else 0.0
    scaled = "" if output.scale == 1.0 and not shift else f" of {output.scale:.6g} * answer + {shift:.6g}"
    return Inference(Subject.TARGET, output.target_transform + scaled, basis, choice.best.skill, rows=choice.rows)


def _ground(parity: Parity | None, otherwise: Basis) -> Basis:
    """What the deployed model's answers show, where they were given."""
    if parity is None:
        return otherwise
    return Basis.PREDICTIONS if parity.same else Basis.NEAREST
