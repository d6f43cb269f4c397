"""Multiple-choice tasks in the format of lm-evaluation-harness, judged in pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import evermodel as em
from evermodel.core.errors import AskedWrongly, BadData, BadSetting, NoData, NotFound
from evermodel.core.records.verdict import JudgedRows
from evermodel.updating.verdicts import task_templates
from evermodel.updating.verdicts.task_file import read_choice_task
from tests.cli.ground import make_ground, rows
from tests.frameworks.tiny_language_model import LABELS, make_language_model
from tests.frameworks.tiny_text_model import make_rows

pytest.importorskip("transformers", reason='needs pip install ".[transformers]"')
TASK = """
task: wishes
dataset_path: json
dataset_kwargs:
  data_files: {test: wishes.jsonl}
output_type: multiple_choice
test_split: test
doc_to_text: "{{text}}"
doc_to_choice: "{{choices.text}}"
doc_to_target: "{{choices.label.index(answer)}}"
target_delimiter: "\\n"
metric_list: [{metric: acc}, {metric: acc_norm}]
"""


def write_task(folder: Path, text: str = TASK, n: int = 80, seed: int = 5) -> Path:
    """The task and its rows; the letter of the right choice is another one from row to row."""
    wishes = make_rows(LABELS, n, seed)
    lines = []
    for i, (words, intent) in enumerate(wishes.select("text", "intent").iter_rows()):
        texts = ["now", *LABELS][i % 2 :]  # three choices, or two
        answer = "abc"[texts.index(intent)]
        lines.append(json.dumps({"text": words, "choices": {"text": texts, "label": list("abc")}, "answer": answer}))
    (folder / "wishes.jsonl").write_text("\n".join(lines))
    (folder / "wishes.yaml").write_text(text)
    return folder / "wishes.yaml"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1 has learnt nothing, v2 has learnt the labels."""
    folder = tmp_path_factory.mktemp("choices")
    model = make_language_model(folder / "model", trained_on=("pay",))
    em.adopt(model, data=make_rows(LABELS, 60, 1), target="intent", name="m", registry=folder / "registry")
    settings = {"epochs": 4, "learning_rate": 0.02}
    done = em.update(
        "m",
        make_rows(LABELS, 200, 2),
        strategy="lora",
        settings=settings,
        registry=folder / "registry",
        policy="refresh",
    )
    assert done.decision == "promote"
    return folder / "registry"


def test_the_questions_of_a_task_judge_two_versions(registry: Path, tmp_path: Path) -> None:
    result = em.judge("m", "v1", lm_task=write_task(tmp_path), registry=registry)
    new, by_length = result.scores["new"], result.scores["by_length"]
    assert result.decision == "reject" and new["accuracy"].n == 80
    assert new["accuracy"].champion > 0.9 > new["accuracy"].challenger
    assert set(new) == {"log_loss", "accuracy"} and set(by_length) == {"accuracy"}
    assert result.graded[0].rows is JudgedRows.TASK
    told = str(result)
    assert "on 80 questions of the task" in told and "acc_norm" in told and "new rows" not in told
    again = em.open(registry)["m"].judge("v1", tmp_path / "wishes.jsonl", lm_task=tmp_path / "wishes.yaml")
    assert again.scores["new"]["log_loss"] == new["log_loss"]


def test_choices_are_as_likely_as_transformers_alone_finds_them(registry: Path, tmp_path: Path) -> None:
    import torch

    model = em.open(registry)["m"].version("v2").load()
    from evermodel.plugins.frameworks import language_models as plugin
    from evermodel.registry.lookup import open_store
    from evermodel.registry.versions import load_version

    store = open_store(registry)
    kept = load_version(store, store.read_card("m", "v2")).obj
    task = read_choice_task(write_task(tmp_path, n=6))
    contexts = [*(q.context for q in task.questions), "a context that ends with a space ", ""]
    choices = [*([f"\n{c}" for c in q.choices] for q in task.questions), ["pay", "cook now"], ["pay", "now"]]
    found = plugin.score_choices(kept, contexts, choices)
    for context, some, logs in zip(contexts, choices, found, strict=True):
        for choice, log in zip(some, logs, strict=True):
            whole = kept.tokens.encode_whole([context + choice])[0]
            known = len(kept.tokens.encode_whole([context.rstrip()])[0])
            ids = whole if known else [kept.end, *whole]
            with torch.inference_mode():
                each = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(dim=-1)
            first = max(known, 1)
            expected = sum(float(each[at - 1, ids[at]]) for at in range(first, len(ids)))
            assert log == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("fields", "choices", "right"),
    [
        ('doc_to_choice: ["no", "yes"]\ndoc_to_target: label', ("no", "yes"), 1),
        ("doc_to_choice: options\ndoc_to_target: best", ("red", "green", "blue"), 2),
        ('doc_to_choice: "{{[options[0], best]}}"\ndoc_to_target: 1', ("red", "blue"), 1),
        ('doc_to_choice: {a: "A", b: "B"}\ndoc_to_target: "{{label}}"', ("A", "B"), 1),
    ],
)
def test_choices_and_answers_are_read_as_the_harness_reads_them(
    fields: str, choices: tuple[str, ...], right: int, tmp_path: Path
) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps({"q": "which?", "label": 1, "options": ["red", "green", "blue"], "best": "blue"}))
    base = 'output_type: multiple_choice\ndescription: "Say.\\n"\ntarget_delimiter: ""\n'
    (tmp_path / "base.yaml").write_text(base)
    (tmp_path / "task.yaml").write_text(f'include: base.yaml\ntask: t\ndoc_to_text: "{{{{q}}}}\\nAnswer:"\n{fields}\n')
    task = read_choice_task(tmp_path / "task.yaml", data)
    assert (task.name, task.delimiter) == ("t", "")
    assert task.questions[0].context == "Say.\nwhich?\nAnswer:"
    assert (task.questions[0].choices, task.questions[0].right) == (choices, right)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (("multiple_choice", "generate_until"), BadData, "multiple_choice alone"),
        (("dataset_path: json", "dataset_path: allenai/sciq"), NoData, "nothing is downloaded"),
        (("wishes.jsonl", "../wishes.jsonl"), BadData, "outside of its folder"),
        (("wishes.jsonl", "others.jsonl"), NotFound, "are not there"),
        (('"{{text}}"', "!function os.system"), BadData, "is not run"),
        (("task: wishes", "process_docs: !function utils.process"), BadData, "process_docs: utils.process"),
        (("task: wishes", "num_fewshot: 5"), BadData, "5 examples before each question"),
        (('"{{text}}"', '"{{missing}}"'), BadData, "row 1 .*missing"),
        (('"{{text}}"', "\"{{ ''.__class__.__mro__ }}\""), BadData, "SecurityError"),
        (('"{{text}}"', "\"{{ 'a' * 10000000000 }}\""), BadData, "row 1|more memory"),
        (('"{{choices.text}}"', "text"), BadData, "no list of at least two choices"),
        (('"{{choices.label.index(answer)}}"', "7"), BadData, "is none of its"),
        (("task: wishes", "include: ../other.yaml"), BadData, "not beside it"),
        (("task: wishes", "include: wishes.yaml"), BadData, "too many files"),
        (("task: wishes", "task: [wishes"), BadData, "no YAML"),
        (("task: wishes", "gen_prefix: So"), BadData, "gen_prefix"),
    ],
)
def test_tasks_that_would_mean_something_else_are_refused(
    change: tuple[str, str], error: type[Exception], told: str, tmp_path: Path
) -> None:
    path = write_task(tmp_path, TASK.replace(*change), n=4)
    with pytest.raises(error, match=told):
        read_choice_task(path)


def test_a_template_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_templates, "SECONDS", 1)
    loops = "".join(f"{{% for a{i} in range(99999) %}}" for i in range(3)) + "{% endfor %}" * 3
    path = write_task(tmp_path, TASK.replace('"{{text}}"', f'"{loops}"'), n=4)
    with pytest.raises(BadData, match="takes more than"):
        read_choice_task(path)


def test_what_cannot_be_judged_by_a_task_says_so(registry: Path, tmp_path: Path) -> None:
    path = write_task(tmp_path, n=4)
    with pytest.raises(BadSetting, match="log_loss or accuracy"):
        em.judge("m", "v1", lm_task=path, metric="f1", registry=registry)
    with pytest.raises(NotFound, match="no task file"):
        em.judge("m", "v1", lm_task=tmp_path / "none.yaml", registry=registry)
    ground = make_ground(tmp_path / "trees")
    made = em.update("m", rows(400, 3), strategy="recalibrate", registry=ground.registry)
    other = "v1" if made.in_service != "v1" else made.challenger
    with pytest.raises(AskedWrongly, match="is for language models"):
        em.judge("m", other, lm_task=path, registry=ground.registry)


def test_the_places_of_the_choices_do_not_decide(registry: Path, tmp_path: Path) -> None:
    """A task whose right choice is always the last has events enough: its places mean nothing."""
    wishes = make_rows(LABELS, 60, 9)
    other = {LABELS[0]: LABELS[1], LABELS[1]: LABELS[0]}
    lines = [json.dumps({"text": t, "choices": [other[i], i]}) for t, i in wishes.select("text", "intent").iter_rows()]
    (tmp_path / "last.jsonl").write_text("\n".join(lines))
    text = TASK.replace("wishes.jsonl", "last.jsonl").replace('"{{choices.text}}"', "choices")
    (tmp_path / "last.yaml").write_text(text.replace('"{{choices.label.index(answer)}}"', "1"))
    result = em.judge("m", "v1", lm_task=tmp_path / "last.yaml", registry=registry)
    assert not any("outside of the commonest" in reason for reason in result.reasons)
    assert np.isfinite(result.scores["new"]["log_loss"].difference)
