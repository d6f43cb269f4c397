"""What is done with a model that is served: labels, releases by a share of the requests, publishing, deletion."""

from __future__ import annotations

from typing import Any

from evermodel.api.arguments import suggest_arguments
from evermodel.api.handle import ModelHandle
from evermodel.integrations.publish import PublishResult, publish
from evermodel.maintenance.deletion.delete_rows import HOUR, DeleteResult, delete
from evermodel.registry.predictions.label import LabelResult, label
from evermodel.registry.predictions.release import ReleaseResult, release
from evermodel.registry.predictions.staged_release import (
    SHARES,
    StagedReleaseResult,
    abort_release,
    begin_release,
    show_release,
)


class ReleasedModel(ModelHandle):
    """A model in service: what its servers answered, which version they try, and where else it stands."""

    @suggest_arguments
    def begin_release(self, version: str, *, share: float = SHARES[0]) -> StagedReleaseResult:
        """Let the servers answer a share of the requests with ``version``, which grows by itself and decides by itself.

        Args:
            version: the version to release, for example ``"v3"``.
            share: of the requests to begin with, above 0 and below 1.

        Raises:
            AskedWrongly: the version serves already, or another release runs.
            BadSetting: the share is out of its bounds.
            ContractBroken: the version does not take the same rows, or gives other classes.

        Example:
            >>> import evermodel as em
            >>> churn = em.open("models")["churn"]
            >>> _ = churn.update("april.csv")
            >>> _ = churn.rollback()
            >>> churn.begin_release("v2", share=0.05).release.shares
            (0.05, 0.25)
            >>> str(churn.abort_release().release.phase)
            'aborted'
        """
        return begin_release(self.name, version, share=share, registry=self.location)

    def show_release(self) -> StagedReleaseResult:
        """The newest release as it stands. Raises NotFound where there was none."""
        return show_release(self.name, registry=self.location)

    def abort_release(self) -> StagedReleaseResult:
        """End a running release: the version in service answers everything again.

        Raises:
            NotFound: there was none.
            AskedWrongly: it is over.
            Moved: a server moved it on meanwhile.
        """
        return abort_release(self.name, registry=self.location)

    @suggest_arguments
    def release(self, version: str, *, apply: bool = False) -> ReleaseResult:
        """Say whether a version that was tried as a shadow or canary is better, by the labels that came.

        Args:
            version: the version that was tried, for example ``"v3"``.
            apply: put it in service if it is better.

        Raises:
            NotFound: there are no logged answers of the version.
            AskedWrongly: the version serves already.
        """
        return release(self.name, version, apply=apply, registry=self.location)

    def label(self, data: Any) -> LabelResult:
        """Join labels that came later to the predictions that were logged.

        Args:
            data: a file or frame with the target and ``prediction_id``, or a column that clients sent with their rows.

        Raises:
            NotFound: nothing was logged for this model.
            ContractBroken: the labels have no column of the target's name.
            AskedWrongly: no column says which prediction a label is of.
        """
        return label(self.name, data, registry=self.location)

    @suggest_arguments
    def publish(self, to: str, *, version: str | None = None, proof: bool = True) -> PublishResult:
        """Hand a version (by default the champion) over to another serving system, whole or not at all.

        Args:
            to: the kind and the place: "folder:DIR", "tfserving:DIR", "triton:DIR", "mlflow:URI", "kserve:FILE@URI",
                "vllm:DIR", "gguf:FILE", "envoy:FILE@CLUSTER" or "nginx:FILE@PIDFILE".
            version: publish this version instead.
            proof: first load the model's file in a clean process and compare its answers with the version's.

        Raises:
            BadSetting: ``to`` is no kind and place.
            BadModel: the other system cannot read such a model.
            NotDelivered: the place cannot be written to.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].publish("folder:served", proof=False).version
            'v1'
        """
        return publish(self.name, to=to, version=version, proof=proof, registry=self.location)

    @suggest_arguments
    def delete(self, *, column: str, value: str | int, dry_run: bool = False, grace: float = HOUR) -> DeleteResult:
        """Delete all rows of one value of a column, such as a customer's, wherever rows of this model are kept.

        Args:
            column: the entity named at adoption, or another column that was kept, such as an id.
            value: the value whose rows go.
            dry_run: only say how many rows there are.
            grace: seconds; younger files that nothing points at may be of work that is going on, and are only counted.

        Raises:
            BadSetting: the value is empty.
            AskedWrongly: a running server has not handed its last predictions over.
            Moved: others changed the registry all the while.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].delete(column="customer", value=4711).total
            0
        """
        return delete(self.name, column=column, value=value, dry_run=dry_run, grace=grace, registry=self.location)
