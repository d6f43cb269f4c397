"""Uses a folder of a language model with transformers alone: how likely is each label as the answer to a text?"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(folder: str, rows: str, to: str) -> None:
    """Scores the labels for the texts of ``rows`` into ``to``; prints the widths of input and output."""
    import numpy as np
    import polars as pl
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="float32").eval()
    told = json.loads((Path(folder) / "answers.json").read_text())
    spelled = [{True: "true", False: "false"}.get(x, str(x)) if isinstance(x, bool) else str(x) for x in told["labels"]]
    answers = [[*tokenizer(text, add_special_tokens=False)["input_ids"], told["end"]] for text in spelled]
    separator = tokenizer(told["separator"], add_special_tokens=False)["input_ids"]
    found = []
    with torch.inference_mode():
        for text in pl.read_parquet(rows).to_series().to_list():
            prompt = tokenizer(text or "")["input_ids"] + separator
            scores = []
            for answer in answers:
                logs = network(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(dim=-1)
                scores.append(sum(float(logs[len(prompt) - 1 + i, token]) for i, token in enumerate(answer)))
            found.append(scores)
    np.save(to, np.array(found, np.float32))
    sys.stdout.write(json.dumps({"inputs": [1], "outputs": [len(answers)]}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
