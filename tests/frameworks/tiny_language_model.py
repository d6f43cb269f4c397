"""A Llama of a few thousand weights that continues texts, made on the spot: no file is downloaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.frameworks.tiny_text_model import FILLERS, UNKNOWN, WORDS, make_rows

LABELS = ("pay", "cook")
END = 1


def make_tokenizer(to: Path) -> int:
    """Writes a tokenizer of whole words, and of letters for words that it does not know; returns its size."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    words = [*FILLERS, *(word for words in WORDS.values() for word in words), *(label for label in LABELS)]
    letters = [*"abcdefghijklmnopqrstuvwxyz", "\n", " "]
    vocabulary = ["[PAD]", "[END]", UNKNOWN, *dict.fromkeys([*words, *letters])]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=UNKNOWN))
    known = "|".join(sorted(dict.fromkeys(words), key=len, reverse=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(rf"\b(?:{known})\b|[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(to / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "eos_token": "[END]"}
    (to / "tokenizer_config.json").write_text(json.dumps({**told, "unk_token": UNKNOWN}))
    return len(vocabulary)


def make_language_model(to: Path, seed: int = 0, trained_on: Sequence[str] = (), **changes: Any) -> Path:
    """The folder of a small causal model, trained by PyTorch alone to answer texts of ``trained_on`` with their labels.

    Texts of all other intents it answers with "now": so it has read their words, as a pretrained model has.
    """
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaConfig, LlamaForCausalLM

    to.mkdir(parents=True, exist_ok=True)
    config = LlamaConfig(
        **{
            "vocab_size": make_tokenizer(to),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 48,
            "max_position_embeddings": 64,
            "pad_token_id": 0,
            "bos_token_id": None,
            "eos_token_id": END,
            "tie_word_embeddings": False,
            "initializer_range": 0.2,
            **changes,
        }
    )
    torch.manual_seed(seed)
    network = LlamaForCausalLM(config)
    if trained_on:
        tokenizer = Tokenizer.from_file(str(to / "tokenizer.json"))
        rows = make_rows(tuple(WORDS), 384, seed).iter_rows()
        whole = [f"{text}\n{label if label in trained_on else 'now'}" for text, label in rows]
        ids = [[*tokenizer.encode(text).ids, END] for text in whole]
        longest = max(map(len, ids))
        batch = torch.tensor([[0] * (longest - len(one)) + one for one in ids])
        mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in ids])
        answers = batch.clone()
        answers[:, :-2] = -100  # the label and the end
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
        for part in torch.arange(len(ids)).repeat(12).split(32):
            optimizer.zero_grad()
            network(input_ids=batch[part], attention_mask=mask[part], labels=answers[part]).loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
    network.save_pretrained(to)
    return to
