"""Gives a network an input for each new category and an output for each new class; exact on rows of the old ones."""

from __future__ import annotations

import dataclasses

from evermodel.core.ensemble import Ensemble
from evermodel.core.framework import Widening
from evermodel.core.model import Model


def widened(model: Model) -> Model:
    """The model with its transform and object as wide as its contract; the model itself where nothing is new.

    New inputs stand behind the old ones with weights of zero, a new class starts far below the others, so that old rows
    are predicted as before. An ensemble's members are widened one by one; what is no network is returned as it is.
    """
    if isinstance(model.obj, Ensemble):
        members = tuple(widened(dataclasses.replace(m, contract=model.contract)) for m in model.obj.members)
        return dataclasses.replace(model, obj=dataclasses.replace(model.obj, members=members))
    needs, framework = model.needs, model.framework
    if not needs.network or not isinstance(framework, Widening) or needs.shape is None:
        return model
    outputs = needs.outputs or 1
    if model.contract.task != "regression" and len(model.contract.classes) > max(outputs, 2):
        outputs = len(model.contract.classes)
    transform, inputs = model.transform, needs.shape[-1]
    if transform.layout == "matrix" and len(needs.shape) == 1:
        transform = transform.widened(model.contract)
        inputs = max(transform.width, inputs)
    if (inputs, outputs) == (needs.shape[-1], needs.outputs or 1):
        return model
    obj = framework.widened(model.obj, inputs=inputs, outputs=outputs)
    return dataclasses.replace(model, transform=transform, obj=obj)
