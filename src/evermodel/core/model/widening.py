"""Gives a network an input for each new category and an output for each new class; exact on rows of the old ones."""

from __future__ import annotations

import dataclasses

from evermodel.core.model.capabilities import LabelNaming, Widenable
from evermodel.core.model.ensemble import Ensemble
from evermodel.core.model.model import Model


def widen_model(model: Model) -> Model:
    """The model with its transform and object as wide as its contract; the model itself where nothing is new.

    New inputs stand behind the old ones with weights of zero, a new class starts far below the others, so that old rows
    are predicted as before. A model that answers with the words of its labels is told the new ones. An ensemble's
    members are widened one by one; what is no network is returned as it is.
    """
    if isinstance(model.obj, Ensemble):
        members = tuple(widen_model(dataclasses.replace(m, contract=model.contract)) for m in model.obj.members)
        return dataclasses.replace(model, obj=dataclasses.replace(model.obj, members=members))
    needs, framework = model.signature, model.framework
    if isinstance(framework, LabelNaming) and model.contract.classes:
        return dataclasses.replace(model, obj=framework.name_labels(model.obj, model.contract.classes))
    if not needs.network or not isinstance(framework, Widenable) or needs.shape is None:
        return model
    outputs = needs.outputs or 1
    if model.contract.task != "regression" and len(model.contract.classes) > max(outputs, 2):
        outputs = len(model.contract.classes)
    transform, inputs = model.transform, needs.shape[-1]
    if transform.layout == "matrix" and len(needs.shape) == 1:
        transform = transform.widen(model.contract)
        inputs = max(transform.width, inputs)
    if (inputs, outputs) == (needs.shape[-1], needs.outputs or 1):
        return model
    obj = framework.widen(model.obj, inputs=inputs, outputs=outputs)
    return dataclasses.replace(model, transform=transform, obj=obj)
