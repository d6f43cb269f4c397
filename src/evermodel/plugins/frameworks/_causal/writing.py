"""Free-text answers of a language model: how they are asked for, written, and what reference answers cost it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.data.chat_columns import is_conversation
from evermodel.core.errors import BadModel
from evermodel.core.records.adoption_record import Basis, Inference, Subject
from evermodel.plugins.frameworks._causal.answer_loss import READ, measure_answer_losses
from evermodel.plugins.frameworks._causal.language_model import SEPARATOR, LanguageModel, Writing
from evermodel.plugins.frameworks._causal.padding import pad_left
from evermodel.plugins.frameworks._transformers.input_readers import read_texts

ROOM = 1.5  # times the longest reference answer: an answer may be that long
LEAST_TOKENS = 16
MOST_SHARE = 0.5  # of what the network can take, for the answer
COMPARED = 64  # reference rows by which the separator is chosen
BEYOND_DOUBT = 3.0  # standard errors
ROWS = 16  # prompts that are answered at once


def learn_answers(model: LanguageModel, x: Any, answers: Sequence[str]) -> tuple[LanguageModel, tuple[Inference, ...]]:
    """The model that answers with free text, as long as reference answers are, and on which grounds.

    Conversations are put in form by the chat template; between a prompt and its answer stands a line break, or nothing,
    whichever makes the reference answers likelier. Raises BadModel where conversations have no template.
    """
    prompts = read_texts(x)
    chat = bool(prompts) and all(_holds_conversation(text) for text in prompts)
    plain = dataclasses.replace(model, labels=None, writing=Writing(LEAST_TOKENS, "", chat))
    if chat:
        plain.chat.render(prompts[0])  # refuses a template that takes no conversation
    longest = max((len(one) for one in plain.encode_answers(answers)), default=1)
    most = max(LEAST_TOKENS, math.ceil(ROOM * longest))
    most = max(1, min(most, int(MOST_SHARE * model.tokens.longest)))
    length = Inference(Subject.ANSWER, f"free text of at most {most:,} tokens", Basis.PROVEN, rows=len(answers))
    if chat:
        form = Inference(Subject.INPUT, "conversations, by the model's own chat template", Basis.FILE)
        return _write(model, Writing(most, "", chat=True)), (form, length)
    separator, basis = _choose_separator(model, most, prompts, answers)
    words = "a line break" if separator == SEPARATOR else "nothing"
    form = Inference(Subject.INPUT, f"between a prompt and its answer stands {words}", basis)
    return _write(model, Writing(most, separator)), (form, length)


def write_answers(model: LanguageModel, x: Any, *, again: bool = False, exactly: int | None = None) -> list[str]:
    """The likeliest token at each place, until an answer ends or has ``most_tokens``. ``again``: what this object wrote
    before is remembered. ``exactly``: so many tokens, whether an answer ends before or not.
    """
    prompts = [tuple(one) for one in model.encode_prompts(read_texts(x))]
    known = model.written if again else {}
    missing = sorted({one for one in prompts if one not in known}, key=len)
    start = 0
    while start < len(missing):
        size = max(1, min(ROWS, READ // (len(missing[min(start + ROWS, len(missing)) - 1]) + _most(model))))
        few = missing[start : start + size]
        known.update(zip(few, _continue(model, few, exactly), strict=True))
        start += size
    return [known[one] for one in prompts]


def measure_answers(model: LanguageModel, x: Any, answers: Sequence[str]) -> Array:
    """(n, 2): nats and tokens of each answer behind its prompt, its end among them; remembered for the same rows."""
    prompts = [tuple(one) for one in model.encode_prompts(read_texts(x))]
    pairs = list(zip(prompts, map(tuple, model.fit_answers(prompts, answers)), strict=True))
    missing = [pair for pair in dict.fromkeys(pairs) if pair not in model.measured]
    if missing:
        few = [pair[0] for pair in missing], [pair[1] for pair in missing]
        found = measure_answer_losses(model.network.eval(), *few, model.tokens.padding)
        model.measured.update({pair: (row[0], row[1]) for pair, row in zip(missing, found.tolist(), strict=True)})
    return np.array([model.measured[pair] for pair in pairs], dtype=np.float64).reshape(len(pairs), 2)


def count_cut(model: LanguageModel, x: Any) -> int:
    """How many prompts are longer than what the network reads before the answer."""
    return model.count_cut(read_texts(x))


def first_token_scores(model: LanguageModel, x: Any) -> Array:
    """(n, vocabulary) float32: log probability of each token as the first of the answer, prompt by prompt."""
    import torch

    found = []
    with torch.inference_mode():
        for prompt in model.encode_prompts(read_texts(x)):
            scores = model.network(input_ids=torch.tensor([prompt])).logits[0, -1].float()
            found.append(scores.log_softmax(dim=-1).numpy())
    return np.array(found, np.float32)


def _continue(model: LanguageModel, prompts: Sequence[Sequence[int]], exactly: int | None) -> list[str]:
    import torch
    from transformers import GenerationConfig

    batch = pad_left(prompts, model.tokens.padding)
    settings = GenerationConfig(
        max_new_tokens=exactly or _most(model),
        min_new_tokens=exactly,
        do_sample=False,
        num_beams=1,
        eos_token_id=list(model.ends),
        pad_token_id=model.tokens.padding,
    )
    with torch.inference_mode():
        out = model.network.eval().generate(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], generation_config=settings
        )
    return [model.tokens.decode(_cut_at_end(row, model.ends)) for row in out[:, batch["input_ids"].shape[1] :].tolist()]


def _cut_at_end(ids: list[int], ends: Sequence[int]) -> list[int]:
    """The tokens before the first that ends an answer: behind it stands padding."""
    return next((ids[:at] for at, token in enumerate(ids) if token in ends), ids)


def _choose_separator(
    model: LanguageModel, most: int, prompts: Sequence[str | None], answers: Sequence[str]
) -> tuple[str, Basis]:
    """The separator under which the reference answers are likelier, and whether that is beyond doubt."""
    few = prompts[:COMPARED], answers[:COMPARED]
    if any(text and text[-1].isspace() for text in few[0]) or any(text[:1].isspace() for text in few[1]):
        return "", Basis.USUAL  # the rows bring their own
    losses = []
    for separator in (SEPARATOR, ""):
        tried = _write(model, Writing(most, separator))
        encoded = tried.encode_prompts(list(few[0]))
        losses.append(
            measure_answer_losses(
                model.network.eval(), encoded, tried.fit_answers(encoded, few[1]), model.tokens.padding
            )[:, 0]
        )
    gain = losses[0] - losses[1]  # of leaving the line break out
    error = float(gain.std(ddof=1)) / math.sqrt(len(gain)) if len(gain) > 1 else 0.0
    lead = float(gain.mean()) / error if error > 0 else 0.0
    return ("" if lead > BEYOND_DOUBT else SEPARATOR), Basis.PROVEN if abs(lead) > BEYOND_DOUBT else Basis.USUAL


def _write(model: LanguageModel, writing: Writing) -> LanguageModel:
    return dataclasses.replace(model, labels=None, writing=writing)


def _most(model: LanguageModel) -> int:
    if model.writing is None:
        raise BadModel("This language model answers with labels.", "Adopt it with the task text.")
    return model.writing.most_tokens


def _holds_conversation(text: str | None) -> bool:
    try:
        return is_conversation(json.loads(text or ""))
    except ValueError:
        return False
