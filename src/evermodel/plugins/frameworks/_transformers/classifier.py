"""A classifier as it is kept: a pretrained network that stays, and beside it the small part that was trained."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evermodel.core.model.capabilities import TrainablePart
from evermodel.plugins.frameworks._transformers.classification_head import Head, copy_with_head, find_head
from evermodel.plugins.frameworks._transformers.input_readers import InputReader, make_reader
from evermodel.plugins.frameworks._transformers.low_rank import merge_adapter

USUAL_RANK = 8


@dataclass(frozen=True)
class Classifier:
    """``network``, built from both, is what answers. An update replaces ``trained``; the large ``pretrained`` network
    is changed by a training of all weights alone, and its files are shared by the versions that it did not change in.
    """

    config: Mapping[str, Any]  # of the pretrained network, as its config.json
    input_files: Mapping[str, bytes]  # by name, those that say how a text or a picture becomes tensors
    pretrained: Any  # a torch module, never changed
    files: tuple[Path, ...] = ()  # safetensors files that hold exactly its weights; () where none do
    files_are_kept: bool = False  # of a version, which nobody changes: the next version can share them
    trained: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # tensors of the adapter and of the head
    labels: tuple[Any, ...] | None = None  # in the order of the outputs; None: not known
    part: TrainablePart = TrainablePart.ADAPTER  # what a training changes
    rank: int = USUAL_RANK  # of the adapter

    @cached_property
    def network(self) -> Any:
        """The whole network with the adapter added to its weights: as large and as fast as the pretrained one."""
        if not self.trained:
            return self.pretrained
        return merge_adapter(copy_with_head(self.pretrained, self.trained), self.trained)

    @cached_property
    def head(self) -> Head:
        """Of ``network``; found once, because every answer asks for its width."""
        return find_head(self.network)

    @property
    def outputs(self) -> int:
        """How many numbers it gives for a row."""
        return int(self.head.output.out_features)

    @property
    def is_regression(self) -> bool:
        return self.outputs == 1

    @cached_property
    def reader(self) -> InputReader:
        """Makes tensors of rows. Raises BadModel where the files that say how cannot be read."""
        return make_reader(self.input_files, self.config)

    def full_config(self) -> dict[str, Any]:
        """The configuration of ``network``: of the pretrained one, with the head's own number and names of labels."""
        labels = self.labels or tuple(f"LABEL_{place}" for place in range(self.outputs))
        names = {str(place): _spell(label) for place, label in enumerate(labels)}
        found = {k: v for k, v in self.config.items() if k not in ("num_labels", "_num_labels")}
        return {**found, "id2label": names, "label2id": {name: int(place) for place, name in names.items()}}

    def to_json(self) -> str:
        """What the folder of a version holds beside weights and the files for inputs."""
        labels = None if self.labels is None else list(self.labels)
        return json.dumps({"labels": labels, "part": self.part.value, "rank": self.rank})


def _spell(label: Any) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
