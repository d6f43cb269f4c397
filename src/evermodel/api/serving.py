"""What is done with the version in service: predict, evaluate, save, promote, roll back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from evermodel.api.arguments import suggest_arguments
from evermodel.api.handle import ModelHandle
from evermodel.api.predictions import predict
from evermodel.maintenance.approve import ApproveResult, approve
from evermodel.registry.evaluation import evaluate
from evermodel.registry.model_export import save
from evermodel.registry.prediction import predict_file
from evermodel.registry.promotion import promote, rollback
from evermodel.registry.results import EvaluateResult, PredictResult, PromoteResult, SaveResult

if TYPE_CHECKING:
    import polars as pl

    from evermodel.api.predictions import LiveFrame, PolarsOrFile


class ServedModel(ModelHandle):
    """Predictions of the version in service, and which version that is."""

    @overload
    def predict(
        self, data: PolarsOrFile, *, version: str | None = None, accept: tuple[str, ...] = ()
    ) -> pl.DataFrame: ...
    @overload
    def predict(self, data: LiveFrame, *, version: str | None = None, accept: tuple[str, ...] = ()) -> LiveFrame: ...
    def predict(self, data: Any, *, version: str | None = None, accept: tuple[str, ...] = ()) -> Any:
        """Predict rows with the version in service.

        The result comes in the library of the rows: pandas gives pandas (with the same index), Arrow gives Arrow,
        numpy gives the predictions alone as an array of shape (n,); polars, files and SQL give polars. Every row has
        its prediction, in the same order. For results that do not fit into memory use ``predict_file``.

        Args:
            data: a frame, file, folder or SQL URL with the input columns. Labels are not needed.
            version: predict with this version instead, for example ``"v2"``.
            accept: differences from the contract to accept, for example ``("unit:price",)``.

        Returns:
            The id column where there is one, ``prediction``, and for a classifier ``p_CLASS`` for each class.

        Raises:
            BadData: the rows cannot be read.
            ContractBroken: the rows do not fit what the model expects.
            NotFound: there is no such model or version.

        Example:
            >>> import evermodel as em
            >>> churn = em.open("models")["churn"]
            >>> churn.predict("april.csv").columns
            ['prediction', 'p_0', 'p_1']
        """
        return predict(self.name, data, version=version, accept=accept, registry=self.location)

    @suggest_arguments
    def predict_file(
        self, data: Any, *, to: str | Path, version: str | None = None, accept: tuple[str, ...] = ()
    ) -> PredictResult:
        """Predict rows with the version in service and write the predictions to a file.

        Args:
            data: a frame, file, folder or SQL URL with the input columns. Labels are not needed.
            to: the file to write: .csv, .parquet, .jsonl or .arrow. It appears whole or not at all.
            version: predict with this version instead.
            accept: differences from the contract to accept.

        Returns:
            How many rows were written, and which columns.

        Raises:
            BadSetting: ``to`` has another suffix.
            ContractBroken: the rows do not fit what the model expects.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].predict_file("april.csv", to="predicted.csv").rows
            800
        """
        return predict_file(self.name, data, to=to, version=version, accept=accept, registry=self.location)

    @suggest_arguments
    def evaluate(self, data: Any, *, version: str | None = None, accept: tuple[str, ...] = ()) -> EvaluateResult:
        """Score the version in service on labelled rows. The rows are not remembered.

        To compare two versions with an interval use ``judge``.

        Args:
            data: a frame, file, folder or SQL URL with the input columns and the target.
            version: score this version instead.
            accept: differences from the contract to accept.

        Returns:
            Every metric of the task; ``to_frame()`` gives them as a frame.

        Raises:
            BadData: the rows cannot be read, or hold no labels.
            ContractBroken: the rows do not fit what the model expects.

        Example:
            >>> import evermodel as em
            >>> 0.5 < em.open("models")["churn"].evaluate("april.csv").scores["auc"] < 1.0
            True
        """
        return evaluate(self.name, data, version=version, accept=accept, registry=self.location)

    @suggest_arguments
    def save(
        self, to: str | Path, *, version: str | None = None, proof: bool = True, with_preprocessing: bool = False
    ) -> SaveResult:
        """Write the version in service as a model file of its own framework, its transform beside it as JSON.

        Args:
            to: the file to write; its suffix says the format (.h5, .keras, .skops …). A folder gets everything.
            version: write this version instead.
            proof: load the file in a clean process, without Evermodel, and compare its answers with the version's;
                costs what importing the framework does.
            with_preprocessing: put the transform into the file (.keras, .skops), so that it takes raw columns by name
                and answers as ``predict`` does.

        Returns:
            The files that were written, and what the clean process found.

        Raises:
            BadSetting: the framework writes no file with this suffix; the message lists those it writes.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].save("updated_model.txt").files
            ('updated_model.txt', 'updated_model.transform.json')
        """
        return save(
            self.name,
            to=to,
            version=version,
            proof=proof,
            with_preprocessing=with_preprocessing,
            registry=self.location,
        )

    def promote(self, version: str) -> PromoteResult:
        """Put a version in service, whatever its verdict was: a person decides. It is loaded first.

        Args:
            version: for example ``"v3"``.

        Raises:
            NotFound: there is no such version.
            AskedWrongly: it is in service already.
            Damaged: its files are not what was stored; then the champion stays.
            Moved: somebody else promoted another version meanwhile.

        Example:
            >>> import evermodel as em
            >>> churn = em.open("models")["churn"]
            >>> challenger = churn.update("april.csv").challenger
            >>> churn.rollback().version, churn.promote(challenger).version
            ('v1', 'v2')
        """
        return promote(self.name, version, registry=self.location)

    def rollback(self, *, to: str | None = None) -> PromoteResult:
        """Put the version back in service that served before.

        Args:
            to: roll back to this version instead.

        Raises:
            AskedWrongly: no version served before.
            NotFound: there is no such version.

        Example:
            >>> import evermodel as em
            >>> churn = em.open("models")["churn"]
            >>> _ = churn.update("april.csv")
            >>> print(churn.rollback())
            rolled back: churn serves v1 (was v2)
        """
        return rollback(self.name, to=to, registry=self.location)

    def approve(self, version: str | None = None, *, reject: bool = False) -> ApproveResult:
        """Put the challenger in service that waits for approval, or decline it.

        Challengers wait where the policy says ``promote = "approve"``; see ``policy``.

        Args:
            version: only if it is this one that waits.
            reject: decline it instead.

        Raises:
            AskedWrongly: no challenger waits.
            Moved: the champion that it was judged against no longer serves.
        """
        return approve(self.name, version, reject=reject, registry=self.location)
