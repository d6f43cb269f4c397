"""Folds what stands before and behind a network into its first and last layer, so that its file alone answers alike."""

from __future__ import annotations

import dataclasses

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, BadSetting
from evermodel.core.model.capabilities import InputFolding, OutputFolding
from evermodel.core.model.model import Model
from evermodel.core.model.output import Output
from evermodel.core.model.side_by_side import fold_input
from evermodel.core.model.transform import Transform


def can_fold_input(model: Model) -> bool:
    """Whether a change of the normalisation of its columns can go into its first layer."""
    if not isinstance(model.framework, InputFolding) or model.transform.layout != "matrix":
        return False
    width = model.transform.width
    try:
        model.framework.fold_input(model.obj, np.full(width, 2.0), np.ones(width))
    except (BadModel, BadSetting):
        return False
    return True


def can_fold_output(model: Model) -> bool:
    """Whether another scale and level of its target can go into its last layer."""
    changed = dataclasses.replace(model.output, scale=2.0 * model.output.scale)
    if model.signature.unbounded:
        changed = dataclasses.replace(changed, shift=(1.0,))
    if model.contract.task != "regression":
        return False
    try:
        fold_output(dataclasses.replace(model, output=changed), model.output)
    except (BadModel, BadSetting):
        return False
    return True


def fold_normalisation(model: Model, deployed: Transform) -> Model:
    """The model behind the transform ``deployed`` again, predicting the same: the difference goes into its first layer.

    For transforms that differ in their centers and scales alone. Raises BadModel where the first layer cannot hold it.
    """
    scale, offset = fold_input(dataclasses.replace(model, transform=deployed), model)
    if np.all(scale == 1.0) and not np.any(offset):
        return dataclasses.replace(model, transform=deployed)
    if not isinstance(model.framework, InputFolding):
        raise BadModel("The first layer of this kind of model cannot hold a normalisation.")
    obj = model.framework.fold_input(model.obj, scale, offset)
    return dataclasses.replace(model, transform=deployed, obj=obj)


def fold_output(model: Model, wanted: Output) -> Model:
    """The model with the output ``wanted``, predicting the same: the difference goes into its last layer.

    Raises BadModel where the last layer cannot hold it.
    """
    if model.output == wanted:
        return model
    factor, shift = _fold_value(model, wanted) if wanted.kind == "value" else _fold_scores(model, wanted)
    kept = dataclasses.replace(wanted, threshold=model.output.threshold)
    if factor == 1.0 and not np.any(shift):
        return dataclasses.replace(model, output=kept)
    if not isinstance(model.framework, OutputFolding):
        raise BadModel("The last layer of this kind of model cannot hold a correction of its output.")
    return dataclasses.replace(model, output=kept, obj=model.framework.fold_output(model.obj, factor, shift))


def fold_correction(model: Model, deployed: Output) -> Model:
    """The model with the deployed output, where its last layer can hold what its own output corrects; else as it is."""
    try:
        return fold_output(model, deployed)
    except (BadModel, BadSetting):
        return model


def _fold_value(model: Model, wanted: Output) -> tuple[float, Array]:
    """Factor and shift (1,) of the raw value."""
    own = model.output
    if (wanted.gain, wanted.offset) != (1.0, 0.0) or own.kind != "value":
        raise BadModel("Only a plain output can be folded into.")
    shift, shift_wanted = (o.shift[0] if o.shift else 0.0 for o in (own, wanted))
    factor = own.gain * own.scale / wanted.scale
    return factor, np.array([(own.gain * shift + own.offset - shift_wanted) / wanted.scale])


def _fold_scores(model: Model, wanted: Output) -> tuple[float, Array]:
    """Factor and shift (k,) of the scores before the last sigmoid (k = 1) or softmax."""
    own, outputs = model.output, model.signature.outputs or 1
    if wanted.offset or own.kind != wanted.kind:
        raise BadModel("Only a plain output can be folded into.")
    classes = max(outputs, 2)
    shifts = []
    for output in (own, wanted):
        if len(output.shift) > classes:
            raise BadModel("The output has classes that the last layer does not have.")
        shift = np.zeros(classes)
        shift[: len(output.shift)] = output.shift
        shifts.append(shift)
    shifts[0][1] += own.offset if classes == 2 else 0.0
    difference = wanted.temperature * (shifts[0] - shifts[1])
    if outputs == 1:
        difference = difference[1:] - difference[:1]
    return wanted.temperature / own.temperature, difference
