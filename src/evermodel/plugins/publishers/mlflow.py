"""MLflow's model registry: a model version, and the alias ``champion`` moved to it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from evermodel.core.data.contract import Contract
from evermodel.core.errors import MissingExtra, NotDelivered
from evermodel.core.publication import Publication

__all__ = ["find_published", "mlflow"]
ALIAS, VERSION_TAG = "champion", "evermodel.version"
EXPERIMENT = "evermodel"
LOADER = "evermodel.integrations.mlflow_model"  # reads the model in whatever serves it


def find_published(name: str, to: str, /) -> str:
    """The version behind the alias ``champion``."""
    found = _find_champion(_open_client(to), name)
    return "" if found is None else str(found.tags.get(VERSION_TAG, ""))


def mlflow(publication: Publication, to: str, /) -> str:
    """A new version of the registered model NAME at the tracking server or database ``to``, with alias ``champion``.

    It is a python_function model: it takes rows as they were adopted, encodes them and predicts. Where it is served,
    Evermodel is installed. A version that was published before gets the alias back.

    Example:
        $ evermodel publish churn --to mlflow:http://localhost:5000
    """
    client = _open_client(to)
    from mlflow.exceptions import MlflowException

    try:
        champion = _find_champion(client, publication.name)
        if champion is not None and champion.tags.get(VERSION_TAG) == publication.version:
            return f"models:/{publication.name}/{champion.version}"
        number = _find_version(client, publication) or _register(client, publication)
        client.set_registered_model_alias(publication.name, ALIAS, number)
    except (MlflowException, OSError) as error:
        message = str(error).strip().partition("\n")[0][:300]
        raise NotDelivered(f"MLflow at {to} did not take {publication.name}: {message}", "Is it there?") from error
    return f"models:/{publication.name}/{number}"


def _open_client(to: str) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would tell its makers that it is used
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise MissingExtra.for_package("mlflow-skinny", "mlflow", "Publishing to MLflow") from None
    return MlflowClient(tracking_uri=to, registry_uri=to)


def _find_champion(client: Any, name: str) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, ALIAS)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise NotDelivered(f"MLflow does not answer: {str(error).strip().partition(chr(10))[0][:300]}") from error


def _find_version(client: Any, publication: Publication) -> str:
    """The number under which the version was published before; "" if it was not."""
    for found in client.search_model_versions(f"name = '{publication.name}'"):
        if found.tags.get(VERSION_TAG) == publication.version:
            return str(found.version)
    return ""


def _register(client: Any, publication: Publication) -> str:
    """Uploads the model in a run of its own, and registers it; its number."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(EXPERIMENT)
    at = experiment.experiment_id if experiment is not None else client.create_experiment(EXPERIMENT)
    run = client.create_run(at, run_name=f"{publication.name} {publication.version}")
    staged = Path(tempfile.mkdtemp(prefix="evermodel-mlflow-"))
    try:
        _write_model(publication, staged / "model")
        client.log_artifacts(run.info.run_id, str(staged / "model"), "model")
        client.set_terminated(run.info.run_id)
    except BaseException:
        client.set_terminated(run.info.run_id, "FAILED")
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    try:
        client.create_registered_model(publication.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{run.info.artifact_uri}/model"
    tags = {VERSION_TAG: publication.version}
    made = client.create_model_version(publication.name, source, run.info.run_id, tags=tags)
    return str(made.version)


def _write_model(publication: Publication, to: Path) -> None:
    from mlflow import pyfunc

    staged = to.parent / "version"
    shutil.copytree(publication.stored, staged)
    (staged / "framework.txt").write_text(publication.framework)
    extra = publication.model.framework.EXTRA
    pyfunc.save_model(
        str(to),
        loader_module=LOADER,
        data_path=str(staged),
        signature=_build_signature(publication.model.contract),
        pip_requirements=[f"evermodel[{extra}]" if extra else "evermodel"],
    )


def _build_signature(contract: Contract) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    kinds = {"number": DataType.double, "boolean": DataType.boolean, "image": DataType.binary}
    inputs = [ColSpec(kinds.get(c.kind, DataType.string), c.name, required=False) for c in contract.columns]
    return ModelSignature(Schema(inputs))
