"""Multiple-choice tasks in the format of lm-evaluation-harness, read from files: questions, choices, the right one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evermodel.core.data.scan import collect, scan
from evermodel.core.errors import BadData, MissingExtra, NoData, NotFound
from evermodel.updating.verdicts.task_templates import fill_templates

MOST_BYTES = 1_000_000  # of a task file
MOST_INCLUDED = 8  # files that include each other
MOST_CHOICES = 1_000
LOADERS = ("json", "csv", "parquet", "arrow", "text")  # of datasets, which read files
CHANGING = (  # fields that change the questions or the score, and that are not understood here
    "process_docs",
    "process_results",
    "custom_dataset",
    "use_prompt",
    "gen_prefix",
    "doc_to_image",
    "doc_to_audio",
)


@dataclass(frozen=True)
class Question:
    """``right`` is the place of the right choice; each choice follows the context as it stands."""

    context: str
    choices: tuple[str, ...]
    right: int


@dataclass(frozen=True)
class ChoiceTask:
    """The questions of a task; ``delimiter`` stands between a context and a choice."""

    name: str
    questions: tuple[Question, ...]
    delimiter: str = " "


class _Code(str):
    """The name of a Python function in a task file, which is not run."""


def read_choice_task(path: str | Path, data: Any = None) -> ChoiceTask:
    """The task in a YAML file; ``data`` are its rows, where the file names none beside it.

    Nothing is downloaded and no code of the task is run. Raises NotFound, BadData, NoData, MissingExtra.
    """
    at = Path(path)
    told = _read_yaml(at)
    name = str(told.get("task") or at.stem)
    _refuse_others(at, told, name)
    rows = collect(scan(_find_rows(at, told) if data is None else data, nested=True)).to_dicts()
    if not rows:
        raise NoData(f"The task {name} has no rows.", "Give the rows of its test split.")
    filled = fill_templates(told, rows)
    questions = tuple(_build_question(one, number) for number, one in enumerate(filled, 1))
    return ChoiceTask(name, questions, str(told.get("target_delimiter", " ")))


def _read_yaml(at: Path, depth: int = 0) -> dict[str, Any]:
    """The fields of a task file, over those of the file that it includes."""
    try:
        import yaml
    except ImportError:
        raise MissingExtra.for_package("yaml", "transformers", "A task of lm-evaluation-harness") from None
    if not at.is_file():
        raise NotFound(f"There is no task file {at.name!r}.", "Give the path of a YAML file of lm-evaluation-harness.")
    if at.stat().st_size > MOST_BYTES:
        raise BadData(f"The task file {at.name} is larger than {MOST_BYTES / 1e6:g} MB: it is none.")
    safe: Any = type("TaskLoader", (yaml.SafeLoader,), {})
    safe.add_constructor("!function", lambda loader, node: _Code(loader.construct_scalar(node)))  # named, and not run
    try:
        told = safe(at.read_text()).get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise BadData(f"The task file {at.name} is no YAML that can be read ({said}).") from error
    if not isinstance(told, dict):
        raise BadData(f"The task file {at.name} holds no fields.", "A task has output_type, doc_to_text and so on.")
    base = told.pop("include", None)
    if base is None:
        return told
    beside = at.parent / str(base)
    if depth == MOST_INCLUDED or not beside.resolve().is_relative_to(at.parent.resolve()):
        raise BadData(
            f"The task file {at.name} includes {str(base)!r}, which is not beside it, or too many files in a row.",
            "Copy the included file into the folder of the task.",
        )
    return {**_read_yaml(beside, depth + 1), **told}


def _refuse_others(at: Path, told: Mapping[str, Any], name: str) -> None:
    """Refuses a task whose questions would be other ones here than in lm-evaluation-harness."""
    kind = told.get("output_type")
    if kind != "multiple_choice":
        raise BadData(
            f"The task {name} is of the kind {kind!r}; multiple_choice alone is judged.",
            "Adopt the model with --task text to judge answers that it writes.",
        )
    missing = [field for field in ("doc_to_text", "doc_to_choice", "doc_to_target") if told.get(field) is None]
    if missing:
        raise BadData(f"The task {name} does not say {', '.join(missing)}.", f"Look at {at.name}.")
    code = [field for field, value in told.items() if isinstance(value, _Code)]
    unknown = [field for field in CHANGING if told.get(field) is not None]
    if code or unknown:
        field = (code or unknown)[0]
        what = f"by code of its own ({field}: {told[field]})" if code else f"by the field {field}"
        raise BadData(
            f"The task {name} makes its questions {what}, which is not run.",
            "Prepare the rows with it, take that line out of the task file, and give the rows as DATA.",
        )
    if told.get("num_fewshot"):
        raise BadData(
            f"The task {name} shows {told['num_fewshot']} examples before each question, which is not supported.",
            "Set num_fewshot: 0, or write the examples into the field description.",
        )


def _find_rows(at: Path, told: Mapping[str, Any]) -> Path:
    """The file of the test split that the task names beside itself."""
    kind, files = told.get("dataset_path"), (told.get("dataset_kwargs") or {})
    files = files.get("data_files") if isinstance(files, Mapping) else None
    split = told.get("test_split") or told.get("validation_split") or "test"
    chosen = files.get(split) if isinstance(files, Mapping) else files
    if kind not in LOADERS or not isinstance(chosen, str):
        raise NoData(
            f"The task {at.name} takes its rows from {kind!r}, and nothing is downloaded.",
            "Give the rows of its test split as DATA.",
        )
    found = at.parent / chosen
    if not found.resolve().is_relative_to(at.parent.resolve()):
        raise BadData(f"The task {at.name} names rows outside of its folder: {chosen!r}.", "Give them as DATA.")
    if not found.exists():
        raise NotFound(f"The task {at.name} names the rows {chosen!r}, which are not there.", "Give them as DATA.")
    return found


def _build_question(filled: Mapping[str, Any], number: int) -> Question:
    choices, text = filled["doc_to_choice"], filled["doc_to_text"]
    if not isinstance(choices, Sequence) or isinstance(choices, str) or not 2 <= len(choices) <= MOST_CHOICES:
        raise BadData(f"Row {number} of the task has no list of at least two choices. Got {str(choices)[:80]!r}.")
    texts = tuple(str(choice) for choice in choices)
    if not isinstance(text, str) or text.isdigit():
        raise BadData(
            f"Row {number} of the task has the choices before one and the same ending (doc_to_text {text!r}), which is "
            "not supported.",
            "Write the question into doc_to_text and the endings into doc_to_choice.",
        )
    return Question(
        str(filled.get("description") or "") + text, texts, _find_right(filled["doc_to_target"], texts, number)
    )


def _find_right(target: Any, choices: Sequence[str], number: int) -> int:
    """The place of the right choice, named by it or by its text."""
    if isinstance(target, str) and target.isdigit() and target not in choices:
        target = int(target)
    if isinstance(target, str) and target in choices:
        return choices.index(target)
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(choices):
        return target
    raise BadData(
        f"The right answer of row {number} of the task is none of its {len(choices)} choices: {str(target)[:80]!r}.",
        "doc_to_target is the place of the right choice, counted from 0, or its text.",
    )
