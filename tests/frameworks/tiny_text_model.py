"""A BERT of a few thousand weights with a tokenizer of a few words, made on the spot: no file is downloaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

WORDS = {
    "pay": ("money", "bank", "bill", "card"),
    "cook": ("bread", "oven", "salt", "soup"),
    "fly": ("plane", "ticket", "airport", "seat"),
    "work": ("office", "desk", "boss", "mail"),
}
UNKNOWN = "[UNK]"
FILLERS = ("please", "the", "my", "a", "now", "where", "is", "can", "you")


def make_rows(intents: Sequence[str], n: int, seed: int = 0) -> pl.DataFrame:
    """``n`` texts of six words, two of which say the intent."""
    random = np.random.default_rng(seed)
    labels = [intents[i] for i in random.integers(0, len(intents), n)]
    texts = []
    for label in labels:
        words = [*random.choice(FILLERS, 4), *random.choice(WORDS[label], 2)]
        texts.append(" ".join(random.permutation(words)))
    return pl.DataFrame({"text": texts, "intent": labels})


def make_folder(to: Path, labels: Sequence[str] = ("pay", "cook"), seed: int = 0, train: bool = True) -> Path:
    """The folder of a small classifier, trained on ``make_rows`` by PyTorch alone."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *FILLERS, *(word for words in WORDS.values() for word in words)]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=24,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    torch.manual_seed(seed)
    network = BertForSequenceClassification(config)
    if train:
        rows = make_rows(labels, 256, seed)
        encoded = tokenizer.encode_batch(rows["text"].to_list())
        ids = torch.tensor([one.ids for one in encoded])
        target = torch.tensor([list(labels).index(label) for label in rows["intent"]])
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
        for _ in range(12):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(input_ids=ids).logits, target).backward()
            optimizer.step()
    network.save_pretrained(to)
    tokenizer.save(str(to / "tokenizer.json"))
    (to / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": 24,
                "pad_token": "[PAD]",
                "unk_token": "[UNK]",
                "cls_token": "[CLS]",
                "sep_token": "[SEP]",
            }
        )
    )
    return to
