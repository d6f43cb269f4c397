"""Models that write texts behind the server: answered, logged, labelled, tried and learnt from."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import polars as pl
import pytest

import evermodel
from tests.frameworks.test_chat_rows import TEMPLATE, make_chats
from tests.frameworks.test_free_text import make_rows
from tests.frameworks.tiny_language_model import LABELS, make_language_model

pytest.importorskip("transformers", reason='needs pip install ".[transformers]"')
TRAINED = {"strategy": "lora", "settings": {"epochs": 8, "learning_rate": 0.01}, "refit": False}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1 writes what it was pretrained on, v2 has learnt the rows and serves."""
    at = tmp_path_factory.mktemp("writing")
    model = make_language_model(at / "words", trained_on=LABELS)
    told = {"target": "completion", "task": "text", "inputs": ["prompt"], "name": "m", "registry": at / "r"}
    evermodel.adopt(model, data=make_rows(80, 1), **told)
    assert evermodel.update("m", make_rows(240, 2), registry=at / "r", **TRAINED).decision == "promote"
    return at / "r"


def test_texts_are_asked_for_and_written(registry: Path) -> None:
    prompts = make_rows(6, 9)["prompt"].to_list()
    prompts[1] += " "  # a space at the end is a token of its own
    expected = evermodel.predict("m", pl.DataFrame({"prompt": prompts}), registry=registry)["prediction"].to_list()
    with (
        evermodel.serve("m", port=0, registry=registry, log="off") as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client,
    ):
        held = client.post("/invocations", json={"dataframe_records": [{"prompt": p} for p in prompts]}).json()
        assert held["predictions"] == expected and held["version"] == "v2"
        assert "probabilities" not in held and "classes" not in held
        tensor = {"name": "prompt", "shape": [6], "datatype": "BYTES", "data": prompts}
        held = client.post("/v2/models/m/infer", json={"inputs": [tensor]}).json()
        assert held["outputs"] == [{"name": "prediction", "datatype": "BYTES", "shape": [6], "data": expected}]
        about = client.get("/v2/models/m").json()
        assert about["outputs"] == [{"name": "prediction", "datatype": "BYTES", "shape": [-1]}]
        rows = [{"prompt": prompts[0]}, {"prompt": " "}, {"prompt": [1, 2]}, {"prompt": None}]
        held = client.post("/invocations", json={"dataframe_records": rows}).json()
        assert held["predictions"] == [expected[0], None, None, None]
        assert [row["row"] for row in held["refused"]] == [1, 2, 3]
        schema = client.get("/openapi.json").json()["paths"]["/invocations"]["post"]["requestBody"]["content"]
        assert "messages" not in json.dumps(schema) and '"array"' in json.dumps(schema)


def test_written_texts_are_logged_and_their_labels_are_learnt(registry: Path) -> None:
    rows = make_rows(60, 31)
    with (
        evermodel.serve("m", port=0, registry=registry, shadow=["m=v1"]) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client,
    ):
        ids, written = [], []
        for at in range(0, 60, 20):
            part = [{"prompt": p} for p in rows["prompt"][at : at + 20]]
            held = client.post("/invocations", json={"dataframe_records": part}).json()
            ids += [f"{held['prediction_id']}-{row}" for row in range(20)]
            written += held["predictions"]
        labels = [{"prediction_id": i, "completion": text} for i, text in zip(ids, rows["completion"], strict=True)]
        told = client.post("/models/m/feedback", json={"dataframe_records": labels}).json()
        assert told["joined"] == 60
    log = registry / "predictions" / "m"
    kept = pl.concat([pl.read_parquet(file) for file in (log / "rows").glob("*.parquet")])
    assert kept["prediction"].to_list() == written and kept["prompt"].to_list() == rows["prompt"].to_list()
    result = evermodel.release("m", "v1", registry=registry)
    assert (result.comparison.kind, result.comparison.pairs, result.outcome) == ("shadow", 60, "worse")
    assert result.comparison.champion_loss < 0.3 < result.comparison.loss
    watched = evermodel.watch("m", registry=registry)  # its prompts: labels of answers are passed over
    assert watched.status.counters["predictions"] == 60
    learnt = evermodel.update("m", log, registry=registry, **TRAINED)
    assert learnt.data.rows == 60


def test_a_conversation_is_a_list_of_messages(tmp_path: Path) -> None:
    folder = make_language_model(tmp_path / "chat", trained_on=LABELS, max_position_embeddings=128)
    told = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**told, "chat_template": TEMPLATE}))
    chats = make_chats(40, 1)
    (tmp_path / "chats.jsonl").write_text("\n".join(map(json.dumps, chats)))
    settings = {"target": "messages.answer", "task": "text", "inputs": ["messages"], "name": "c"}
    registry = tmp_path / "r"
    evermodel.adopt(folder, data=tmp_path / "chats.jsonl", registry=registry, **settings)
    expected = evermodel.predict("c", tmp_path / "chats.jsonl", registry=registry)["prediction"].to_list()
    with (
        evermodel.serve("c", port=0, registry=registry) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client,
    ):
        records = [{"messages": chat["messages"]} for chat in chats[:4]]  # their answers are not shown to the model
        held = client.post("/invocations", json={"dataframe_records": records}).json()
        assert held["predictions"] == expected[:4]
