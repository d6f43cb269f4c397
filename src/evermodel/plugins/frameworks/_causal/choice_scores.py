"""How likely a language model finds given endings of a text, tokenised as lm-evaluation-harness does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evermodel.core.arrays import Array
from evermodel.plugins.frameworks._causal.answer_loss import measure_answer_losses
from evermodel.plugins.frameworks._causal.language_model import LanguageModel


def score_choices(model: LanguageModel, contexts: Sequence[str], choices: Sequence[Sequence[str]]) -> list[Array]:
    """For each context (its choices,) float64: the log probability of each choice's tokens behind it.

    A text is tokenised as a whole and then split where its context ends; spaces at the end of a context belong to the
    choice. The beginning of a text that is longer than the network takes is cut off.
    """
    kept = [context.rstrip() for context in contexts]
    before = model.tokens.encode_whole(kept)
    prompts, endings = list[list[int]](), list[list[int]]()
    for context, short, known, some in zip(contexts, kept, before, choices, strict=True):
        for whole in model.tokens.encode_whole([context + choice for choice in some]):
            # A choice of no tokens of its own still has a last token, so that there is something to score.
            at = min(len(known), len(whole) - 1) if short else 0
            prompt, ending = whole[:at], whole[at:]
            prompt = prompt[-max(1, model.tokens.longest - len(ending)) :] or [_opening(model)]
            prompts.append(prompt)
            endings.append(ending[-(model.tokens.longest - 1) :])
    nats = measure_answer_losses(model.network.eval(), prompts, endings, model.tokens.padding)[:, 0]
    ends = np.cumsum([len(some) for some in choices])[:-1]
    return [np.asarray(-part) for part in np.split(nats, ends)]


def _opening(model: LanguageModel) -> int:
    """The token before a text that has no context."""
    named = model.config.get("bos_token_id")
    return named if isinstance(named, int) else model.end
