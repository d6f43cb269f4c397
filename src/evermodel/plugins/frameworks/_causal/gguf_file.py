"""A language model as a GGUF file, by the package ``gguf``; transformers reads it back before it is handed on."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel, MissingExtra
from evermodel.plugins.frameworks._causal.language_model import LanguageModel
from evermodel.plugins.frameworks._transformers.folder_check import TOKENIZER
from evermodel.plugins.frameworks._transformers.network_files import read_network

ARCHITECTURE = "llama"
APART = 0.02  # of the probability of a token: what weights of 16 bits may move
CONTROL, NORMAL, UNUSED = 3, 1, 5  # kinds of tokens, as GGUF numbers them
MOSTLY_F16 = 1


def write_gguf(model: LanguageModel, to: Path, note: str) -> None:
    """Writes the file ``to``: matrices of 16 bits, vectors of 32.

    Raises BadModel for a network or a tokenizer that GGUF would not describe in full, and where what is read back
    answers otherwise.
    """
    try:
        import gguf
    except ImportError:
        raise MissingExtra.for_package("gguf", "transformers", "Writing a GGUF file") from None
    config, tokenizer = model.network.config, json.loads(model.tokenizer[TOKENIZER])
    _check_network(config)
    splitting = _name_splitting(tokenizer)
    writer = gguf.GGUFWriter(to, ARCHITECTURE)
    writer.add_description(note)  # first: what looks for the version reads the beginning alone
    _describe_network(writer, config)
    _describe_tokens(writer, tokenizer, model, splitting)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, values in _list_tensors(model.network):
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if known is None:
            raise BadModel(f"GGUF has no name for the weights {name}.", "Publish it with folder: or vllm:.")
        writer.add_tensor(known, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    _compare_with_file(model, to)


def _check_network(config: Any) -> None:
    rope = getattr(config, "rope_parameters", None) or {}
    reasons = {
        f"it is a {config.model_type}": config.model_type != ARCHITECTURE,
        "its layers add biases": bool(getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False)),
        f"its activation is {config.hidden_act}": config.hidden_act not in ("silu", "swish"),
        f"its positions are scaled ({rope.get('rope_type')})": rope.get("rope_type", "default") != "default",
    }
    for reason, holds in reasons.items():
        if holds:
            raise BadModel(
                f"This network cannot be written as GGUF: {reason}.", "Publish it with folder: or vllm: instead."
            )


def _name_splitting(tokenizer: Mapping[str, Any]) -> str:
    """The name that GGUF has for how the tokenizer splits a text. Raises BadModel where it has none."""
    before = tokenizer.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers", [before])
    kinds = [step.get("type") for step in steps]
    bytes_last = bool(steps) and steps[-1].get("use_regex", True) and not steps[-1].get("add_prefix_space", False)
    if tokenizer["model"].get("type") == "BPE" and not tokenizer.get("normalizer") and bytes_last:
        if kinds == ["ByteLevel"]:
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
            return "smollm"
    raise BadModel(
        "GGUF has no name for how this tokenizer splits a text: it would be read as another one.",
        "Publish it with folder: or vllm: instead.",
    )


def _describe_network(writer: Any, config: Any) -> None:
    rope = getattr(config, "rope_parameters", None) or {}
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10_000.0)))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(MOSTLY_F16)


def _describe_tokens(writer: Any, tokenizer: Mapping[str, Any], model: LanguageModel, splitting: str) -> None:
    size = int(model.network.config.vocab_size)
    added = {token["id"]: token for token in tokenizer.get("added_tokens", ())}
    known = {number: text for text, number in tokenizer["model"]["vocab"].items()}
    known |= {number: token["content"] for number, token in added.items()}
    merges = [one if isinstance(one, str) else " ".join(one) for one in tokenizer["model"]["merges"]]
    special = {number for number, token in added.items() if token.get("special")}
    kinds = [CONTROL if i in special else NORMAL if i in known else UNUSED for i in range(size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(splitting)
    writer.add_token_list([known.get(i, f"[PAD{i}]") for i in range(size)])
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(model.end)
    writer.add_pad_token_id(model.tokens.padding)
    begin = model.network.config.bos_token_id
    if isinstance(begin, int):
        writer.add_bos_token_id(begin)
    writer.add_add_bos_token(bool(model.tokens.encode([""])[0].ids))


def _list_tensors(network: Any) -> Iterator[tuple[str, Array]]:
    """Each weight by its name in the network; those of the queries and keys in the order in which GGUF turns them."""
    config = network.config
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    tied = bool(config.tie_word_embeddings)
    for name, tensor in network.state_dict().items():
        if (tied and name.startswith("lm_head.")) or name.endswith("inv_freq"):
            continue
        values = tensor.detach().float().numpy()
        layer = name.split(".")[-2]
        if layer in heads:
            split = values.reshape(heads[layer], 2, len(values) // heads[layer] // 2, *values.shape[1:])
            values = split.swapaxes(1, 2).reshape(values.shape)
        yield name, values if values.ndim == 1 else values.astype(np.float16)


def _compare_with_file(model: LanguageModel, file: Path) -> None:
    """Raises BadModel where the file's network, as transformers reads it, does not answer as ``model`` does."""
    import torch

    with contextlib.redirect_stderr(io.StringIO()):  # a bar of its own
        written = read_network(file.parent, "AutoModelForCausalLM", gguf_file=file.name)
    size = int(model.network.config.vocab_size)
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, size, (4, 12)))
    with torch.inference_mode():
        one, two = (network(input_ids=ids).logits.float().softmax(dim=-1) for network in (model.network, written))
    apart = float((one - two).abs().max())
    if not apart <= APART:
        raise BadModel(
            f"The GGUF file answers otherwise than the version: probabilities differ by up to {apart:.2g}.",
            "Its weights may not fit into 16 bits. Publish it with folder: or vllm: instead.",
        )
