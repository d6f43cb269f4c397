"""Uses a folder of a language model with transformers alone: how likely is each label as the answer to a text? Of a
model that answers with free text: how likely is each token as the first of its answer?
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(folder: str, rows: str, to: str) -> None:
    """Scores the labels, or the first tokens, for the texts of ``rows`` into ``to``; prints the widths of both."""
    import numpy as np
    import polars as pl
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="float32").eval()
    told = json.loads((Path(folder) / "answers.json").read_text())
    texts = pl.read_parquet(rows).to_series().to_list()
    found = []
    with torch.inference_mode():
        if "writing" in told:
            longest = network.config.max_position_embeddings
            for text in texts:
                prompt = _encode_prompt(tokenizer, text or "", told["writing"], longest) or [told["end"]]
                found.append(network(input_ids=torch.tensor([prompt])).logits[0, -1].log_softmax(dim=-1).tolist())
        else:
            found = _score_labels(tokenizer, network, told, texts)
    np.save(to, np.array(found, np.float32))
    sys.stdout.write(json.dumps({"inputs": [1], "outputs": [len(found[0]) if found else 0]}))


def _encode_prompt(tokenizer: Any, text: str, writing: dict[str, Any], longest: int) -> list[int]:
    if writing["chat"]:
        said = tokenizer.apply_chat_template(json.loads(text), tokenize=False, add_generation_prompt=True)
        return list(tokenizer(said, add_special_tokens=False)["input_ids"])[-(longest - writing["most_tokens"]) :]
    separator = tokenizer(writing["separator"], add_special_tokens=False)["input_ids"]
    room = min(longest, tokenizer.model_max_length) - writing["most_tokens"] - len(separator)
    return list(tokenizer(text)["input_ids"][:room] + separator)


def _score_labels(tokenizer: Any, network: Any, told: dict[str, Any], texts: list[str | None]) -> list[list[float]]:
    import torch

    spelled = [{True: "true", False: "false"}.get(x, str(x)) if isinstance(x, bool) else str(x) for x in told["labels"]]
    answers = [[*tokenizer(text, add_special_tokens=False)["input_ids"], told["end"]] for text in spelled]
    separator = tokenizer(told["separator"], add_special_tokens=False)["input_ids"]
    found = []
    for text in texts:
        prompt = tokenizer(text or "")["input_ids"] + separator
        scores = []
        for answer in answers:
            logs = network(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(dim=-1)
            scores.append(sum(float(logs[len(prompt) - 1 + i, token]) for i, token in enumerate(answer)))
        found.append(scores)
    return found


if __name__ == "__main__":
    main(*sys.argv[1:4])
