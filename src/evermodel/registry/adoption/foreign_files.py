"""Names a file or folder that no framework takes for what it is, by its first bytes, with what to do about it.

Nothing in it is executed; nothing is decided on its name where its contents say what it is.
"""

from __future__ import annotations

import gzip
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

HEAD = 4096
MLFLOW_MODEL = re.compile(r"^\s*(?:pickled_model|model_path|data):\s*['\"]?([\w./-]+)", re.MULTILINE)


@dataclass(frozen=True)
class ForeignFile:
    """What a file is, and the command or code that makes a file of it that can be adopted."""

    kind: str
    remedy: str


EXPORT_ONNX = (
    "ONNX holds a graph for answering and nothing that can be trained. Adopt the file it was exported from; or train a "
    "model of one of our kinds on the answers of this one."
)
BY_START: tuple[tuple[int, bytes, ForeignFile], ...] = (
    (0, b"GGML", ForeignFile("a GGML file of a language model", "Convert it to GGUF with llama.cpp, and adopt that.")),
    (
        4,
        b"TFL3",
        ForeignFile(
            "a TensorFlow Lite model",
            "It was converted for answering on devices and cannot be trained. Adopt the Keras model it was converted "
            "from: model.save('model.keras').",
        ),
    ),
    (
        0,
        b"CBM1",
        ForeignFile(
            "a CatBoost model",
            "Its contents could not be told to be whole. Save it again with model.save_model('m.cbm').",
        ),
    ),
    (0, b"\x93NUMPY", ForeignFile("a NumPy array", "Arrays alone are no model: adopt the model that they belong to.")),
    (0, b"RDX", ForeignFile("an R workspace", "Models of R are not kept here.")),
    (
        0,
        b"\x89HDF\r\n\x1a\n",
        ForeignFile(
            "an HDF5 file without a Keras model",
            "If it holds weights alone (model.save_weights), build the model, load_weights, and model.save('m.keras').",
        ),
    ),
    (0, b"PAR1", ForeignFile("a Parquet table", "Rows are given as --data; the model comes first.")),
    (0, b"SQLite format 3", ForeignFile("an SQLite database", "Rows are given as --data; the model comes first.")),
    (0, b"\x7fELF", ForeignFile("a compiled program", "Adopt the model file from which it was compiled.")),
)
CORE_ML = ForeignFile("a Core ML model", "It is for answering alone. Adopt the model it was converted from.")
UNKNOWN_FOLDER = ForeignFile("a folder", "Give the model file inside it.")


def describe_foreign(path: Path) -> ForeignFile | None:
    """What ``path`` is, if its contents say so; None where they do not."""
    try:
        return _describe_folder(path) if path.is_dir() else _describe_file(path)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError):
        return None


def _describe_folder(path: Path) -> ForeignFile:
    there = {entry.name for entry in path.iterdir()}
    if "MLmodel" in there:
        named = MLFLOW_MODEL.findall((path / "MLmodel").read_text(errors="replace")[:HEAD])
        found = next((path / name for name in named if (path / name).is_file()), None)
        model = "the model file inside it" if found is None else str(found)
        trust = f" --trust {found}" if found is not None and found.suffix in (".pkl", ".pickle", ".joblib") else ""
        return ForeignFile("a model folder of MLflow", f"Adopt {model}: evermodel adopt {found or 'FILE'}{trust}.")
    if "saved_model.pb" in there:
        return ForeignFile(
            "a SavedModel folder of TensorFlow",
            "It holds a graph for answering. Where the Keras model is still there: model.save('model.keras'). From a "
            "SavedModel of Keras 2: tf_keras.models.load_model(FOLDER).save('model.h5').",
        )
    if (path / "Data" / "com.apple.CoreML").is_dir():
        return CORE_ML
    if {"predictor.pkl", "learner.pkl"} & there:
        return ForeignFile(
            "a folder of an AutoGluon predictor",
            "It holds many models and needs AutoGluon itself. Adopt one of them alone, such as its LightGBM model.",
        )
    if {"metadata", "stages"} <= there or {"metadata", "data"} <= there:
        return ForeignFile("a model folder of Spark", "Models of Spark are not kept here.")
    return UNKNOWN_FOLDER


def _describe_file(path: Path) -> ForeignFile | None:
    with path.open("rb") as file:
        head = file.read(HEAD)
    for at, mark, foreign in BY_START:
        if head[at : at + len(mark)] == mark:
            return foreign
    if head[:4] == b"PK\x03\x04":
        return _describe_archive(path)
    if head[:2] == b"\x1f\x8b":
        with gzip.open(path) as file:
            inner = file.read(HEAD)
        if inner[:3] == b"RDX":
            return ForeignFile("an R workspace", "Models of R are not kept here.")
        return ForeignFile("a compressed file", f"Unpack it first: gunzip -k {path.name}.")
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return ForeignFile("a pickle", f"If you made it yourself, trust it by name: `trust` {path.name}.")
    if head.lstrip()[:1] == b"{":
        return _describe_json(path)
    if b"<PMML" in head:
        return ForeignFile("a PMML document", "PMML is for answering alone. Adopt the model it was made from.")
    if _is_core_ml(head):
        return CORE_ML
    if _is_onnx(head):
        return ForeignFile("an ONNX model", EXPORT_ONNX)
    return None


def _describe_archive(path: Path) -> ForeignFile | None:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name == "model.ini" for name in names):
        return ForeignFile("a MOJO of H2O", "It is for answering alone and cannot be trained.")
    if any(name.endswith(".mlmodel") or "com.apple.CoreML" in name for name in names):
        return CORE_ML
    if names and all(name.endswith(".npy") for name in names):
        return ForeignFile("NumPy arrays (.npz)", "Arrays alone are no model: adopt the model that they belong to.")
    inside = next((name for name in names if Path(name).suffix in (".h5", ".keras", ".skops", ".ubj", ".pt2")), None)
    return None if inside is None else ForeignFile("an archive", f"Unpack it and adopt {inside}.")


def _describe_json(path: Path) -> ForeignFile | None:
    with path.open(errors="replace") as file:
        text = file.read(1 << 20)
    if re.search(r'"class_name"\s*:', text) and '"config"' in text:
        return ForeignFile(
            "a Keras architecture without weights",
            "Build it with keras.models.model_from_json, load its weights, and model.save('model.keras').",
        )
    if '"oblivious_trees"' in text or '"catboost_version_info"' in text:
        return next(foreign for _, mark, foreign in BY_START if mark == b"CBM1")
    return None


def _is_core_ml(head: bytes) -> bool:
    """A protocol buffer as ONNX is, whose second field is a description that begins with the first input's."""
    if len(head) < 16 or head[0] != 0x08 or head[1] > 20 or head[2] != 0x12:
        return False
    end_of_length = next((at for at in range(3, 9) if head[at] < 0x80), 9)
    return head[end_of_length + 1] == 0x0A


def _is_onnx(head: bytes) -> bool:
    """A protocol buffer whose first field is the version of ONNX, with the producer or the graph behind it."""
    return len(head) > 8 and head[0] == 0x08 and 3 <= head[1] <= 20 and head[2] in (0x12, 0x3A, 0x42)
