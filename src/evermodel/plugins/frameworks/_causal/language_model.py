"""A causal language model as it is kept, and how it answers: with one of known labels, or with a text of its own."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evermodel.core.data.target_column import class_text
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import TrainablePart
from evermodel.plugins.frameworks._causal.chat_template import ChatTemplate
from evermodel.plugins.frameworks._transformers.low_rank import merge_adapter
from evermodel.plugins.frameworks._transformers.text_tokens import TextTokens

USUAL_RANK = 8
SEPARATOR = "\n"  # between a row's text and the answer
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Writing:
    """How a model answers with a text of its own."""

    most_tokens: int  # of an answer, its end among them
    separator: str = SEPARATOR  # between a prompt and its answer
    chat: bool = False  # prompts are conversations, as JSON texts


@dataclass(frozen=True)
class LanguageModel:
    """``network``, built from ``pretrained`` and ``trained``, is what answers. The large pretrained network is changed
    by a training of all weights alone, and its files are shared by the versions that it did not change in.
    """

    config: Mapping[str, Any]  # of the pretrained network, as its config.json
    tokenizer: Mapping[str, bytes]  # the files that say how a text becomes token ids, by name
    pretrained: Any  # a torch module, never changed
    files: tuple[Path, ...] = ()  # safetensors files that hold exactly its weights; () where none do
    files_are_kept: bool = False  # of a version, which nobody changes: the next version can share them
    trained: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # tensors of the adapter
    labels: tuple[Any, ...] | None = None  # what it answers with, a column each; None: not said yet
    part: TrainablePart = TrainablePart.ADAPTER  # what a training changes
    rank: int = USUAL_RANK  # of the adapter
    packed: bool = False  # whether the network takes all answers to a text in one sequence
    writing: Writing | None = None  # of free text; None: it answers with labels
    # What this very object answered and measured before, by token ids: the judge asks for the same rows several times.
    written: dict[Tokens, str] = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)
    measured: dict[tuple[Tokens, Tokens], tuple[float, float]] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def network(self) -> Any:
        """The network with the adapter added to its weights: as large and as fast as the pretrained one."""
        if not self.trained:
            return self.pretrained
        return merge_adapter(copy.deepcopy(self.pretrained), self.trained)

    def full_config(self) -> dict[str, Any]:
        """The configuration as config.json holds it."""
        return dict(self.config)

    @cached_property
    def tokens(self) -> TextTokens:
        return TextTokens(self.tokenizer, self.config)

    @cached_property
    def chat(self) -> ChatTemplate:
        return ChatTemplate(self.tokenizer)

    @cached_property
    def end(self) -> int:
        """The token that ends an answer: of a conversation the one that its template writes there, where it is a token
        of that kind. Raises BadModel where the folder names none.
        """
        if self.writing is not None and self.writing.chat:
            behind = self.tokens.encode([self.chat.find_end()], special=False)[0].ids
            if behind and self.tokens.is_special(behind[0]):
                return int(behind[0])
        named = self.config.get("eos_token_id")
        first = named[0] if isinstance(named, list) and named else named
        if not isinstance(first, int):
            raise BadModel("config.json names no eos_token_id, the token that ends an answer.", "Add it to the file.")
        return first

    @cached_property
    def ends(self) -> Tokens:
        """All tokens that end an answer, the usual one first."""
        named = self.config.get("eos_token_id")
        others = named if isinstance(named, list) else [named]
        return tuple(dict.fromkeys([self.end, *(one for one in others if isinstance(one, int))]))

    @cached_property
    def answers(self) -> tuple[tuple[int, ...], ...]:
        """The tokens of each label, the end of the answer among them."""
        texts = [class_text(label) for label in self.labels or ()]
        return tuple((*one.ids, self.end) for one in self.tokens.encode(texts, special=False))

    def encode_prompts(self, texts: list[str | None]) -> list[list[int]]:
        """The tokens before the answer; a text that leaves no room for the longest answer is cut at its end.

        Of a conversation the beginning is cut off.
        """
        if self.writing is not None and self.writing.chat:
            room = self.tokens.longest - self.writing.most_tokens
            rendered = [self.chat.render(text) for text in texts]
            return [one.ids[-room:] for one in self.tokens.encode(rendered, special=False, keeps_end=True)]
        if self.writing is not None:
            separator = self.tokens.encode([self.writing.separator], special=False)[0].ids
            room = self.tokens.longest - self.writing.most_tokens - len(separator)
            return [one.ids[:room] + separator or [self.end] for one in self.tokens.encode(texts)]
        room = self.tokens.longest - max(map(len, self.answers), default=1)
        separator = self.tokens.encode([SEPARATOR], special=False)[0].ids
        return [one.ids[: room - len(separator)] + separator for one in self.tokens.encode(texts)]

    def count_cut(self, texts: list[str | None]) -> int:
        """How many of the texts are cut, because they and an answer are longer than the network can take."""
        if self.writing is None:
            return 0
        chat = self.writing.chat
        encoded = self.tokens.encode([self.chat.render(t) for t in texts] if chat else texts, special=not chat)
        separator = self.tokens.encode([self.writing.separator], special=False)[0].ids
        room = self.tokens.longest - self.writing.most_tokens - len(separator)
        return sum(len(one.ids) > room for one in encoded)

    def encode_answers(self, answers: Sequence[str]) -> list[list[int]]:
        """The tokens of free-text answers, the end of each among them."""
        return [[*one.ids, self.end] for one in self.tokens.encode(list(answers), special=False)]

    def fit_answers(self, prompts: Sequence[Sequence[int]], answers: Sequence[str]) -> list[list[int]]:
        """The same behind these prompts: cut where both are longer than the network can take."""
        longest = self.tokens.longest
        encoded = self.encode_answers(answers)
        return [one[: longest - len(prompt)] for prompt, one in zip(prompts, encoded, strict=True)]

    def to_json(self) -> str:
        """What the folder of a version holds beside weights and tokenizer."""
        labels = None if self.labels is None else list(self.labels)
        told = {"labels": labels, "part": self.part.value, "rank": self.rank, "packed": self.packed}
        return json.dumps(told if self.writing is None else told | {"writing": dataclasses.asdict(self.writing)})
