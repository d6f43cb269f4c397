"""Searches for a better version of the same task: tune, prune, fuse, and iterate, which combines them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evermodel.api.arguments import suggest_arguments
from evermodel.api.handle import ModelHandle
from evermodel.core.model.training import ignore_epoch
from evermodel.core.records.learning_curve import Epoch
from evermodel.judging.judge_request import Gates, Policy
from evermodel.searching.fuse import FuseResult, fuse
from evermodel.searching.iterate import IterateResult, iterate
from evermodel.searching.prune.prune import PruneResult, prune
from evermodel.searching.tune.tune import TuneResult, tune

if TYPE_CHECKING:
    from evermodel.core.model.search_space import Space
    from evermodel.core.records.search_record import PruningTrial, Trial, Value


class SearchableModel(ModelHandle):
    """The best challenger that a search finds is judged against the champion, and the better of the two serves."""

    @suggest_arguments
    def tune(
        self,
        data: Any = None,
        *,
        space: str | Path | Mapping[str, Any] | Space | None = None,
        trials: int | None = None,
        budget: float | None = None,
        tuner: str = "tpe",
        settings: Mapping[str, Any] | None = None,
        folds: int = 3,
        resume: bool = False,
        warm: bool = True,
        build: Callable[[dict[str, Value]], Any] | None = None,
        metric: str | None = None,
        margin: float | Mapping[str, float] | None = None,
        policy: Policy | None = None,
        gates: Gates | None = None,
        accept: Collection[str] = (),
        refit: bool = True,
        seed: int = 0,
        on_trial: Callable[[Trial], None] = lambda trial: None,
        on_epoch: Callable[[Epoch], None] = ignore_epoch,
    ) -> TuneResult:
        """Search better hyperparameters; the best point, trained on all rows, is judged against the champion.

        Use it a few times a year, or after an update was held: it costs as much as ``trials`` trainings.

        Args:
            data: new labelled rows; without them the newest remembered rows judge.
            space: the search space: a JSON or TOML file, or a mapping from a name to choices or to low, high and log.
                By default the usual ranges of the framework.
            trials: how many points to try; 30 where no budget is given.
            budget: stop searching after this many seconds.
            tuner: "tpe", "grid", "random", or a plugin of your own.
            settings: settings of the tuner.
            folds: on how many parts of the rows each point is scored.
            resume: continue an interrupted search on the same rows.
            warm: begin where earlier searches of this model ended.
            build: makes the model object of the values of a trial, where the structure itself is searched.
            metric: the metric that decides; by default the log loss (R2 for numbers), guarded by AUC or accuracy.
            margin: how much worse still counts as no worse, in points or percent; see ``update``.
            policy: what the judge asks: "better" (default), "no_worse", "refresh" or "cheaper".
            gates: further questions by name with their settings, ``{"negative_flips": {"at_most": 0.01}}``.
            accept: differences from the contract to accept.
            refit: train a promoted challenger on the judged rows too.
            seed: makes the search repeatable.
            on_trial: is called after every trial.
            on_epoch: is called after every epoch.

        Returns:
            An UpdateResult with the trials, the best point and the importance of each hyperparameter.

        Raises:
            BadSetting: the space, the tuner or a setting is unknown or out of its bounds.
            NoData: too few rows to search on.

        Example:
            >>> import evermodel as em
            >>> result = em.open("models")["churn"].tune("april.csv", trials=2, tuner="random")
            >>> len(result.trials)
            2
        """
        return tune(
            self.name,
            data,
            space=space,
            trials=trials,
            budget=budget,
            tuner=tuner,
            settings=settings,
            folds=folds,
            resume=resume,
            warm=warm,
            build=build,
            metric=metric,
            margin=margin,
            policy=policy,
            gates=gates,
            accept=accept,
            refit=refit,
            seed=seed,
            registry=self.location,
            on_trial=on_trial,
            on_epoch=on_epoch,
        )

    @suggest_arguments
    def prune(
        self,
        data: Any = None,
        *,
        pruner: str = "auto",
        settings: Mapping[str, Any] | None = None,
        ratio: float | None = None,
        latency: float | None = None,
        size: float | None = None,
        keep_metric: float = 0.005,
        metric: str | None = None,
        policy: Policy | None = None,
        gates: Gates | None = None,
        accept: Collection[str] = (),
        resume: bool = False,
        seed: int = 0,
        on_point: Callable[[PruningTrial], None] = lambda point: None,
        on_epoch: Callable[[Epoch], None] = ignore_epoch,
    ) -> PruneResult:
        """Make the champion smaller and faster; it is promoted if it is shown to be no worse, and is cheaper.

        Args:
            data: new labelled rows; without them rows judge that were kept out of all training.
            pruner: "auto", "channels", "trees", "features", "magnitude" or "quantise".
            settings: settings of the pruner.
            ratio: the share to remove: 0.5 is half.
            latency: remove what brings the latency to this share of the champion's.
            size: remove what brings the size to this share of the champion's.
            keep_metric: how much of the score may be lost.
            metric: the metric that decides, and that ``keep_metric`` is about; by default AUC, accuracy or R2.
            policy: what the judge asks: "cheaper" (default), "no_worse", "better" or "refresh".
            gates: further questions by name with their settings.
            accept: differences from the contract to accept.
            resume: continue where the same pruning was interrupted.
            seed: makes it repeatable.
            on_point: is called after every size that was tried.
            on_epoch: is called after every epoch.

        Returns:
            An UpdateResult with the sizes tried, and latency and size of both models.

        Raises:
            BadModel: nothing can be removed from this model by this pruner.
            BadSetting: a setting is unknown or out of its bounds.

        Example:
            >>> import evermodel as em
            >>> result = em.open("models")["churn"].prune("april.csv", ratio=0.2)
            >>> result.ratio
            0.2
        """
        return prune(
            self.name,
            data,
            pruner=pruner,
            settings=settings,
            ratio=ratio,
            latency=latency,
            size=size,
            keep_metric=keep_metric,
            metric=metric,
            policy=policy,
            gates=gates,
            accept=accept,
            resume=resume,
            seed=seed,
            registry=self.location,
            on_point=on_point,
            on_epoch=on_epoch,
        )

    @suggest_arguments
    def fuse(
        self,
        versions: Sequence[str],
        *,
        data: Any = None,
        fuser: str = "auto",
        settings: Mapping[str, Any] | None = None,
        latency: float | None = None,
        metric: str | None = None,
        margin: float | Mapping[str, float] | None = None,
        policy: Policy | None = None,
        gates: Gates | None = None,
        accept: Collection[str] = (),
        seed: int = 0,
        on_epoch: Callable[[Epoch], None] = ignore_epoch,
    ) -> FuseResult:
        """Make one model of several versions and judge it against the champion.

        Args:
            versions: at least two, for example ``["v2", "v3", "v5"]``.
            data: labelled rows that none of the versions was trained on.
            fuser: "auto", "average", "soup", "slerp", "ties", "dare", "vote", "select", "stack" or "distill".
            settings: settings of the fuser.
            latency: refuse a model slower than so many times the champion.
            metric: the metric that decides; by default the log loss (R2 for numbers), guarded by AUC or accuracy.
            margin: how much worse still counts as no worse, in points or percent; see ``update``.
            policy: what the judge asks: "better" (default), "no_worse", "refresh" or "cheaper".
            gates: further questions by name with their settings, ``{"negative_flips": {"at_most": 0.01}}``.
            accept: differences from the contract to accept.
            seed: makes it repeatable.
            on_epoch: is called after every epoch.

        Returns:
            An UpdateResult with the members and their scores, and latency and size of both models.

        Raises:
            BadModel: the versions cannot be fused this way.
            NoData: no rows are left to judge on.
            NotFound: there is no such version.

        Example:
            >>> import evermodel as em
            >>> churn = em.open("models")["churn"]
            >>> _ = churn.update("april.csv")
            >>> [member.version for member in churn.fuse(["v1", "v2"], data="may.csv", fuser="vote").members]
            ['v1', 'v2']
        """
        return fuse(
            self.name,
            versions,
            data=data,
            fuser=fuser,
            settings=settings,
            latency=latency,
            metric=metric,
            margin=margin,
            policy=policy,
            gates=gates,
            accept=accept,
            seed=seed,
            registry=self.location,
            on_epoch=on_epoch,
        )

    @suggest_arguments
    def iterate(
        self,
        data: Any = None,
        *,
        goal: str = "better",
        budget: float | None = None,
        trials: int | None = None,
        keep_metric: float = 0.005,
        policy: Policy | None = None,
        accept: Collection[str] = (),
        resume: bool = False,
        seed: int = 0,
        on_trial: Callable[[Trial], None] = lambda trial: None,
        on_point: Callable[[PruningTrial], None] = lambda point: None,
        on_epoch: Callable[[Epoch], None] = ignore_epoch,
    ) -> IterateResult:
        """Tune, prune and fuse in the order that pays; the challenger of every step is judged against the champion.

        Args:
            data: new labelled rows; each step judges on a part of its own.
            goal: "better", "faster" or "smaller".
            budget: stop searching in time to be done after about this many seconds.
            trials: how many points tuning tries.
            keep_metric: how much of the score pruning may lose.
            policy: what the judge asks of a tuned or fused model: "better" (default), "no_worse" or "refresh".
            accept: differences from the contract to accept.
            resume: continue where the same call was interrupted.
            seed: makes it repeatable.
            on_trial: is called after every trial.
            on_point: is called after every size that pruning tried.
            on_epoch: is called after every epoch.

        Returns:
            What each step made and what became of it.

        Raises:
            BadSetting: the goal is unknown.
            NoData: too few rows.

        Example:
            >>> import evermodel as em
            >>> em.open("models")["churn"].iterate("april.csv", goal="faster", trials=1).goal
            'faster'
        """
        return iterate(
            self.name,
            data,
            goal=goal,
            budget=budget,
            trials=trials,
            keep_metric=keep_metric,
            policy=policy,
            accept=accept,
            resume=resume,
            seed=seed,
            registry=self.location,
            on_trial=on_trial,
            on_point=on_point,
            on_epoch=on_epoch,
        )
