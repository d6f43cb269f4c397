"""``evermodel fuse --files``: the weights of model folders are merged into a new folder."""

from __future__ import annotations

from typing import Any

import click

import evermodel
from evermodel.cli.output import print_result
from evermodel.core.errors import AskedWrongly, BadSetting

OF_FILES = ("to", "base", "weights")
OF_VERSIONS = ("data", "latency", "metric", "margin", "policy", "gates", "accept")


def parse_numbers(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    """0.3,0.7 as numbers. Raises BadSetting."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadSetting(f"--{parameter.name} must be numbers with commas between. Got {text!r}.") from None


def merge_given_files(models: tuple[str, ...], registry: str | None, options: dict[str, Any], *, as_json: bool) -> bool:
    """Merges the folders ``models`` where --files is among the options; False where it is not.

    The options that belong to files alone are taken out of ``options``. Raises BadSetting for an option of the other
    kind.
    """
    if not options.pop("files"):
        for option in OF_FILES:
            if options.pop(option) is not None:
                raise BadSetting(f"--{option} is for --files; versions of a model are fused in its registry.")
        return False
    wrong = [option for option in OF_VERSIONS if options[option]]
    if wrong or registry is not None:
        option = wrong[0] if wrong else "registry"
        raise BadSetting(
            f"--{option.removesuffix('s')} is for versions of a model; --files merges files.", "Leave it out."
        )
    if options["to"] is None:
        raise AskedWrongly("--files needs --to: the folder to write.", "Name a folder that is not there yet.")
    method = "linear" if options["fuser"] == "auto" else options["fuser"]
    result = evermodel.merge_files(
        models,
        to=options["to"],
        method=method,
        weights=options["weights"],
        base=options["base"],
        settings=options["settings"],
        seed=options["seed"],
    )
    print_result(result, as_json)
    return True
