"""Conversations: read as a prompt and its answer, and put in form by the tokenizer's own chat template."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import evermodel
from evermodel.core.data.scan import collect, scan
from evermodel.core.errors import BadData, BadModel, BadSetting
from evermodel.plugins.frameworks import language_models as plugin
from evermodel.plugins.frameworks._causal.chat_template import ChatTemplate
from tests.cli.ground import ask
from tests.frameworks.test_free_text import make_rows
from tests.frameworks.tiny_language_model import END, LABELS, make_language_model

pytest.importorskip("transformers")
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}\n{{ m['content'] }}{% if m['role'] == 'assistant' %}[END]{% endif %}\n"
    "{% endfor %}{% if add_generation_prompt %}assistant\n{% endif %}"
)


def make_chats(n: int, seed: int) -> list[dict[str, Any]]:
    """Conversations of four messages; the last answer says two words of the last question."""
    found = []
    for row in make_rows(n, seed).iter_rows(named=True):
        first = [{"role": "user", "content": "pay"}, {"role": "assistant", "content": "pay"}]
        last = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
        found.append({"messages": [*first, *last], "domain": row["domain"]})
    return found


def write(rows: list[dict[str, Any]], to: Path) -> Path:
    to.write_text("\n".join(map(json.dumps, rows)))
    return to


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model with a chat template, which ends an answer with [END]; no test writes to it."""
    at = tmp_path_factory.mktemp("deployed") / "chat"
    make_language_model(at, trained_on=LABELS, max_position_embeddings=128)
    told = json.loads((at / "tokenizer_config.json").read_text())
    (at / "tokenizer_config.json").write_text(json.dumps({**told, "chat_template": TEMPLATE}))
    return at


def learn(folder: Path, texts: list[str], answers: list[str]) -> Any:
    return plugin.learn_answers(plugin.read_file(folder), pl.DataFrame({"messages": texts}), answers)[0]


def test_a_conversation_is_read_as_a_prompt_and_its_answer(tmp_path: Path) -> None:
    asked = {"messages": [{"role": "user", "content": "Who?"}]}
    frame = collect(scan(write([*make_chats(2, 1), asked], tmp_path / "rows.jsonl")))
    assert frame.columns == ["messages", "domain", "messages.answer"]
    first = json.loads(frame["messages"][0])
    assert [m["role"] for m in first] == ["user", "assistant", "user"]
    assert frame["messages.answer"][0] == make_chats(2, 1)[0]["messages"][-1]["content"]
    assert json.loads(frame["messages"][2]) == asked["messages"] and frame["messages.answer"][2] is None


def test_other_nested_columns_are_still_refused(tmp_path: Path) -> None:
    rows = [{"parts": [{"name": "a", "size": 1}], "y": 1}] * 3
    with pytest.raises(BadData, match="must hold one value a row"):
        scan(write(rows, tmp_path / "rows.jsonl"))


def test_only_the_last_answer_is_learnt_and_the_template_is_the_tokenizers_own(folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    frame = collect(scan(write(make_chats(6, 2), tmp_path / "rows.jsonl")))
    texts, answers = frame["messages"].to_list(), frame["messages.answer"].to_list()
    model = learn(folder, texts, answers)
    found = plugin.measure_answers(model, frame.select("messages"), answers)
    network, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for row, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        whole = [*json.loads(text), {"role": "assistant", "content": answer}]
        prompt = tokenizer.apply_chat_template(whole[:-1], tokenize=False, add_generation_prompt=True)
        ids, own = tokenizer(prompt)["input_ids"], [*tokenizer(answer)["input_ids"], END]
        labels = torch.tensor([[-100] * len(ids) + own])
        with torch.inference_mode():
            loss = float(network(input_ids=torch.tensor([ids + own]), labels=labels).loss)
        assert found[row] == pytest.approx([loss * len(own), len(own)], abs=1e-3)


def test_chat_rows_live_like_any_others(folder: Path, tmp_path: Path) -> None:
    write(make_chats(60, 1), tmp_path / "reference.jsonl")
    write(make_chats(160, 2), tmp_path / "new.jsonl")
    words = ["adopt", str(folder), "--data", str(tmp_path / "reference.jsonl"), "--inputs", "messages"]
    answer = ask([*words, "--target", "messages.answer", "--task", "text", "--name", "c"], tmp_path / "r")
    assert answer.code == 0 and "by the model's own chat template" in answer.out, answer.out + answer.err
    words = ["update", "c", str(tmp_path / "new.jsonl"), "--with", "lora", "--no-refit"]
    answer = ask([*words, "--set", "epochs=5", "--set", "learning_rate=0.01"], tmp_path / "r")
    assert answer.code == 0, answer.out + answer.err
    asked = [{"messages": row["messages"][:-1]} for row in make_chats(5, 3)]
    words = ["predict", "c", str(write(asked, tmp_path / "asked.jsonl")), "--to", str(tmp_path / "out.jsonl")]
    assert ask(words, tmp_path / "r").code == 0
    assert pl.read_ndjson(tmp_path / "out.jsonl")["prediction"].str.contains(" ").sum() >= 4
    answer = ask(["save", "c", "--to", str(tmp_path / "saved")], tmp_path / "r")
    assert answer.code == 0 and "loaded in a clean process" in answer.out, answer.out + answer.err


def test_a_model_without_a_template_refuses_conversations(folder: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    told = json.loads((own / "tokenizer_config.json").read_text())
    (own / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in told.items() if k != "chat_template"}))
    rows, names = write(make_chats(20, 1), tmp_path / "rows.jsonl"), {"inputs": ["messages"], "name": "m"}
    with pytest.raises(BadModel, match="has no chat template"):
        evermodel.adopt(own, data=rows, target="messages.answer", task="text", registry=tmp_path, **names)
    (own / "chat_template.jinja").write_text(TEMPLATE)  # where newer versions of transformers keep it
    done = evermodel.adopt(own, data=rows, target="messages.answer", task="text", registry=tmp_path, **names)
    assert isinstance(done, evermodel.AdoptResult) and done.task == "text"


def test_the_column_of_conversations_is_no_target(folder: Path, tmp_path: Path) -> None:
    rows = write(make_chats(20, 1), tmp_path / "rows.jsonl")
    with pytest.raises(BadSetting, match=r"Name messages as the input and messages\.answer as the target"):
        evermodel.adopt(folder, data=rows, target="messages", task="text", name="m", registry=tmp_path)


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("{{ raise_exception('no system message') }}", "does not take a conversation"),
        ("{{ messages.__class__.__mro__ }}", "does not take a conversation"),  # the sandbox hides Python
        ("{% for", "does not take a conversation"),
    ],
)
def test_a_template_that_cannot_be_filled_is_one_sentence(folder: Path, template: str, error: str) -> None:
    files = plugin.read_file(folder).tokenizer
    with pytest.raises(BadData, match=error):
        ChatTemplate({**files, "chat_template.jinja": template.encode()}).render('[{"role": "user", "content": "a"}]')


@pytest.mark.parametrize("text", ["hello", "[]", '[{"role": "user"}]', "{}", None, '[{"role": 1, "content": "a"}]'])
def test_what_is_no_conversation_is_refused(folder: Path, text: str | None) -> None:
    model = learn(folder, ['[{"role": "user", "content": "pay"}]'], ["pay"])
    with pytest.raises(BadData, match="must be a list of messages"):
        plugin.write_answers(model, pl.DataFrame({"messages": [text]}, schema={"messages": pl.String}))


def test_long_prompts_are_cut_and_counted(folder: Path) -> None:
    chats = [json.dumps([{"role": "user", "content": "pay " * n}]) for n in (1, 300)]
    model = learn(folder, chats[:1], ["pay"])
    x = pl.DataFrame({"messages": chats})
    assert plugin.count_cut(model, x) == 1
    short, long = model.encode_prompts(chats)
    assert len(long) == 128 - model.writing.most_tokens > len(short)
    assert long[-3:] == short[-3:]  # the question's end stays, where the answer begins
    assert len(plugin.write_answers(model, x)) == 2
