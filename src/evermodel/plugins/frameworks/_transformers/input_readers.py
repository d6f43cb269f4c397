"""How rows become the tensors that a network takes: texts by a tokenizer, pictures by an image processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from evermodel.core.arrays import Array
from evermodel.core.errors import BadData, BadModel
from evermodel.plugins.frameworks._transformers.folder_check import PROCESSOR
from evermodel.plugins.frameworks._transformers.text_tokens import TextTokens, in_batches

InputKind = Literal["text", "image"]


class InputReader(Protocol):
    """Reads the only column of a frame. Rows are what ``read`` gives; a row is read alike alone and among others."""

    @property
    def kind(self) -> InputKind: ...
    @property
    def rows_at_once(self) -> int: ...  # in one forward pass

    def read(self, x: Any, /) -> Sequence[Any]: ...
    def measure(self, rows: Sequence[Any], /) -> list[int]: ...  # of each row, how long it is
    def split(self, rows: Sequence[Any], size: int, /) -> Iterator[Array]: ...  # positions, ``size`` at once
    def batch(self, rows: Sequence[Any], /) -> dict[str, Any]: ...  # tensors, by the names of the network's inputs
    def batch_varied(self, rows: Sequence[Any], random: np.random.Generator, /) -> dict[str, Any]: ...  # to train on
    def check_network(self, network: Any, /) -> None: ...  # raises BadModel where it cannot take what is read


def make_reader(files: Mapping[str, bytes], config: Mapping[str, Any]) -> InputReader:
    """By the files that came with the network. Raises BadModel where they are none that can be read."""
    if PROCESSOR in files:
        from evermodel.plugins.frameworks._transformers.image_reader import ImageReader

        return ImageReader(files, config)
    return TextReader(files, config)


class TextReader:
    """Texts as encodings of the tokenizer."""

    kind: InputKind = "text"
    rows_at_once = 64  # more gain nothing on a processor

    def __init__(self, files: Mapping[str, bytes], config: Mapping[str, Any]) -> None:
        self.tokens = TextTokens(files, config)

    def read(self, x: Any, /) -> Sequence[Any]:
        return self.tokens.encode(read_texts(x))

    def measure(self, rows: Sequence[Any], /) -> list[int]:
        return [len(one.ids) for one in rows]

    def split(self, rows: Sequence[Any], size: int, /) -> Iterator[Array]:
        return in_batches(rows, size)

    def batch(self, rows: Sequence[Any], /) -> dict[str, Any]:
        return self.tokens.batch(rows)

    def batch_varied(self, rows: Sequence[Any], random: np.random.Generator, /) -> dict[str, Any]:
        """As they are: another word could mean another label."""
        return self.tokens.batch(rows)

    def check_network(self, network: Any, /) -> None:
        if self.tokens.padding >= int(getattr(network.config, "vocab_size", None) or 1 << 60):
            raise BadModel("The padding token of the tokenizer is none that the network knows.")


def read_texts(x: Any) -> list[str | None]:
    """The texts of the frame's only column. Raises BadData for more columns."""
    if len(x.columns) != 1:
        raise BadData(f"The model reads one text; the rows have {len(x.columns)} columns: {', '.join(x.columns[:8])}.")
    return [None if text is None else str(text) for text in x.to_series().to_list()]
