"""Words that text and lookup layers know: Keras keeps them in files of their own, here they go into the settings.

With its words in its settings a layer can be copied and built anew; Keras itself writes and reads them there as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evermodel.core.errors import BadModel

LOOKUPS = ("TextVectorization", "StringLookup", "IntegerLookup")
FILE = "vocabulary.txt"


def put_vocabularies(config: dict[str, Any], found: Mapping[str, str]) -> None:
    """Puts each layer's words, ``found`` by the path of its folder in the file, into its settings, in place.

    Raises BadModel for a layer whose words are in neither place, as in every ``.h5``.
    """
    for path, name, settings in _list_lookups(config, ""):
        if settings.get("vocabulary") is None:
            _put_words(name, settings, found.get(path))


def _list_lookups(config: dict[str, Any], path: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(folder in the file, class, settings) of each such layer; folders are called as Keras calls them."""
    found, used = list[tuple[str, str, dict[str, Any]]](), dict[str, int]()
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    for entry in layers if isinstance(layers, list) else ():
        name, settings = (entry.get("class_name"), entry.get("config")) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(settings, dict):  # Keras says what is wrong with it
            continue
        folder = _snake_case(name)
        count = used[folder] = used.get(folder, -1) + 1
        here = f"{path}layers/{folder}" + (f"_{count}" if count else "")
        if name in LOOKUPS:
            found.append((here, name, settings))
        elif "layers" in settings:
            found += _list_lookups(entry, f"{here}/")
    return found


def _put_words(name: str, settings: dict[str, Any], text: str | None) -> None:
    shown = settings.get("name", name)
    if text is None:
        raise BadModel(
            f"The words that {name} {shown!r} knows are not in the file.", "Save the model as .keras: it holds them."
        )
    if settings.get("output_mode") == "tf_idf":
        raise BadModel(
            f"{name} {shown!r} weighs words by tf-idf, and its weights are not in its settings.",
            "Set vocabulary and idf_weights when the layer is made, and save the model again.",
        )
    words: list[Any] = text.splitlines()
    while words and words[-1] == "":
        words.pop()
    if name == "IntegerLookup":
        try:
            words = [int(word) for word in words]
        except ValueError as error:
            raise BadModel(f"{name} {shown!r} knows a word that is no whole number ({error}).") from None
    settings["vocabulary"] = words
    settings.pop("vocabulary_size", None)


def lacks_vocabulary(model: Any) -> bool:
    """Whether a live network has a layer whose words are not in its settings: a copy of it would know none."""
    layers = (e for e in model._flatten_layers(include_self=False) if type(e).__name__ in LOOKUPS)
    return any(layer.get_config().get("vocabulary") is None for layer in layers)


def _snake_case(name: str) -> str:
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()
