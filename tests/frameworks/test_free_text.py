"""Language models that answer with a text of their own words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.data.table import Table
from evermodel.core.errors import Ambiguous, BadSetting
from evermodel.core.records.column_roles import Roles
from evermodel.plugins.frameworks import language_models as plugin
from evermodel.registry.lookup import open_store
from evermodel.registry.row_memory import RowMemory, remember_rows
from tests.cli.ground import ask
from tests.frameworks.tiny_language_model import LABELS, make_language_model
from tests.frameworks.tiny_text_model import FILLERS, WORDS

pytest.importorskip("transformers")
ROLES = Roles("completion")


def make_rows(n: int, seed: int, domains: tuple[str, ...] = ("pay", "cook", "fly")) -> pl.DataFrame:
    """Prompts of five words; the answer says two of them, the later one first."""
    random, rows = np.random.default_rng(seed), []
    for _ in range(n):
        domain = domains[random.integers(len(domains))]
        one, two = random.choice(WORDS[domain], 2, replace=False)
        first, second, third = random.choice(FILLERS, 3)
        prompt = f"{first} {one} {second} {two} {third}"
        rows.append({"prompt": prompt, "completion": f"{two} {one}", "domain": domain})
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that has read the words of all rows; no test writes to it."""
    return make_language_model(tmp_path_factory.mktemp("deployed") / "words", trained_on=LABELS)


@pytest.fixture(scope="module")
def registry(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with the model and two updates of it, the second of another domain."""
    at = tmp_path_factory.mktemp("registry")
    make_rows(80, 1).write_ndjson(at / "reference.jsonl")
    make_rows(240, 2).write_ndjson(at / "new.jsonl")
    words = ["adopt", str(folder), "--data", str(at / "reference.jsonl"), "--inputs", "prompt", "--name", "m"]
    words += ["--target", "completion", "--task", "text", "--slices", "domain"]
    answer = ask(words, at / "r")
    assert answer.code == 0, answer.out + answer.err
    assert "free text of at most 16 tokens" in answer.out and "token_loss" in answer.out
    words = ["update", "m", str(at / "new.jsonl"), "--with", "lora", "--set", "epochs=8"]
    answer = ask([*words, "--set", "learning_rate=0.01"], at / "r")
    assert answer.code == 0, answer.out + answer.err
    assert "loss of a token (nats) fell by" in answer.out and "F1 of words rose by" in answer.out
    return at / "r"


@pytest.fixture(scope="module")
def saved(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("saved")
    answer = ask(["save", "m", "--to", str(to)], registry)
    assert answer.code == 0 and "loaded in a clean process" in answer.out, answer.out + answer.err
    return to / "model"


def test_what_an_update_taught_is_answered(registry: Path) -> None:
    rows, model = make_rows(60, 7), evermodel.open(registry)["m"]
    predicted = model.predict(rows.select("prompt"))
    assert (predicted["prediction"] == rows["completion"]).mean() > 0.8
    scores = model.evaluate(rows).scores
    assert scores["exact_match"] == pytest.approx((predicted["prediction"] == rows["completion"]).mean())
    assert scores["perplexity"] == pytest.approx(np.exp(scores["token_loss"])) and scores["token_loss"] < 1.0
    before = model.version("v1").evaluate(rows).scores
    assert before["token_f1"] < 0.2 and before["token_loss"] > 3.0


def test_transformers_alone_writes_the_same_texts(registry: Path, saved: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = make_rows(20, 8)
    found = evermodel.open(registry)["m"].predict(rows.select("prompt"))["prediction"].to_list()
    network, tokenizer = AutoModelForCausalLM.from_pretrained(saved).eval(), AutoTokenizer.from_pretrained(saved)
    for prompt, text in zip(rows["prompt"], found, strict=True):
        ids = tokenizer(f"{prompt}\n", return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            out = network.generate(ids)  # as generation_config.json says
        assert tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True) == text


def test_the_judged_loss_is_what_transformers_says_of_the_answer(saved: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = make_rows(30, 9)
    model = plugin.read_file(saved)
    found = plugin.measure_answers(model, rows.select("prompt"), rows["completion"].to_list())
    network, tokenizer = AutoModelForCausalLM.from_pretrained(saved).eval(), AutoTokenizer.from_pretrained(saved)
    for row, (prompt, text) in enumerate(zip(rows["prompt"], rows["completion"], strict=True)):
        asked = tokenizer(f"{prompt}\n")["input_ids"]
        answer = [*tokenizer(text)["input_ids"], 1]
        labels = torch.tensor([[-100] * len(asked) + answer])
        with torch.inference_mode():
            loss = network(input_ids=torch.tensor([asked + answer]), labels=labels).loss
        assert found[row] == pytest.approx([float(loss) * len(answer), len(answer)], abs=1e-3)


def test_a_saved_folder_says_that_it_writes_text(saved: Path, tmp_path: Path) -> None:
    done = evermodel.adopt(
        saved, data=make_rows(40, 3), target="completion", inputs=["prompt"], name="again", registry=tmp_path
    )
    assert isinstance(done, evermodel.AdoptResult) and done.task == "text" and done.scores["token_f1"] > 0.8


def test_different_answers_may_be_labels_or_text(folder: Path, tmp_path: Path) -> None:
    rows = make_rows(60, 4).with_columns(completion=pl.format("{} {}", "completion", pl.int_range(pl.len())))
    with pytest.raises(Ambiguous, match="may be free text, or labels"):
        evermodel.adopt(folder, data=rows, target="completion", inputs=["prompt"], name="m", registry=tmp_path)
    rows.write_ndjson(tmp_path / "rows.jsonl")
    words = ["adopt", str(folder), "--data", str(tmp_path / "rows.jsonl"), "--target", "completion"]
    answer = ask([*words, "--inputs", "prompt", "--name", "m"], tmp_path / "r")
    assert answer.code == 2 and "--task text" in answer.err and "Traceback" not in answer.err


def test_a_model_that_writes_no_text_refuses_the_task(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    x = pl.DataFrame({"a": np.arange(40.0), "y": ["one", "two"] * 20})
    fitted = LogisticRegression().fit(x.select("a").to_numpy(), x["y"].to_list())
    with pytest.raises(BadSetting, match="does not answer with free text"):
        evermodel.adopt(fitted, data=x, target="y", task="text", name="m", registry=tmp_path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["explain", "m"], "not explained by columns"),
        (["watch", "m", "ROWS", "--suggest", "5", "--to", "out.csv"], "no probabilities by which rows could be chosen"),
        (["tune", "m", "ROWS"], "not tuned yet"),
        (["update", "m", "ROWS", "--with", "recalibrate"], "no probabilities to recalibrate"),
        (["update", "m", "ROWS", "--metric", "accuracy"], "no metric of a text model"),
    ],
)
def test_what_makes_no_sense_for_free_text_is_refused(
    registry: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    make_rows(60, 5).write_ndjson(tmp_path / "rows.jsonl")
    own = Path(shutil.copytree(registry, tmp_path / "r"))
    answer = ask([str(tmp_path / "rows.jsonl") if word == "ROWS" else word for word in words], own)
    assert answer.code == 2 and says in answer.err and "Traceback" not in answer.err, answer.out + answer.err


def test_its_prompts_are_watched_and_no_answer_is_written_for_them(folder: Path, tmp_path: Path) -> None:
    make_rows(800, 1, ("pay", "cook")).write_ndjson(tmp_path / "reference.jsonl")
    words = ["adopt", str(folder), "--data", str(tmp_path / "reference.jsonl"), "--inputs", "prompt", "--name", "m"]
    assert ask([*words, "--target", "completion", "--task", "text"], tmp_path / "r").code == 0
    make_rows(1500, 2, ("pay", "cook")).write_ndjson(tmp_path / "quiet.jsonl")
    answer = ask(["watch", "m", str(tmp_path / "quiet.jsonl")], tmp_path / "r")
    assert answer.code == 0 and "prompt.novelty" in answer.out, answer.out + answer.err
    assert "those answers that came with them and have labels; none was written" in answer.out
    other = make_rows(1000, 3, ("fly", "cook")).with_columns(prediction=pl.lit("no answer of ours"))
    other.write_ndjson(tmp_path / "other.jsonl")
    answer = ask(["watch", "m", str(tmp_path / "other.jsonl")], tmp_path / "r")
    assert answer.code == 20 and "of their words were never seen" in answer.out, answer.out + answer.err
    assert "next: evermodel evaluate m NEW_ROWS" in answer.out


def test_its_report_is_written_and_a_rollback_is_one_step(registry: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(registry, tmp_path / "r"))
    answer = ask(["report", "m", "--to", str(tmp_path / "report.html")], own)
    assert answer.code == 0, answer.out + answer.err
    assert "F1 of words" in (tmp_path / "report.html").read_text()
    answer = ask(["rollback", "m"], own)
    assert answer.code == 0 and "serves v1" in answer.out
    assert json.loads(ask(["show", "m", "--json"], own).out)


def test_a_batch_of_prompts_is_answered_as_each_alone(saved: Path) -> None:
    model, rows = plugin.read_file(saved), make_rows(12, 6).select("prompt")
    rows = pl.concat([rows, pl.DataFrame({"prompt": ["pay", "", None]}, schema={"prompt": pl.String})])
    whole = plugin.write_answers(model, rows)
    assert whole == [plugin.write_answers(model, rows[at : at + 1])[0] for at in range(len(rows))]


def asked_of(**told: Any) -> Any:
    return {"most_tokens": 16, "separator": "\n", "chat": False, **told}


@pytest.mark.parametrize("told", [[], {}, asked_of(most_tokens="16"), asked_of(more=1), asked_of(most_tokens=0)])
def test_a_folder_that_says_it_wrongly_is_refused(saved: Path, tmp_path: Path, told: Any) -> None:
    own = Path(shutil.copytree(saved, tmp_path / "own"))
    (own / "answers.json").write_text(json.dumps({"writing": told, "end": 1}))
    with pytest.raises(evermodel.EvermodelError, match=r"answers\.json"):
        plugin.read_file(own)


def test_a_forgotten_domain_stops_an_update(registry: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(registry, tmp_path / "r"))
    make_rows(330, 11, ("pay",)).write_ndjson(tmp_path / "pay.jsonl")
    words = ["update", "m", str(tmp_path / "pay.jsonl"), "--with", "lora", "--no-refit", "--policy", "refresh"]
    answer = ask([*words, "--set", "epochs=2", "--set", "learning_rate=0.01"], own)
    assert answer.code == 0, answer.out + answer.err
    fly = make_rows(120, 12, ("fly",)).with_columns(completion=pl.col("prompt").str.split(" ").list.get(1))
    fly.write_ndjson(tmp_path / "fly.jsonl")
    words = ["update", "m", str(tmp_path / "fly.jsonl"), "--with", "lora", "--no-refit", "--gate", "forgetting"]
    answer = ask([*words, "--set", "epochs=6", "--set", "learning_rate=0.02", "--set", "ratio=0"], own)
    assert answer.code == 11, answer.out + answer.err
    assert "The slice 'domain=pay' is harmed" in answer.out and "rows known before" in answer.out


def test_people_vote_on_two_versions(registry: Path, tmp_path: Path) -> None:
    make_rows(60, 13).write_ndjson(tmp_path / "rows.jsonl")
    pl.DataFrame({"prompt": range(30), "winner": ["v2"] * 24 + ["v1"] * 5 + ["tie"]}).write_csv(tmp_path / "votes.csv")
    words = ["judge", "m", "v1", str(tmp_path / "rows.jsonl"), "--votes", str(tmp_path / "votes.csv")]
    answer = ask(words, registry)
    assert answer.code == 11, answer.out + answer.err
    assert "People prefer the champion's answers beyond doubt: 24 votes for the champion, 5 for" in answer.out


def test_what_is_cut_and_what_the_rows_do_not_tell_is_said(registry: Path, tmp_path: Path) -> None:
    long = {"prompt": "pay " * 200, "completion": "pay " * 40, "domain": "pay"}
    pl.concat([make_rows(5, 14), pl.DataFrame([long])]).write_ndjson(tmp_path / "rows.jsonl")
    for words in (["evaluate", "m"], ["predict", "m"]):
        to = ["--to", str(tmp_path / "out.jsonl")] if words[0] == "predict" else []
        answer = ask([*words, str(tmp_path / "rows.jsonl"), *to], registry)
        assert answer.code == 0 and "1 of 6 prompts are longer than the model can read" in answer.out, answer.out
    assert "1 of 6 reference answers are longer" in ask(["evaluate", "m", str(tmp_path / "rows.jsonl")], registry).out
    shown = ask(["show", "m", "v1"], registry).out
    assert "the usual form; the rows do not tell" in shown or "shown by the reference rows" in shown


def test_many_different_answers_are_thinned_like_other_rows(tmp_path: Path) -> None:
    different = pl.format("{} {}", "completion", pl.int_range(pl.len()))
    rows = Table(make_rows(400, 15).with_columns(completion=different), ROLES)
    store = open_store(tmp_path)
    memory = remember_rows(store, RowMemory(), rows, np.zeros(len(rows), dtype=bool), "rows", most=100)
    assert memory.blocks[0].n_rows == 100  # each answer is not a class of its own, of which all rows would stay


def test_it_is_maintained_without_a_person(registry: Path, tmp_path: Path) -> None:
    from tests.maintenance.conftest import Place

    place = Place(Path(shutil.copytree(registry, tmp_path / "r")), tmp_path / "incoming")
    place.inbox.mkdir()
    make_rows(60, 20).write_csv(place.inbox / "0.csv")
    place.police(min_rows=50, every="1 day", promote="auto", max_latency=100.0)
    told = []
    for number in range(1, 5):
        make_rows(120, 20 + number).write_csv(place.inbox / f"{number}.csv")
        told.append(str(place.maintain(days=2)))
    whole = "\n".join(told)
    assert "scores token_f1" in whole and "promote" in whole, whole
    assert all(job.state == "done" for job in place.store.list_jobs("m") if job.state != "due"), whole
    assert "not updated" not in whole and "went back" not in whole, whole
