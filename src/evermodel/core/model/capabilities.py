"""Optional abilities of frameworks; those of pruners and fusers stand with their kinds in ``strategy.py``.

Ask for one with ``isinstance(model.framework, Combinable)``. A plugin has an ability when its module defines the
names given here; nothing is registered. Each protocol says
what its functions promise. ``obj`` is always an object of the plugin's own framework, and is never changed: functions
that replace, keep or remove something return a new object.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from evermodel.core.arrays import Array
from evermodel.core.model.channel_groups import Group
from evermodel.core.model.decision_tree import TreeEnsemble
from evermodel.core.model.search_space import Dimension
from evermodel.core.model.triton_model import TritonModel
from evermodel.core.model.user_code import UserCode
from evermodel.core.records.adoption_record import Inference
from evermodel.core.records.search_record import Values

if TYPE_CHECKING:
    from evermodel.core.model.transform import Feature


@runtime_checkable
class ObjectConversion(Protocol):
    """A live object of the user's becomes the plugin's own representation of it, once, when it is adopted."""

    def convert_object(self, obj: Any, /) -> Any: ...


def convert_object(framework: object, obj: Any) -> Any:
    """A live object in the representation that the framework's other functions work on; most need no conversion."""
    return framework.convert_object(obj) if isinstance(framework, ObjectConversion) else obj


@runtime_checkable
class UserCodeReading(Protocol):
    """Models that hold classes or functions of the user's own, taken from files that the user trusts by name.

    ``save`` keeps a copy of these files, ``load`` imports them from that copy: see core/model/user_code.py.
    """

    def read_with_code(
        self, path: Path, code: UserCode, /, *, trust: bool = False, factory: str | None = None
    ) -> Any: ...  # as read_file
    def convert_with_code(self, obj: Any, code: UserCode, /) -> Any: ...  # a live object, its classes from ``code``
    def find_user_code(self, obj: Any, /) -> UserCode | None: ...  # what the object needs; None: nothing


def find_user_code(framework: object, obj: Any) -> UserCode | None:
    """The user's own files that a model object needs; None where it needs none."""
    return framework.find_user_code(obj) if isinstance(framework, UserCodeReading) else None


@runtime_checkable
class LabelAnswers(Protocol):
    """Classifiers that answer labels by themselves, which need not be the likeliest class."""

    def predict_labels(self, obj: Any, x: Any, /) -> Array: ...  # (n,) of the signature's classes


@runtime_checkable
class SearchUnwrapping(Protocol):
    """A search over hyperparameters gives the fitted model that it predicts with; any other object is given back."""

    def unwrap_search(self, obj: Any, /) -> Any: ...


@runtime_checkable
class PreprocessingReading(Protocol):
    """A fitted preprocessing is loaded from a file or taken as it is, and written as features.

    Features have names, or without these are "0", "1", … by place, which the bool says. One that takes whole texts is
    no table of features. Raises BadModel for what transforms nothing, and for what no features express.
    """

    def load_preprocessing(self, source: Any, /, *, trust: bool = False) -> Any: ...
    def takes_texts(self, preprocessing: Any, /) -> bool: ...
    def read_preprocessing(self, preprocessing: Any, name: str, /) -> tuple[tuple[Feature, ...], bool]: ...


@runtime_checkable
class StepJoining(Protocol):
    """A vectorizer and a model that are kept apart become one model: each step is given what the one before gives."""

    def join_steps(self, steps: Sequence[Any], /) -> Any: ...


@runtime_checkable
class WeightFiles(Protocol):
    """Files that hold only the weights of a model can be written, besides files that hold the whole model."""

    WEIGHTS: tuple[str, ...]  # suffixes of such files: (".safetensors",)


@runtime_checkable
class PlainFiles(Protocol):
    """Files that the framework itself can use: a script shows how, and a saved file is proven by it.

    The script imports nothing of Evermodel and is run as SCRIPT FILE INPUT OUTPUT, with the folder of the user's own
    Python files at the end where the model needs them: see plugins/frameworks/_plain_files.
    """

    def plain_script(self) -> Path: ...
    def plain_input(self, obj: Any, x: Any, /) -> Any: ...  # x as the framework's own object takes it
    def plain_answers(self, obj: Any, x: Any, /) -> Array: ...  # what that object answers
    def plain_tensors(self, obj: Any, /) -> dict[str, list[int]]: ...  # shapes in a file of weights alone; else {}


@runtime_checkable
class PreprocessingFiles(Protocol):
    """The transform and the output of a ``Model`` can be put into its object, so that one file takes raw columns.

    ``columns`` are their names in order; numbers are floats, categories texts. The result answers probabilities in the
    contract's order, or values in the target's units. Raises BadModel where the transform cannot be expressed.
    """

    RAW_ROWS: tuple[str, ...]  # suffixes of such files

    def embed_preprocessing(self, obj: Any, transform: Any, output: Any, columns: Sequence[str], /) -> Any: ...


@runtime_checkable
class TrainingFiles(Protocol):
    """Some of the files of ``save`` are of use to a further training alone, and weigh nothing where a model serves."""

    TRAINING_FILES: tuple[str, ...]


@runtime_checkable
class WeightAccess(Protocol):
    """The parameters can be read and replaced: for shrink-and-perturb, and for averages along one lineage."""

    def get_weights(self, obj: Any, /) -> list[Array]: ...
    def replace_weights(self, obj: Any, weights: Sequence[Array], /) -> Any: ...  # same number and shapes


@runtime_checkable
class Widenable(Protocol):
    """More inputs or outputs can be added; rows that use none of the new ones are predicted exactly as before."""

    def widen(self, obj: Any, /, *, inputs: int, outputs: int) -> Any: ...


@runtime_checkable
class LabelNaming(Protocol):
    """Models that answer with the words of the labels themselves, such as language models: any labels can be named."""

    def name_labels(self, obj: Any, labels: Sequence[Any], /) -> Any: ...  # predict then has a column for each


@runtime_checkable
class TextEmbedding(Protocol):
    """Networks that turn a text into numbers before they answer: these (n, d), which rows near them share."""

    def embed_texts(self, obj: Any, texts: Sequence[str], /) -> Array: ...


@runtime_checkable
class TextWriting(Protocol):
    """Models that answer with a text of their own words, the likeliest word at each place, up to a bounded length.

    ``learn_answers`` learns from reference rows what they do not say themselves: that length, and how prompt and answer
    are put together. ``again``: an answer that the same object gave before may be remembered. ``exactly``: so many
    tokens, whatever they say, to measure the time that they take. ``score_choices``: of given endings of each context
    (choices,) the log probability of all tokens.
    """

    def learn_answers(self, obj: Any, x: Any, answers: Sequence[str], /) -> tuple[Any, tuple[Inference, ...]]: ...
    def write_answers(self, obj: Any, x: Any, /, *, again: bool = False, exactly: int | None = None) -> list[str]: ...
    def measure_answers(self, obj: Any, x: Any, answers: Sequence[str], /) -> Array: ...  # (n, 2): nats, tokens
    def score_choices(self, obj: Any, contexts: Sequence[str], choices: Sequence[Sequence[str]], /) -> list[Array]: ...
    def count_cut(self, obj: Any, x: Any, /) -> int: ...  # prompts that are longer than the model reads
    def count_long(self, obj: Any, answers: Sequence[str], /) -> int: ...  # answers longer than those that it writes


class TrainablePart(StrEnum):
    """What a training of a pretrained network changes."""

    ADAPTER = "adapter"  # small matrices beside its layers, and the head
    HEAD = "head"
    ALL = "all"


@runtime_checkable
class PartialTraining(Protocol):
    """Pretrained networks of which a training may change a part; ``fit`` then changes the part that was chosen."""

    def choose_trainable(self, obj: Any, part: TrainablePart, /, *, rank: int | None = None) -> Any: ...


@runtime_checkable
class InputFolding(Protocol):
    """Networks: a scale and an offset (d,) of the inputs go into the first layer. Raises BadModel where they cannot."""

    def fold_input(self, obj: Any, scale: Array, offset: Array, /) -> Any: ...  # predicts for scale * x + offset


@runtime_checkable
class OutputFolding(Protocol):
    """A factor and a shift (k,) of the scores go into the last layer. Raises BadModel where they cannot."""

    def fold_output(self, obj: Any, factor: float, shift: Array, /) -> Any: ...  # factor * score + shift


@runtime_checkable
class LeafRefittable(Protocol):
    """Boosters: the trees stay, and their leaf values are learned again on new rows."""

    def refit_leaves(self, obj: Any, x: Any, y: Array, /, *, decay: float) -> Any: ...  # decay: share of the old value


@runtime_checkable
class Combinable(Protocol):
    """Several objects of one kind become one whose raw output is their weighted mean."""

    def combine(self, objs: Sequence[Any], shares: Sequence[float], /) -> Any: ...


@runtime_checkable
class Separable(Protocol):
    """What ``combine`` put together last can be taken apart again; both functions give () for any other object.

    ``predict_parts`` gives each part's margins: (n,) log odds or values, (n, k) scores before a softmax; () where the
    output is computed otherwise. ``split_parts`` gives the parts themselves, each with its share.
    """

    def predict_parts(self, obj: Any, x: Any, /) -> tuple[Array, ...]: ...
    def split_parts(self, obj: Any, /) -> tuple[tuple[Any, float], ...]: ...


@runtime_checkable
class LogitOutput(Protocol):
    """Scores before a last sigmoid or softmax: probabilities very near 1 have no digits left to average."""

    def predict_logits(self, obj: Any, x: Any, /) -> Array | None: ...  # (n, 1) or (n, k); None where there are none


@runtime_checkable
class Joinable(Protocol):
    """Several ``Model`` objects, each with a transform of its own, become one Model behind the first one's transform.

    It predicts the weighted mean of their log odds or values. Raises BadModel where they do not fit together.
    """

    def join_models(self, models: Sequence[Any], shares: Sequence[float], names: Sequence[str], /) -> Any: ...


@runtime_checkable
class Exportable(Protocol):
    """A ``Model`` whose object has no file format of its own becomes a plain Model of another framework that has
    one."""

    def export_model(self, model: Any, /) -> Any: ...


@runtime_checkable
class RoundCount(Protocol):
    """Boosters: the number of rounds that a training from scratch has. Combining boosters does not change it."""

    def count_rounds(self, obj: Any, /) -> int: ...
    def replace_rounds(self, obj: Any, rounds: int, /) -> Any: ...


@runtime_checkable
class Differentiable(Protocol):
    """Networks: the gradient of the raw output with respect to the input, at fixed parameters."""

    def compute_input_gradient(self, obj: Any, x: Any, direction: Array, /) -> Array: ...  # of (direction * raw).sum()


@runtime_checkable
class StepCount(Protocol):
    """Networks: the number of gradient steps that the optimizer's state has counted; None where it counts nothing."""

    def count_steps(self, obj: Any, /) -> int | None: ...


@runtime_checkable
class Tunable(Protocol):
    """Hyperparameters can be read and replaced.

    ``epochs``, ``batch_size`` and, where the object does not carry it, ``learning_rate`` are passed to ``fit`` instead.
    """

    def get_hyperparameters(self, obj: Any, /) -> Values: ...  # as deployed; only those of ``list_dimensions``
    def list_dimensions(self, obj: Any, /) -> tuple[Dimension, ...]: ...  # what may vary, with the usual ranges
    def replace_hyperparameters(self, obj: Any, values: Values, /) -> Any: ...  # to be fitted from scratch afterwards


@runtime_checkable
class DenseLayers(Protocol):
    """Networks that are a chain of dense layers: each layer as kernel (inputs, units) and bias (units,)."""

    def get_dense_layers(self, obj: Any, /) -> list[tuple[Array, Array]]: ...  # raises BadModel for other networks
    def replace_dense_layers(self, obj: Any, layers: Sequence[tuple[Array, Array]], /) -> Any: ...


@runtime_checkable
class Prunable(Protocol):
    """Networks: channels can be removed, and the result is an ordinary, smaller network.

    ``removed`` maps a group's name to the positions of channels in it. Where all weights of those channels are zero,
    removing them changes no prediction.
    """

    def find_channel_groups(self, obj: Any, /) -> list[Group]: ...  # raises BadModel where nothing can be removed
    def remove_channels(self, obj: Any, removed: Mapping[str, Array], /) -> Any: ...
    def mask_channels(self, obj: Any, removed: Mapping[str, Array], /) -> Any: ...  # same size, those weights zero


@runtime_checkable
class LayerRemoval(Protocol):
    """Networks of equal layers one after another: whole layers can be left out, and the rest is an ordinary network.

    Both raise BadModel for other networks, ``remove_layers`` also for a layer that must stay: the first may be special.
    """

    def count_layers(self, obj: Any, /) -> int: ...
    def remove_layers(self, obj: Any, positions: Collection[int], /) -> Any: ...  # 0 is the first; one must stay


@runtime_checkable
class Truncatable(Protocol):
    """Boosters and forests: the number of rounds or trees that predict, and the model with only the first of them."""

    def count_trees(self, obj: Any, /) -> int: ...
    def keep_first_trees(self, obj: Any, trees: int, /) -> Any: ...


@runtime_checkable
class TreeReading(Protocol):
    """Boosters whose score is a sum of trees: the trees as plain data, for exact Shapley values."""

    def read_trees(self, obj: Any, /) -> TreeEnsemble | None: ...  # None where the score is no such sum


@runtime_checkable
class LeafCount(Protocol):
    """Trees grow with the rows that they learn from: how large they are, and a bound for a training from scratch."""

    def count_leaves(self, obj: Any, /) -> int: ...  # of all trees together; 0 where there are no trees
    def limit_leaves(self, obj: Any, leaves: int, /) -> Any: ...  # trained from scratch, it has no more in all


@runtime_checkable
class Quantisable(Protocol):
    """Networks: weights in 8 bits. Training such a network trains the same network in floating point instead."""

    def quantise(self, obj: Any, share: float, /) -> Any: ...  # the largest layers; raises BadModel where none fits
    def is_quantised(self, obj: Any, /) -> bool: ...


@runtime_checkable
class NativeObjects(Protocol):
    """Objects that are kept in a form of ours: gives the object that users of the framework work with."""

    def native_object(self, obj: Any, /) -> Any: ...  # a lightgbm.Booster, an xgboost.Booster, a torch.nn.Module


@runtime_checkable
class SavedModelExport(Protocol):
    """Networks that TensorFlow Serving can run: writes one as a SavedModel into the new folder ``to``."""

    def write_saved_model(self, obj: Any, to: Path, /) -> None: ...


@runtime_checkable
class TritonExport(Protocol):
    """Models that a backend of Triton can run: writes the files that it reads into the new folder ``to``, and says
    what stands in them. Raises BadModel where Triton would not answer as the object does.
    """

    def write_triton(self, obj: Any, to: Path, /) -> TritonModel: ...


@runtime_checkable
class AdapterExport(Protocol):
    """Models that are a large network with an adapter beside it: writes each into a new folder, as PEFT reads them.

    ``base`` is where the adapter's folder says that its network stands. Without an adapter, one that changes nothing.
    """

    def write_base(self, obj: Any, to: Path, /) -> None: ...
    def write_adapter(self, obj: Any, to: Path, base: str, /) -> None: ...


@runtime_checkable
class GgufExport(Protocol):
    """Models that a GGUF file can hold; ``note`` stands among the first entries of the file. Raises BadModel where it
    would not answer as the object does.
    """

    def write_gguf(self, obj: Any, to: Path, note: str, /) -> None: ...
