"""Texts become token ids by the tokenizer of the folder, in batches of texts of like length."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, MissingExtra

logger = logging.getLogger(__name__)
UNLIMITED = 1_000_000  # tokenizers without a limit of their own name an astronomical one
# Tokens that transformers never splits, whatever tokenizer.json says of them.
SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
OFFSET = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer")  # count positions from behind the padding


class TextTokens:
    """Token ids, cut to what the network can take. A missing text is an empty one."""

    def __init__(self, files: Mapping[str, bytes], config: Mapping[str, Any]) -> None:
        """Raises BadModel where the tokenizer cannot be read, or has ids that the network has no embedding for."""
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise MissingExtra.for_package("tokenizers", "transformers", "A text classifier") from None
        try:
            self._tokenizer = Tokenizer.from_str(files["tokenizer.json"].decode())
        except Exception as error:  # the library raises a bare Exception
            logger.info("tokenizer.json could not be read.", exc_info=True)
            said = " ".join(str(error).split())[:150]
            raise BadModel(f"tokenizer.json cannot be read: {said}.", "Copy the tokenizer's files again.") from error
        size, known = self._tokenizer.get_vocab_size(with_added_tokens=True), config.get("vocab_size")
        if isinstance(known, int) and size > known:
            raise BadModel(
                f"The tokenizer knows {size:,} tokens and the network {known:,}: it belongs to another model.",
                "Put the tokenizer's files of this model into the folder.",
            )
        told = json.loads(files.get("tokenizer_config.json", b"{}") or b"{}")
        self.longest = _longest(told, config)
        self.padding = int(config.get("pad_token_id") or _padding_id(self._tokenizer, told) or 0)
        named = [text for text in map(_spell_token, map(told.get, SPECIAL)) if text]
        self._tokenizer.add_special_tokens([text for text in named if self._tokenizer.token_to_id(text) is not None])
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=self.longest)

    def encode(self, texts: Sequence[str | None], *, special: bool = True, keeps_end: bool = False) -> list[Any]:
        """One encoding a text: ``ids`` and ``type_ids``. The same text always gives the same ids.

        ``special``: with the tokens that the tokenizer puts around a text, such as one for its beginning.
        ``keeps_end``: a text that is too long loses its beginning.
        """
        if keeps_end:
            self._tokenizer.enable_truncation(max_length=self.longest, direction="left")
        try:
            return list(self._tokenizer.encode_batch([text or "" for text in texts], add_special_tokens=special))
        finally:
            if keeps_end:
                self._tokenizer.enable_truncation(max_length=self.longest)

    def encode_whole(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of texts of any length, with the tokens that the tokenizer puts around a text."""
        self._tokenizer.no_truncation()
        try:
            return [list(one.ids) for one in self._tokenizer.encode_batch(list(texts))]
        finally:
            self._tokenizer.enable_truncation(max_length=self.longest)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, without those that are no text."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def is_special(self, token: int) -> bool:
        """Whether it is a token of the tokenizer's own, such as the end of an answer, and no text."""
        added = self._tokenizer.get_added_tokens_decoder().get(token)
        return added is not None and bool(added.special)

    def batch(self, encoded: Sequence[Any]) -> dict[str, Any]:
        """``input_ids``, ``attention_mask`` and ``token_type_ids`` (n, longest of them) as the network takes them."""
        import torch

        width = max(1, max(len(one.ids) for one in encoded))
        ids = np.full((len(encoded), width), self.padding, np.int64)
        mask, kinds = np.zeros_like(ids), np.zeros_like(ids)
        for row, one in enumerate(encoded):
            length = len(one.ids)
            ids[row, :length], mask[row, : max(1, length)], kinds[row, :length] = one.ids, 1, one.type_ids
        named = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
        return {name: torch.from_numpy(values) for name, values in named.items()}


def in_batches(encoded: Sequence[Any], size: int) -> Iterator[Array]:
    """Positions of texts of like length, ``size`` at once: little is spent on padding."""
    order = np.argsort([len(one.ids) for one in encoded], kind="stable")
    for at in range(0, len(order), size):
        yield order[at : at + size]


def _longest(told: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """The number of tokens that the network has positions for, or fewer where the folder says so.

    What tokenizer.json says of it is left out of account, as transformers itself does.
    """
    limits = [int(told.get("model_max_length") or UNLIMITED)]
    positions = config.get("max_position_embeddings")
    if isinstance(positions, int) and positions > 0:
        offset = int(config.get("pad_token_id") or 1) + 1 if config.get("model_type") in OFFSET else 0
        limits.append(positions - offset)
    usable = [limit for limit in limits if 0 < limit < UNLIMITED]
    return min(usable) if usable else 512


def _spell_token(named: Any) -> str | None:
    """A token as tokenizer_config.json names it: a text, or an object with one."""
    token = named.get("content") if isinstance(named, Mapping) else named
    return None if token is None else str(token)


def _padding_id(tokenizer: Any, told: Mapping[str, Any]) -> int | None:
    token = _spell_token(told.get("pad_token"))
    found = None if token is None else tokenizer.token_to_id(token)
    return None if found is None else int(found)
