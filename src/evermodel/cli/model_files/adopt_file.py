"""``evermodel update FILE ROWS``: a model file is adopted first, then updated by its name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import evermodel
from evermodel.core.errors import AskedWrongly, BadSetting

if TYPE_CHECKING:
    from evermodel.registry.results import AdoptResult

ADOPTING = (
    *("reference", "called", "target", "task", "time", "entity", "weight", "inputs", "drop", "slices"),
    *(
        "classes",
        "target_transform",
        "signature",
        "predictions",
        "transform",
        "trust",
        "object_path",
        "factory",
        "shuffled",
    ),
)


@contextmanager
def model_to_update(
    name: str, rows: str, registry: str | None, options: dict[str, Any]
) -> Iterator[tuple[str, Any, str | None, AdoptResult | None]]:
    """The model's name, the rows to update it with, its registry; a model file is adopted now, and what was settled.

    The options of adoption are taken out of ``options``: they belong to a file, and are refused with a name. A dry run
    adopts into a registry that is removed afterwards.
    """
    adopting = {option: options.pop(option) for option in ADOPTING}
    with tempfile.TemporaryDirectory(prefix="evermodel-") as scratch:
        if _is_model_file(name):
            into = scratch if options["dry_run"] else registry
            yield _adopt_file(Path(name), rows, registry, into, options["to"], adopting)
            return
        for option, value in adopting.items():
            if value and (option, value) != ("task", "auto"):
                flag = {"reference": "data", "called": "name", "object_path": "object"}.get(option, option)
                raise BadSetting(
                    f"--{flag} is for a model file. There is no file {name!r}, and a model by name does not take it.",
                    "Check the path; or leave the option out, if the model was adopted already.",
                )
        yield name, rows, registry, None


def _is_model_file(name: str) -> bool:
    """A file with a suffix, or a folder of transformers written as a path: ./intents, since intents may be a name."""
    at = Path(name)
    return (bool(at.suffix) and at.is_file()) or ("/" in name and (at / "config.json").is_file())


def _adopt_file(
    file: Path, rows: str, registry: str | None, into: str | None, to: str | None, options: dict[str, Any]
) -> tuple[str, Any, str | None, AdoptResult | None]:
    """Adopts a model file unless it was adopted before.

    Without reference rows the oldest of ``rows`` are used in place of the training rows, and the newer ones are
    returned. Raises BadSetting where the updated model could not be written to ``to``, before anything is adopted.
    """
    from evermodel.core.files import digest_source
    from evermodel.registry.adoption.model_file import find_framework
    from evermodel.registry.lookup import check_name, open_store
    from evermodel.registry.model_export import check_format, check_target
    from evermodel.registry.results import AdoptResult
    from evermodel.updating.first_update import split_reference_rows

    reference, called = options.pop("reference"), options.pop("called")
    if options["target"] is None:
        raise AskedWrongly("A model file needs --target: which column is the label?")
    name, store = check_name(called or file.stem), open_store(registry)
    if to is not None:
        check_target(Path(to))
    if store.resolve_alias(name, "champion") is not None:
        if store.list_cards(name)[0].source_digest == digest_source(file):
            return name, rows, registry, None
        raise AskedWrongly(
            f"There is a model {name!r} already, and it was not adopted from this file.",
            f"'evermodel update {name} DATA' updates it; --name keeps this one under another name.",
        )
    check_format(None if to is None else Path(to), find_framework(file))
    newer: Any = rows
    if reference is None:
        reference, newer = split_reference_rows(rows, options["time"])
        options["reference_is_stand_in"] = True
    adopted = evermodel.adopt(str(file), data=reference, name=name, registry=into, **options)
    return name, newer, into, adopted if isinstance(adopted, AdoptResult) else None
