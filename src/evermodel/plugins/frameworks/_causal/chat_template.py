"""Conversations become one text by the chat template that comes with a tokenizer.

A template is a Jinja text. It is filled in Jinja's own sandbox, as transformers does: it sees the messages, and reaches
neither files nor Python.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from evermodel.core.data.chat_columns import is_conversation
from evermodel.core.errors import BadData, BadModel

FILE = "chat_template.jinja"
logger = logging.getLogger(__name__)
PROBE = "ANSWER"


class ChatTemplate:
    """The chat template among a tokenizer's files. Raises BadModel where there is none."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        told = json.loads(files.get("tokenizer_config.json", b"{}") or b"{}")
        template = files[FILE].decode() if FILE in files else _choose_template(told.get("chat_template"))
        if not template:
            raise BadModel(
                "The rows are conversations, and the model has no chat template that puts them in form.",
                f"Put {FILE} beside its tokenizer.json, or give rows of a prompt and an answer.",
            )
        self._tokenizer = _build_tokenizer(files, told, template)

    def render(self, conversation: str | None) -> str:
        """A conversation, as JSON text, up to where its next answer begins. Raises BadData."""
        return self._fill(read_conversation(conversation), opens_answer=True)

    def find_end(self) -> str:
        """What the template writes behind an answer."""
        messages = [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": PROBE}]
        return self._fill(messages, opens_answer=False).rpartition(PROBE)[2]

    def _fill(self, messages: Sequence[Mapping[str, str]], *, opens_answer: bool) -> str:
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    [dict(m) for m in messages], tokenize=False, add_generation_prompt=opens_answer
                )
            )
        except Exception as error:  # a template may refuse in any way
            logger.info("A chat template could not be filled.", exc_info=True)
            said = " ".join(str(error).split())[:150]
            raise BadData(f"The model's chat template does not take a conversation ({said}).") from error


def read_conversation(text: str | None) -> list[dict[str, str]]:
    """The messages of a conversation's JSON text. Raises BadData for any other text."""
    try:
        found = json.loads(text or "")
    except ValueError:
        found = None
    if not is_conversation(found):
        shown = repr((text or "")[:60])
        raise BadData(
            f"A conversation must be a list of messages, each with a role and a content. Got {shown}.",
            'Such as [{"role": "user", "content": "Hello"}].',
        )
    return list(found)


def _choose_template(told: Any) -> str:
    """The template that tokenizer_config.json holds; of several by name the one called default."""
    if isinstance(told, list):
        named = {one.get("name"): one.get("template") for one in told if isinstance(one, dict)}
        told = named.get("default")
    return told if isinstance(told, str) else ""


def _build_tokenizer(files: Mapping[str, bytes], told: Mapping[str, Any], template: str) -> Any:
    from tokenizers import Tokenizer

    from evermodel.plugins.frameworks._transformers.network_files import import_transformers

    named = {}
    for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
        token = told.get(name)
        content = token.get("content") if isinstance(token, Mapping) else token
        if isinstance(content, str):
            named[name] = content
    whole = Tokenizer.from_str(files["tokenizer.json"].decode())
    return import_transformers().PreTrainedTokenizerFast(tokenizer_object=whole, chat_template=template, **named)
