"""One stored version of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from evermodel.api.predictions import predict
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import Exportable, NativeObjects, PlainFiles
from evermodel.core.records.version_card import VersionCard
from evermodel.registry.evaluation import evaluate
from evermodel.registry.lookup import open_store
from evermodel.registry.model_export import save
from evermodel.registry.prediction import clean_rows
from evermodel.registry.results import EvaluateResult, SaveResult
from evermodel.registry.versions import load_version

if TYPE_CHECKING:
    import polars as pl

    from evermodel.api.predictions import LiveFrame, PolarsOrFile
    from evermodel.core.model.model import Model as LoadedModel


class Version:
    """An immutable version of a model: ``churn.champion``, ``churn.version("v2")``, ``churn.versions[0]``.

    Example:
        >>> import evermodel as em
        >>> version = em.open("models")["churn"].champion
        >>> version.name, version.framework, version.task
        ('v1', 'lightgbm', 'binary')
    """

    def __init__(self, card: VersionCard, location: str | Path | None = None) -> None:
        self.card = card
        self.location = location

    @property
    def name(self) -> str:
        """The name of the version in its model: "v1", "v2", …"""
        return self.card.version

    @property
    def model_name(self) -> str:
        """The name of the model that it is a version of."""
        return self.card.name

    @property
    def strategy(self) -> str:
        """How it was made: "adopt", a strategy ("refit"), "tune", "prune" or "fuse"."""
        return self.card.strategy

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of its strategy."""
        return self.card.settings

    @property
    def parents(self) -> Sequence[str]:
        """The versions it was made from."""
        return self.card.parents

    @property
    def created(self) -> str:
        """When it was made: ISO 8601, UTC."""
        return self.card.created

    @property
    def framework(self) -> str:
        """The framework of the model object: "keras", "torch", "sklearn", "lightgbm", "xgboost", …"""
        return self.card.framework

    @property
    def task(self) -> str:
        """ "binary", "multiclass" or "regression"."""
        return self._load().contract.task

    @property
    def inputs(self) -> tuple[str, ...]:
        """The input columns, in the order in which the model takes them."""
        return tuple(column.name for column in self._load().contract.columns)

    @property
    def classes(self) -> tuple[Any, ...]:
        """The classes in the order of the model's outputs; empty for a regression."""
        return self._load().contract.classes

    def load(self) -> Any:
        """The live object of the framework: a Keras model, a ``torch.nn.Module``, an estimator, a Booster.

        It takes what it took before it was adopted: numbers that were encoded and scaled. ``prepare`` makes them of
        rows; ``predict`` does both at once.

        Returns:
            The object, in evaluation mode. Changing it does not change the stored version.

        Raises:
            Damaged: a stored file is not what was stored.
            MissingExtra: the framework is not installed.
            BadModel: the version is an ensemble of several frameworks, which is no single object.

        Example:
            >>> import evermodel as em
            >>> booster = em.open("models")["churn"].champion.load()
            >>> type(booster).__name__
            'Booster'
        """
        model = self._load_exported()
        framework = model.framework
        return framework.native_object(model.obj) if isinstance(framework, NativeObjects) else model.obj

    def prepare(self, data: Any, *, accept: tuple[str, ...] = ()) -> Any:
        """The input that the object of ``load`` takes, made of rows as ``predict`` takes them.

        Args:
            data: a frame, file, folder or SQL URL with the input columns.
            accept: differences from the contract to accept, for example ``("unit:price",)``.

        Returns:
            A numpy array of shape (n, …); a dict of them by the names of the inputs where there are several, texts as
            objects; or a frame for an object that takes named columns.

        Raises:
            ContractBroken: the rows do not fit what the model expects.

        Example:
            >>> import evermodel as em
            >>> champion = em.open("models")["churn"].champion
            >>> champion.load().predict(champion.prepare("april.csv")).shape
            (800,)
        """
        model = self._load_exported()
        x = model.transform(clean_rows(model, data, accept, labelled=False).collect().frame)
        if model.transform.inputs and isinstance(model.framework, PlainFiles):
            return model.framework.plain_input(model.obj, x)
        return x

    @overload
    def predict(self, data: PolarsOrFile, *, accept: tuple[str, ...] = ()) -> pl.DataFrame: ...
    @overload
    def predict(self, data: LiveFrame, *, accept: tuple[str, ...] = ()) -> LiveFrame: ...
    def predict(self, data: Any, *, accept: tuple[str, ...] = ()) -> Any:
        """Predict rows with this version; see ``Model.predict``.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].version("v1").predict("april.csv").columns
            ['prediction', 'p_0', 'p_1']
        """
        return predict(self.model_name, data, version=self.name, accept=accept, registry=self.location)

    def evaluate(self, data: Any, *, accept: tuple[str, ...] = ()) -> EvaluateResult:
        """Score this version on labelled rows; see ``Model.evaluate``."""
        return evaluate(self.model_name, data, version=self.name, accept=accept, registry=self.location)

    def save(self, to: str | Path, *, proof: bool = True, with_preprocessing: bool = False) -> SaveResult:
        """Write this version as a model file of its own framework; see ``Model.save``."""
        return save(
            self.model_name,
            to=to,
            version=self.name,
            proof=proof,
            with_preprocessing=with_preprocessing,
            registry=self.location,
        )

    def _load(self) -> LoadedModel:
        return load_version(open_store(self.location), self.card)

    def _load_exported(self) -> LoadedModel:
        """The model as one object of one framework. Raises BadModel where there is none."""
        model = self._load()
        if not isinstance(model.framework, Exportable):
            return model
        try:
            exported: LoadedModel = model.framework.export_model(model)
        except BadModel as error:
            message = f"{self.model_name} {self.name} is an ensemble that is no single object: {error.message}"
            raise BadModel(message, "Use predict(), which asks all members.") from error
        return exported

    def __repr__(self) -> str:
        return f"Version({self.model_name!r}, {self.name!r}, strategy={self.strategy!r}, framework={self.framework!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and (self.card, self.location) == (other.card, other.location)

    def __hash__(self) -> int:
        return hash((self.model_name, self.name, self.location))
