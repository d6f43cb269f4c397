"""How Triton's backend for trees (FIL) is told of a booster."""

from __future__ import annotations

from evermodel.core.model.framework import Signature
from evermodel.core.model.triton_model import TritonModel, TritonTensor

BACKEND, INPUT, OUTPUT = "fil", "input__0", "output__0"  # the only names that it knows


def describe_forest(model_type: str, signature: Signature) -> TritonModel:
    """Probabilities of all classes, two of a binary model, or values; rows as floats of 32 bits, the only ones it has.

    ``model_type`` is the format of the file. The threshold has a part in labels alone, which are not asked for, but
    must be there.
    """
    (width,) = signature.shape or (0,)
    classes = 0 if signature.task == "regression" else max(signature.outputs or 1, 2)
    is_classifier = "true" if classes else "false"
    # Two names of one thing: Triton asks for ``output_class`` before release 25.09, and for the other one since.
    parameters = {"model_type": model_type, "is_classifier": is_classifier, "output_class": is_classifier}
    parameters |= {"predict_proba": "true", "threshold": "0.5"} if classes else {}
    output = TritonTensor(OUTPUT, "FP32", (max(classes, 1),))
    return TritonModel(BACKEND, (TritonTensor(INPUT, "FP32", (width,)),), (output,), parameters=parameters)
