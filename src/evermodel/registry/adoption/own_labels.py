"""A classifier's own labels against those that its probabilities give: the labels are what the deployed system used."""

from __future__ import annotations

import numpy as np

from evermodel.core.data.table import Table
from evermodel.core.data.target_column import class_text
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import LabelAnswers
from evermodel.core.model.model import Model
from evermodel.registry.prediction import class_codes

MOST_DIFFERENT = 0.01  # share of the rows: a calibrated model may disagree with its own probabilities near one half
MOST_ROWS = 5_000


def compare_labels(model: Model, table: Table) -> tuple[str, ...]:
    """A sentence where some labels differ. Raises BadModel where more than a few do: the model has a rule."""
    own = model.signature.classes
    if own is None or model.contract.outputs or not isinstance(model.framework, LabelAnswers):
        return ()
    frame = table.frame.head(MOST_ROWS)
    labels = [class_text(label) for label in model.framework.predict_labels(model.obj, model.transform(frame)).tolist()]
    codes = class_codes(model, model.predict(frame))
    spelled = [class_text(label) for label in own]
    places = {class_text(c): code for code, c in enumerate(model.contract.classes)}
    if not set(spelled) <= set(places):  # the contract spells the classes otherwise; both are in the same order
        places = {text: code for code, text in enumerate(spelled)}
    different = int(np.sum(np.asarray([places[label] for label in labels]) != codes))
    if different > MOST_DIFFERENT * frame.height:
        raise BadModel(
            f"The model's own labels are not the likeliest class in {different:,} of {frame.height:,} rows.",
            "It answers by a rule of its own, such as a threshold; adopt the model that gives the probabilities, or a "
            "FixedThresholdClassifier with the threshold.",
        )
    if not different:
        return ()
    return (f"the model's own labels differ from the likeliest class in {different:,} of {frame.height:,} rows",)
