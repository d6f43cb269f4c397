"""New versions from new rows, and verdicts on them: update, judge, reproduce."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from evermodel.api.arguments import suggest_arguments
from evermodel.api.explained_update import ModelUpdate
from evermodel.api.handle import ModelHandle
from evermodel.core.model.training import ignore_epoch
from evermodel.core.records.learning_curve import Epoch
from evermodel.judging.judge_request import Gates, Policy
from evermodel.registry.golden_predictions import TOLERANCE
from evermodel.searching.reproduce import ReproduceResult, reproduce
from evermodel.updating.update import update
from evermodel.updating.verdicts.judge_version import JudgeResult, judge


class UpdatableModel(ModelHandle):
    """A challenger from new rows is judged against the champion, and the better of the two serves."""

    @suggest_arguments
    def update(
        self,
        data: Any,
        *,
        strategy: str = "auto",
        settings: Mapping[str, Any] | None = None,
        ensemble: bool = False,
        widen: bool = False,
        new_classes: Collection[Any] = (),
        budget: float | None = None,
        metric: str | None = None,
        margin: float | Mapping[str, float] | None = None,
        policy: Policy | None = None,
        gates: Gates | None = None,
        accept: Collection[str] = (),
        refit: bool = True,
        dry_run: bool = False,
        seed: int = 0,
        guard_rows: Any = None,
        to: str | Path | None = None,
        on_epoch: Callable[[Epoch], None] = ignore_epoch,
    ) -> ModelUpdate:
        """Train a challenger on new rows, judge it on the newest of them, and serve the better model.

        Use it whenever newly labelled rows have come. Give each row once: rows that were given before are recognised
        and left out. It is not the way to search hyperparameters (``tune``) or to make a model smaller (``prune``).

        Args:
            data: labelled rows that came since: a frame, file, folder or SQL URL.
            strategy: how to train the challenger: "auto", one strategy ("refit", "replay", "resume", …), or several
                with commas; then the best of them is confirmed on other rows.
            settings: settings of that strategy, for example ``{"epochs": 3}``.
            ensemble: allow "auto" to make one model of several: it may predict better, and costs several times as much.
            widen: give categories that the deployed model does not know inputs of their own; without it they count as
                unknown, and the input stays as it is.
            new_classes: labels that the model is to learn as new classes, for example ``["refund"]``; rows of classes
                that are neither known nor named are left out or refused.
            budget: stop training after this many seconds.
            metric: the metric that decides; by default the log loss (R2 for numbers), guarded by AUC or accuracy.
            margin: how much worse still counts as no worse: 1 is one point of a score, or one percent of a loss; or a
                number for each metric, ``{"auc": 1, "log_loss": 2}``.
            policy: what the judge asks. "no_worse" (default of "auto"): harm beyond the margin is ruled out; "better"
                (default of a named strategy): a gain as well; "refresh": it is not shown to be worse; "cheaper".
            gates: further questions by name with their settings, ``{"negative_flips": {"at_most": 0.01}}``; None
                leaves one out.
            accept: differences from the contract to accept: "unit", or "unit:COLUMN" for one column.
            refit: train a promoted challenger on the judged rows too before it serves.
            dry_run: do everything but change the registry.
            seed: makes training and sampling repeatable.
            guard_rows: labelled rows on which the challenger may not get worse by more than the margin, whatever it
                gains on the new ones, for example a general test set; rows that an update has learnt are left out.
            to: also write the model then in service to this file.
            on_epoch: is called after every epoch of training.

        Returns:
            The decision with its reasons, the scores of both models with intervals, and every candidate; its
            ``explain()`` says what changed between the two models.

        Raises:
            BadData: the rows cannot be read, or hold no labels.
            ContractBroken: the rows do not fit what the model expects, and the difference was not accepted.
            BadSetting: the strategy or one of its settings is unknown; the message names the nearest.
            Moved: somebody else promoted another version meanwhile; then nothing is changed.

        Example:
            >>> import evermodel as em
            >>> churn = em.open("models")["churn"]
            >>> result = churn.update("april.csv")
            >>> str(result.decision), result.in_service
            ('promote', 'v2')
            >>> result.scores.to_frame().columns[:4]
            ['rows', 'metric', 'champion', 'challenger']
        """
        result = update(
            self.name,
            data,
            strategy=strategy,
            settings=settings,
            ensemble=ensemble,
            widen=widen,
            new_classes=new_classes,
            budget=budget,
            metric=metric,
            margin=margin,
            policy=policy,
            gates=gates,
            accept=accept,
            refit=refit,
            dry_run=dry_run,
            seed=seed,
            guard_rows=guard_rows,
            to=to,
            registry=self.location,
            on_epoch=on_epoch,
        )
        return ModelUpdate.of_result(result, self.location)

    @suggest_arguments
    def judge(
        self,
        version: str,
        data: Any = None,
        *,
        metric: str | None = None,
        margin: float | Mapping[str, float] | None = None,
        policy: Policy | None = None,
        gates: Gates | None = None,
        votes: Any = None,
        lm_task: str | Path | None = None,
    ) -> JudgeResult:
        """Compare a version with the champion on labelled rows. Nothing is promoted and nothing is remembered.

        Args:
            version: the challenger, for example ``"v3"``.
            data: labelled rows; those that any update has seen are left out. Without rows, those judge that were
                kept out of all training.
            metric: the metric that decides.
            margin: how much worse still counts as no worse, in points or percent.
            policy: what the judge asks: "better" (default), "no_worse", "refresh" or "cheaper".
            gates: further questions by name with their settings.
            votes: rows of people's votes, each with a prompt and the winner (a version, or "tie").
            lm_task: a multiple-choice task of lm-evaluation-harness (its YAML file), whose questions judge a language
                model; ``data`` are then its rows, where it names none beside itself.

        Returns:
            The decision that an update would have taken, the scores of both with intervals, and the reasons.

        Raises:
            NoData: no rows are left that neither model has seen.
            NotFound: there is no such version.

        Example:
            >>> import evermodel as em
            >>> churn = em.open("models")["churn"]
            >>> _ = churn.update("april.csv")
            >>> str(churn.judge("v1", "may.csv").decision)
            'reject'
        """
        return judge(
            self.name,
            version,
            data,
            metric=metric,
            margin=margin,
            policy=policy,
            gates=gates,
            votes=votes,
            lm_task=lm_task,
            registry=self.location,
        )

    @suggest_arguments
    def reproduce(
        self, version: str, *, to: str | Path | None = None, tolerance: float = TOLERANCE, restore: bool = False
    ) -> ReproduceResult:
        """Build a version again from its parent, rows, settings and seed, and compare it with what is stored.

        Args:
            version: for example ``"v3"``. An adopted model is the user's own and cannot be built again.
            to: also write the version into this new folder.
            tolerance: how far predictions may differ, in units of the largest.
            restore: put damaged files back where the new ones are bit for bit what was stored.

        Returns:
            Whether it is the same, bit for bit, or how far its predictions differ.

        Raises:
            AskedWrongly: the version cannot be built again; the message says why.

        Example:
            >>> import evermodel as em
            >>> churn = em.open("models")["churn"]
            >>> _ = churn.update("april.csv")
            >>> churn.reproduce("v2").within
            True
        """
        return reproduce(self.name, version, to=to, tolerance=tolerance, restore=restore, registry=self.location)
