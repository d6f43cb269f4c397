"""What MLflow calls to load a model that was published to it: ``evermodel publish NAME --to mlflow:URI``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evermodel.core.data.cleaning import clean
from evermodel.core.data.scan import scan
from evermodel.core.model.model import Model
from evermodel.registry.prediction import predict_batch
from evermodel.registry.versions import load_folder


class MlflowModel:
    """A version that predicts a pandas frame: the prediction, and a probability per class."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """The predictions in the order of the rows, as a pandas frame. ``params`` are part of MLflow's call."""
        cleaned = clean(scan(data, self.model.contract.row_format), self.model.contract, labelled=False)
        return predict_batch(self.model, cleaned.collect().frame, ()).to_pandas()


def _load_pyfunc(path: str) -> MlflowModel:
    """The name and the argument are MLflow's."""
    at = Path(path)
    return MlflowModel(load_folder(at, (at / "framework.txt").read_text()))
