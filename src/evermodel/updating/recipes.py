"""Which recipe an update follows: one robust recipe a kind of model, measured on real streams (bench/streams.py)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evermodel.core.errors import AskedWrongly, BadSetting
from evermodel.core.model.capabilities import Combinable, LeafRefittable, StepCount, Tunable
from evermodel.core.model.ensemble import BEFORE, DEPLOYED, Ensemble, choose_single_model, newest_member
from evermodel.core.model.model import Model
from evermodel.core.model.strategy import STRATEGIES
from evermodel.core.records.update_mode import UpdateMode
from evermodel.core.records.verdict import JudgePolicy
from evermodel.core.settings import read_settings, settings_of
from evermodel.updating.update_input import UpdateInput


@dataclass(frozen=True)
class Recipe:
    """A strategy with its settings, and what belongs to it.

    ``refit``: how a winner is refit on all rows; None: by the same recipe again, for the epochs that were found best.
    ``continues_judged``: a refit that goes on from the judged model, with the rows that it has not seen yet.
    ``tunes``: some of the new rows are kept out of training, to stop it early by. ``alternative``: is followed instead
    where the tuning rows show it better beyond doubt. ``corrects_output``: the output is corrected by part of the error
    of the model before it (updating/error_correction.py). ``policy``: what the judge asks. ``blends_with``: of an
    ensemble, the former model that the refit one is blended with (updating/former_model.py).
    """

    strategy: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    refit: Recipe | None = None
    continues_judged: bool = False
    tunes: bool = False
    alternative: Recipe | None = None
    corrects_output: bool = False
    policy: JudgePolicy = JudgePolicy.BETTER
    blends_with: str = ""  # BEFORE or DEPLOYED of core/model/ensemble.py


# These names choose the strategy and its settings by the kind of model.
CHOSEN = ("auto", UpdateMode.INCREMENTAL, UpdateMode.SINGLE_FIT)
ENSEMBLES = ("blend", "recency_ensemble")  # strategies that make several models as one
WINDOW = 3  # blocks that count as recent
EPOCHS = 20  # of a network trained from scratch, at most
PATIENCE = 5  # epochs without a gain, after which it stops
RATE = 2e-3  # at which a network for a table is trained from scratch, falling to 0
FEW_ROWS = 10_000  # as in plugins/strategies/blend.py: fewer, and a network trained anew is one draw of luck
SHORTEST, LONGEST = 4, 8  # steps of 16 to 256 rows: what a count of steps may say of their length
# One model of the deployed structure. Half of a row's weight falls with its age, halved every two blocks.
AGE = {"half_life": 2.0, "mix": 0.5}
REFIT = Recipe("refit", AGE, corrects_output=True, policy=JudgePolicy.NO_WORSE)
# Text, sequences, and whatever was pretrained: the deployed weights and the optimizer's memory are gone on from.
REST = Recipe("replay", {"ratio": 1.0, "epochs": 1}, continues_judged=True)
WARM_START = Recipe("replay", {"ratio": 1.0, "epochs": 3, "patience": 1}, REST, tunes=True, policy=JudgePolicy.NO_WORSE)
RESUME = Recipe("resume", {"epochs": 3, "patience": 1}, tunes=True, policy=JudgePolicy.NO_WORSE)
# For a network of pictures, continued training on all rows by its own optimizer beat a training from scratch, at three
# quarters of its time.
REFIT_PICTURES = Recipe("replay", {"ratio": 100.0, "epochs": 2})
PICTURES = Recipe("replay", {"ratio": 100.0, "epochs": 5}, REFIT_PICTURES, policy=JudgePolicy.NO_WORSE)
# Several models as one, at several times the cost: only where the user asks for it.
REFIT_BLEND = Recipe("blend", {"window": WINDOW, "refit_judged": True})
BLEND = Recipe(
    "blend", {"window": WINDOW}, REFIT_BLEND, corrects_output=True, policy=JudgePolicy.NO_WORSE, blends_with=DEPLOYED
)
REFIT_RECENCY_ENSEMBLE = Recipe("recency_ensemble", {"window": WINDOW, "refit_judged": True})
RECENCY_ENSEMBLE = Recipe(
    "recency_ensemble", {"window": WINDOW}, REFIT_RECENCY_ENSEMBLE, corrects_output=True, policy=JudgePolicy.NO_WORSE
)
# What maintenance does between full trainings, and a full training that costs one instead of two: a booster's leaves
# follow the newest rows at a fourteenth of a training's cost (bench/maintain_year.py).
LEAVES = {"decay": 0.8}
INCREMENTAL_BOOSTER = Recipe("leaf_refit", LEAVES, policy=JudgePolicy.NO_WORSE)
INCREMENTAL = Recipe("recalibrate", policy=JudgePolicy.NO_WORSE)
SINGLE_FIT_BOOSTER = Recipe("refit", refit=INCREMENTAL_BOOSTER, policy=JudgePolicy.NO_WORSE)


def read_recipes(
    update_input: UpdateInput, strategies: str, settings: Mapping[str, Any], *, ensemble: bool = False
) -> list[Recipe]:
    """A recipe for each strategy named in "refit,replay".

    ``settings`` go to every strategy that has them, "replay.ratio" to that one. ``ensemble``: "auto" may make one
    model of several. Raises AskedWrongly, BadSetting.
    """
    names = [name.strip() for name in strategies.split(",")]
    if len(set(names)) < len(names) or not all(names):
        raise AskedWrongly(f"`strategy` must name each strategy once, such as refit,replay. Got {strategies!r}.")
    if len(names) == 1:
        return [choose_recipe(update_input, names[0], settings, ensemble=ensemble)]
    own = {name: set() if name in CHOSEN else _settings_of(name) for name in names}
    for key in settings:
        name, dot, setting = key.rpartition(".")
        if setting not in (own.get(name, set()) if dot else set().union(*own.values())):
            raise BadSetting(
                f"None of {', '.join(names)} has a setting {key!r}.", "Write STRATEGY.KEY for a setting of one of them."
            )
    chosen = ((name, _own_settings(name, own[name], settings)) for name in names)
    return [choose_recipe(update_input, name, given, ensemble=ensemble) for name, given in chosen]


def choose_recipe(
    update_input: UpdateInput, strategy: str, settings: Mapping[str, Any], *, ensemble: bool = False
) -> Recipe:
    """The recipe to follow; for "auto" by the kind of model, for the rest what was asked, its settings checked."""
    if ensemble and strategy != "auto":
        raise AskedWrongly(f"ensemble belongs to the strategy 'auto'. Got {strategy!r}.", "Leave one of the two out.")
    if strategy in CHOSEN and settings:
        raise BadSetting(
            f"{strategy!r} chooses its own settings. Got {', '.join(sorted(settings))}.",
            "Name the strategy too, for example 'replay'.",
        )
    if strategy not in CHOSEN:
        return Recipe(strategy, read_settings(STRATEGIES.load(strategy), settings))
    leaves = isinstance(update_input.champion.framework, LeafRefittable)
    is_text = update_input.champion.contract.task == "text"  # has no output of its own that could follow new rows alone
    if strategy == UpdateMode.INCREMENTAL and not is_text and not _has_new_classes(update_input):
        return INCREMENTAL_BOOSTER if leaves else INCREMENTAL
    if strategy != "auto" and leaves:
        return SINGLE_FIT_BOOSTER
    return _choose_ensemble(update_input) if ensemble else _choose_single(update_input)


def _choose_single(update_input: UpdateInput) -> Recipe:
    """One model of the deployed structure, whatever its kind."""
    champion = choose_single_model(update_input.champion)
    if not champion.signature.network:
        return REFIT
    if any(c.kind == "image" for c in champion.contract.columns):
        return PICTURES
    replay = update_input.replay_rows
    warm_start = RESUME if replay is None or not len(replay) else WARM_START
    if champion.signature.pretrained or champion.contract.outputs:
        return warm_start
    settings = {
        **AGE,
        "epochs": EPOCHS,
        "batch_size": _batch_size(update_input),
        "decay": True,
        "patience": PATIENCE,
    }
    settings["learning_rate"] = _learning_rate(champion)
    return Recipe(
        "refit", settings, tunes=True, alternative=warm_start, corrects_output=True, policy=JudgePolicy.NO_WORSE
    )


def _learning_rate(champion: Model) -> float:
    """Twice the deployed network's, as it falls to 0, and no more than what suits networks for tables."""
    deployed = RATE / 2
    if isinstance(champion.framework, Tunable):
        deployed = float(champion.framework.get_hyperparameters(champion.obj).get("learning_rate", deployed))
    return min(RATE, 2.0 * deployed) if deployed > 0 else RATE


def _batch_size(update_input: UpdateInput) -> int:
    """As long as the deployed network's steps, where its optimizer counted how many its training took."""
    champion, replay = choose_single_model(update_input.champion), update_input.replay_rows
    known = 0 if replay is None else len(replay)
    counted = champion.framework.count_steps(champion.obj) if isinstance(champion.framework, StepCount) else None
    if counted and known:
        power = round(math.log2(EPOCHS * known / counted))
        return int(2 ** min(max(power, SHORTEST), LONGEST))
    return 32 if known + len(update_input.new) <= 1000 else 64


def _choose_ensemble(update_input: UpdateInput) -> Recipe:
    """Several models as one, for the kinds of model that can be put together in one file; a refit for the others."""
    first = _window_holds_all(update_input)
    if update_input.champion.signature.network:
        if any(c.kind == "image" for c in update_input.champion.contract.columns):
            return PICTURES
        return _first_blend(update_input) if first else BLEND
    framework = update_input.champion.framework
    if isinstance(framework, Combinable) and isinstance(framework, LeafRefittable) and not first:
        return RECENCY_ENSEMBLE
    return REFIT


def _first_blend(update_input: UpdateInput) -> Recipe:
    """All rows from scratch, and a former network beside the new one."""
    champion, replay = newest_member(update_input.champion), update_input.replay_rows
    known = 0 if replay is None else len(replay)
    few = known + len(update_input.new) <= FEW_ROWS and not isinstance(champion.obj, Ensemble)
    former = BEFORE if few and not _has_new_classes(update_input) else DEPLOYED
    settings = {"epochs": EPOCHS, "batch_size": _batch_size(update_input)}
    return Recipe("refit", settings, corrects_output=True, policy=JudgePolicy.NO_WORSE, blends_with=former)


def list_usual_recipes(update_input: UpdateInput) -> list[Recipe]:
    """Every recipe that "auto" may follow for this model, those of ensembles and alternatives too."""
    found = [choose_recipe(update_input, "auto", {}, ensemble=ensemble) for ensemble in (False, True)]
    return [one for recipe in found for one in (recipe, recipe.alternative) if one is not None]


def _has_new_classes(update_input: UpdateInput) -> bool:
    """Whether classes came that the champion has no output for: then its leaves or output alone cannot learn them."""
    outputs = update_input.champion.signature.outputs
    return outputs is not None and len(update_input.champion.contract.classes) > max(outputs, 2)


def _window_holds_all(update_input: UpdateInput) -> bool:
    remembered = [b.number for b in update_input.memory.blocks if b.n_rows]
    return not remembered or min(remembered) > update_input.memory.next_number - WINDOW


def _settings_of(strategy: str) -> set[str]:
    return {s.name for s in settings_of(STRATEGIES.load(strategy))}


def _own_settings(strategy: str, own: set[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    shared = {k: v for k, v in settings.items() if k in own}
    prefix = f"{strategy}."
    return shared | {k.removeprefix(prefix): v for k, v in settings.items() if k.startswith(prefix)}
