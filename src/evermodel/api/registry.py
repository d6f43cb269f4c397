"""A registry: the place that keeps models, their versions and all that is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evermodel.api.arguments import suggest_arguments
from evermodel.api.collection import Collection
from evermodel.api.model import Model
from evermodel.core.errors import NotFound
from evermodel.integrations.exporter import Exporter, exporter
from evermodel.integrations.exposition import ExposeResult, expose
from evermodel.integrations.pushgateway import JOB, PushResult, push
from evermodel.maintenance.doctor.doctor import DoctorResult, doctor
from evermodel.maintenance.maintain import MaintainResult, maintain
from evermodel.registry.adoption.adopt import adopt
from evermodel.registry.inspection import models
from evermodel.registry.lookup import open_store, registry_folder
from evermodel.registry.result_table import ResultTable
from evermodel.registry.results import AdoptResult, PendingAdoption
from evermodel.registry.upkeep.backup import BackupResult, backup
from evermodel.registry.upkeep.gc import DAY, GcResult, gc


def open(location: str | Path | None = None) -> Registry:  # noqa: A001
    """Open a registry of models; it is created where there is none yet.

    Args:
        location: a folder (with SQLite in it, or a ``store.toml`` that names a team's database), or a URL that a store
            plugin opens: ``"postgresql://me@host/models?files=s3://bucket/models"``. By default the environment
            variable EVERMODEL_REGISTRY, or the folder ``.evermodel``.

    Returns:
        The registry. It holds no connection open between calls, and may be used by several threads and processes.

    Raises:
        BadSetting: the location cannot be a registry.

    Example:
        >>> import evermodel as em
        >>> registry = em.open("models")
        >>> list(registry)
        ['churn']
    """
    return Registry(location)


class Registry:
    """The models of one place: ``registry["churn"]`` is one of them, iterating gives their names.

    Example:
        >>> import evermodel as em
        >>> registry = em.open("models")
        >>> "churn" in registry, len(registry)
        (True, 1)
        >>> registry["chrun"]
        Traceback (most recent call last):
        ...
        evermodel.core.errors.NotFound: There is no model 'chrun'.
        Hint: Did you mean 'churn'? There is: churn.
    """

    def __init__(self, location: str | Path | None = None) -> None:
        is_url = "://" in str(location or "")
        self.location: str | Path = str(location) if is_url else registry_folder(location)

    @suggest_arguments
    def adopt(
        self,
        model: Any,
        *,
        target: str,
        data: Any = None,
        name: str | None = None,
        task: str = "auto",
        time: str | None = None,
        entity: str | None = None,
        weight: str | None = None,
        inputs: Sequence[str] | None = None,
        drop: Sequence[str] = (),
        slices: Sequence[str] = (),
        classes: Sequence[str] = (),
        target_transform: str | None = None,
        signature: str | Path | None = None,
        predictions: Any = None,
        transform: Any = None,
        trust: str | Path | Sequence[str | Path] | None = None,
        factory: str | None = None,
        object_path: str | None = None,
        shuffled: bool = False,
    ) -> AdoptedModel:
        """Adopt a deployed model; its first version, v1, is in service afterwards.

        What the model expects (columns, encoding, scaling, order of classes, transform of the target) is taken from
        what you state and from the file, or proven by the deployed model's own answers (``predictions``), or shown by
        how well it predicts the reference rows. Where two readings fit alike, nothing is guessed: the error names the
        argument that decides. Reading a file never runs code that came with it.

        Args:
            model: a model file (.h5, .keras, .pt2, .skops, .txt, .ubj, …) or a live object.
            target: the column that holds the label; "A,B,C" of a model of several answers.
            data: labelled rows like those the model was trained on. Without them the model waits: the oldest rows of
                its first update stand in for them.
            name: its name in the registry; by default the stem of the file.
            task: "binary", "multiclass" or "regression"; by default it is inferred.
            time: the column that orders the rows; by default their order in the file.
            entity: the column that says which rows belong together (a user, a machine).
            weight: the column of row weights.
            inputs: the input columns in the order in which the model takes them.
            drop: columns that are no inputs.
            slices: columns whose groups must not be harmed by an update.
            classes: all classes in the order of the model's outputs.
            target_transform: what was done to the target before training: "log1p", "log", "sqrt", "scale:MEAN:SPREAD".
            signature: a TOML file that says which columns make which named input, and which target each output has.
            predictions: what the deployed model answered for these rows: a column, a file, or an array.
            transform: the model's own fitted scaler or ColumnTransformer: a live object of scikit-learn, .skops, a
                .joblib or .pkl that ``trust`` names, JSON; or the kind of the scaling: "standard", "minmax", …,
                "standard,log1p:amount"; "none" where it takes the columns as they are.
            trust: files whose code may run, because you made them yourself: the model file, if it is a pickle, and
                Python files that define layers, losses, transformers or modules of your own. A copy of these is kept
                with the version and used from then on.
            object_path: the part of a trusted pickle that is the model: a key, "key.attribute", or steps "first,last".
            factory: "module:function" that builds the network of a file with weights alone.
            shuffled: the order of the rows means nothing.

        Returns:
            The model; its attribute ``adoption`` says what was inferred.

        Raises:
            AskedWrongly: there is a model of that name already.
            Ambiguous: two readings of the model fit the rows alike and answer differently.
            BadModel: the file is no model, or it does not beat the trivial baseline on the reference rows.
            Unsafe: reading the file would run code that `trust` does not name.
            BadData: the reference rows cannot be read.

        Example:
            >>> import evermodel as em
            >>> registry = em.open("more_models")
            >>> churn = registry.adopt("existing_model.txt", data="reference.csv", target="churned", name="churn")
            >>> churn.champion.name, churn.adoption.rows
            ('v1', 600)
        """
        adoption = adopt(
            model,
            target=target,
            data=data,
            name=name,
            task=task,
            time=time,
            entity=entity,
            weight=weight,
            inputs=inputs,
            drop=drop,
            slices=slices,
            classes=classes,
            target_transform=target_transform,
            signature=signature,
            predictions=predictions,
            transform=transform,
            trust=trust,
            factory=factory,
            object_path=object_path,
            shuffled=shuffled,
            registry=self.location,
        )
        return AdoptedModel(adoption, self.location)

    @property
    def models(self) -> Collection[Model]:
        """All models, by name; ``to_frame()`` gives a frame, and a notebook shows a table."""
        listing = models(registry=self.location)
        table = ResultTable.from_mappings(f"Models in {self.location}", listing.rows)
        return Collection([Model(str(row["name"]), self.location) for row in listing.rows], table)

    def __getitem__(self, name: str) -> Model:
        """The model of that name. Raises NotFound, naming the nearest."""
        if name not in self:
            raise NotFound.among("model", name, self)
        return Model(name, self.location)

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> list[str]:
        store = open_store(self.location)
        return sorted({*store.list_models(), *store.list_models("waiting")})

    @suggest_arguments
    def maintain(
        self, names: Sequence[str] | str = (), *, dry_run: bool = False, retry: bool = False
    ) -> MaintainResult:
        """Do what is due: watch, update, put on probation, approve, roll back, as each model's policy says.

        Any number of processes may call it at once; each due job is done by one of them. For every few minutes by
        cron, systemd or Kubernetes see ``evermodel integrate``.

        Args:
            names: only these models; by default all that have a policy.
            dry_run: say what is due, and do nothing.
            retry: jobs that were given up are due again.

        Returns:
            A report of every job.

        Example:
            >>> import evermodel as em
            >>> registry = em.open("models")
            >>> _ = registry["churn"].policy({"data": "incoming"})
            >>> registry.maintain(dry_run=True).dry_run
            True
        """
        return maintain(names, dry_run=dry_run, retry=retry, registry=self.location)

    @suggest_arguments
    def doctor(
        self,
        name: str | None = None,
        *,
        repair: bool = False,
        source: str | Path | None = None,
        network: bool = False,
        prometheus: str | None = None,
        grace: float = DAY,
    ) -> DoctorResult:
        """Check that files, names and the database are whole, and that champions load and predict as they did.

        Args:
            name: only this model.
            repair: mend what can be mended.
            source: a backup to take whole files and rows from.
            network: also ask the https addresses in policies for their certificates.
            prometheus: also ask this server whether it scrapes the models.
            grace: leave files alone that are younger than this many seconds.

        Returns:
            ``healthy``, and the findings, the worst first.

        Example:
            >>> import evermodel as em
            >>> em.open("models").doctor().healthy
            True
        """
        return doctor(
            name,
            repair=repair,
            source=source,
            network=network,
            prometheus=prometheus,
            grace=grace,
            registry=self.location,
        )

    def backup(self, to: str | Path) -> BackupResult:
        """Write everything into a folder, or a .tar or .tar.gz file, while others go on working.

        Args:
            to: the new folder or file. It appears whole or not at all.

        Raises:
            BadSetting: ``to`` exists already.
            OutOfSpace: the disk is full.

        Example:
            >>> import evermodel as em
            >>> em.open("models").backup("backup.tar").models
            ('churn',)
        """
        return backup(to=to, registry=self.location)

    @suggest_arguments
    def gc(
        self,
        *,
        keep_versions: int | None = None,
        older_than: float | None = None,
        grace: float = DAY,
        dry_run: bool = False,
    ) -> GcResult:
        """Remove files that nothing refers to; with a limit, the files of old versions too. Their cards stay.

        Args:
            keep_versions: remove files of versions beyond the newest so many of a model.
            older_than: remove files of versions older than this many seconds.
            grace: leave files alone that are younger than this many seconds: others may be at work.
            dry_run: say what would go, and remove nothing.

        Example:
            >>> import evermodel as em
            >>> em.open("models").gc(keep_versions=5, dry_run=True).versions
            ()
        """
        return gc(
            keep_versions=keep_versions, older_than=older_than, grace=grace, dry_run=dry_run, registry=self.location
        )

    def metrics(self, *names: str) -> ExposeResult:
        """The metrics of these models (by default of all) in the text format of Prometheus.

        Raises:
            MissingExtra: the extra ``monitor`` is not installed.

        Example:
            >>> import evermodel as em
            >>> em.open("models").metrics("churn").models
            ('churn',)
        """
        return expose(*names, registry=self.location)

    @suggest_arguments
    def push(self, *names: str, to: str, job: str = JOB, delete: bool = False, timeout: float = 10.0) -> PushResult:
        """Push the metrics of these models (by default of all) to a Pushgateway.

        Args:
            names: the models.
            to: the URL of the Pushgateway.
            job: the job's name there.
            delete: remove there what was pushed of these models.
            timeout: seconds to wait for it.

        Raises:
            NotDelivered: the Pushgateway did not accept them.
        """
        return push(*names, to=to, job=job, delete=delete, timeout=timeout, registry=self.location)

    @suggest_arguments
    def exporter(self, *names: str, port: int = 9464, host: str = "127.0.0.1", token: str = "") -> Exporter:
        """A server that Prometheus scrapes; ``forever()`` runs it, ``with`` runs it beside your own code.

        Args:
            names: the models; by default all that the registry holds at each scrape.
            port: 0 takes a free one.
            host: beyond this machine a token is needed.
            token: whoever scrapes sends it as ``Authorization: Bearer TOKEN``.
        """
        return exporter(*names, port=port, host=host, token=token, registry=self.location)

    def __repr__(self) -> str:
        return f"Registry({str(self.location)!r})"

    def __str__(self) -> str:
        return repr(self.models)

    def _repr_html_(self) -> str:
        return self.models._repr_html_()


class AdoptedModel(Model):
    """A model that was just adopted; ``adoption`` says what was inferred of its input, its scores and its notes."""

    def __init__(self, adoption: AdoptResult | PendingAdoption, location: str | Path | None = None) -> None:
        super().__init__(adoption.name, location)
        self.adoption = adoption
