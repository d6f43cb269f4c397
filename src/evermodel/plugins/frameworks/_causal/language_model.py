"""A causal language model as it is kept, and the texts that it may answer with."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evermodel.core.data.target_column import class_text
from evermodel.core.errors import BadModel
from evermodel.core.model.capabilities import TrainablePart
from evermodel.plugins.frameworks._transformers.low_rank import merge_adapter
from evermodel.plugins.frameworks._transformers.text_tokens import TextTokens

USUAL_RANK = 8
SEPARATOR = "\n"  # between a row's text and the answer


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

    @cached_property
    def network(self) -> Any:
        """The network with the adapter added to its weights: as large and as fast as the pretrained one."""
        if not self.trained:
            return self.pretrained
        return merge_adapter(copy.deepcopy(self.pretrained), self.trained)

    @cached_property
    def tokens(self) -> TextTokens:
        return TextTokens(self.tokenizer, self.config)

    @property
    def end(self) -> int:
        """The token that ends an answer. Raises BadModel where the folder names none."""
        named = self.config.get("eos_token_id")
        first = named[0] if isinstance(named, list) and named else named
        if not isinstance(first, int):
            raise BadModel("config.json names no eos_token_id, the token that ends an answer.", "Add it to the file.")
        return first

    @cached_property
    def answers(self) -> tuple[tuple[int, ...], ...]:
        """The tokens of each label, the end of the answer among them."""
        texts = [class_text(label) for label in self.labels or ()]
        return tuple((*one.ids, self.end) for one in self.tokens.encode(texts, special=False))

    def encode_prompts(self, texts: list[str | None]) -> list[list[int]]:
        """The tokens before the answer; a text that leaves no room for the longest answer is cut at its end."""
        room = self.tokens.longest - max(map(len, self.answers), default=1)
        separator = self.tokens.encode([SEPARATOR], special=False)[0].ids
        return [one.ids[: room - len(separator)] + separator for one in self.tokens.encode(texts)]

    def to_json(self) -> str:
        """What the folder of a version holds beside weights and tokenizer."""
        labels = None if self.labels is None else list(self.labels)
        return json.dumps({"labels": labels, "part": self.part.value, "rank": self.rank, "packed": self.packed})
