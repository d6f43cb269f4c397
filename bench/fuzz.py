"""Coverage-guided fuzzing of the readers: bytes of real files are changed until a reader crashes, hangs or fails.

    python bench/fuzz.py --reader lightgbm --minutes 2 [--corpus build/fuzz] [--seed 0]

A reader may answer, or raise an error of Evermodel's own in one sentence. Anything else is a finding: the input is kept
beside the corpus and the exit code is 1. Inputs that reach new lines of our code (sys.settrace) are kept and changed
further, and those that earlier runs kept (``bench/fuzz_corpus``, a folder for each reader) are read first. atheris is
not used: libFuzzer ends with the first crash of a library, and those libraries are not built for it. Inputs are read in
forked processes under limits, a batch each, so that thousands are read a minute.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "src")]
from evermodel.core.errors import EvermodelError  # noqa: E402

KEPT = Path(__file__).parent / "fuzz_corpus"
OURS = str(Path(__file__).parents[1] / "src" / "evermodel")
SECONDS, MEMORY = 20, 4_000_000_000  # for one input: of processor time, and bytes above what was there before
STUCK = "stuck.txt"
BATCH = 40  # inputs a forked process reads
CRASHES = 20  # inputs at which a library crashes that are given to the sandbox
ENDED = "the process ended:"


@dataclass
class Reader:
    """``read`` reads a file; ``seeds`` are real ones; ``suffix`` is that of its files."""

    suffix: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    words: list[bytes] = field(default_factory=list)  # that mean something to the reader
    in_sandbox: Callable[[Path], str] | None = None  # for a library that crashes: what the user is told then


def read_model(framework: str) -> Callable[[Path], object]:
    from evermodel.core.model.framework import FRAMEWORKS
    from evermodel.registry.adoption.sandbox import _import_packages, _predict_zeros

    _import_packages(framework)  # once, and not in each forked process: it takes longer than a batch
    plugin = FRAMEWORKS.load_module(framework)

    def read(at: Path) -> object:
        return _predict_zeros(plugin, plugin.read_file(at, trust=False, factory=None))

    return read


def read_in_sandbox(framework: str) -> Callable[[Path], str]:
    """The sentence that a user reads where the library itself crashes; "" where the sandbox let the file through."""
    from evermodel.core.errors import BadModel
    from evermodel.core.model.framework import FRAMEWORKS
    from evermodel.registry.adoption.sandbox import try_reading

    def read(at: Path) -> str:
        try:
            try_reading(FRAMEWORKS.load_module(framework), at, None)
        except BadModel as error:
            return error.message
        return ""

    return read


def read_rows(at: Path) -> object:
    from evermodel.core.data.scan import scan, spread_rows

    return spread_rows(scan(at), most=1000)


def read_backup(at: Path) -> object:
    import evermodel

    with tempfile.TemporaryDirectory() as folder:
        return evermodel.restore(at, to=Path(folder) / "registry")


def read_setup(at: Path) -> object:
    from evermodel.plugins.stores._sql.setup import read_setup as read

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "store.toml").write_bytes(at.read_bytes())
        return read(Path(folder))


def read_card(at: Path) -> object:
    from evermodel.core.records.version_card import decode_card

    return decode_card(at.read_bytes(), "m", 1)


def read_policy(at: Path) -> object:
    from evermodel.core.records.maintenance_policy import Policy, change_policy, read_policies

    return [change_policy(Policy(), told) for told in read_policies(at).values()]


def read_signature(at: Path) -> object:
    from evermodel.registry.adoption.signatures.signature_file import read_signature_file

    return read_signature_file(at)


def read_preprocessing(at: Path) -> object:
    from evermodel.registry.adoption.given_transform import read_transform

    return read_transform(at)


def read_space(at: Path) -> object:
    from evermodel.core.model.search_space import read_space as read

    return read(at, {})


def read_segment(at: Path) -> object:
    from evermodel.registry.predictions.seal_segments import read_segment as read

    return read(at)


def read_tensors(at: Path) -> object:
    from evermodel.core.tensors.tensor_file import read_tensor_file

    return read_tensor_file(at)


def seed_segments() -> list[bytes]:
    from tests.registry.attacks.test_log_files import DAMAGED, frames, whole_frames

    return [frames(*whole_frames()), *DAMAGED.values()]


def seed_tensors() -> list[bytes]:
    import numpy as np
    from safetensors.numpy import save

    return [save({"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.int64)}, metadata={"format": "pt"})]


def read_picture(at: Path) -> object:
    import polars as pl

    from evermodel.core.data.image_decoding import decode_images

    return decode_images(pl.Series([at.read_bytes()]), (8, 8, 3))


def seed_backup() -> list[bytes]:
    import evermodel
    from tests.cli.ground import make_ground

    with tempfile.TemporaryDirectory() as folder:
        ground = make_ground(Path(folder))
        evermodel.backup(to=Path(folder) / "backup.tar", registry=ground.registry)
        return [(Path(folder) / "backup.tar").read_bytes()]


def seed_card() -> list[bytes]:
    from evermodel.registry.lookup import open_store
    from tests.cli.ground import make_ground

    with tempfile.TemporaryDirectory() as folder:
        store = open_store(make_ground(Path(folder)).registry)
        return [row["card"].encode() for row in store.upkeep.rows()["versions"]]


def seed_rows(suffix: str) -> list[bytes]:
    import polars as pl

    frame = pl.DataFrame({"a": range(50), "b": ["x", "y"] * 25, "when": ["2026-01-01"] * 50, "c": [0.5, None] * 25})
    out = io.BytesIO()
    writers = {
        ".csv": frame.write_csv,
        ".parquet": frame.write_parquet,
        ".arrow": frame.write_ipc,
        ".jsonl": frame.write_ndjson,
        ".json": frame.write_json,
    }
    if suffix == ".xlsx":
        import openpyxl

        book = openpyxl.Workbook()
        for row in [frame.columns, *frame.rows()]:
            book.active.append(list(row))
        book.save(out)
    else:
        writers[suffix](out)
    return [out.getvalue()]


def seed_pictures() -> list[bytes]:
    from PIL import Image

    found = []
    for kind in ("PNG", "JPEG", "BMP", "PPM"):
        out = io.BytesIO()
        Image.effect_noise((16, 16), 50).convert("RGB").save(out, kind)
        found.append(out.getvalue())
    return found


def seed_skops() -> list[bytes]:
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    from tests.registry.attacks.skops_files import make_rows

    return [skops.io.dumps(RandomForestClassifier(2, max_depth=2).fit(*make_rows()))]


def seed_xgboost(binary: bool) -> list[bytes]:
    import xgboost

    from tests.registry.attacks.booster_files import make_rows

    x, y = make_rows()
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 2}, xgboost.DMatrix(x, y), 2)
    return [bytes(booster.save_raw("ubj" if binary else "json"))]


def seed_lightgbm() -> list[bytes]:
    from tests.registry.attacks.booster_files import make_lightgbm

    return [make_lightgbm().encode()]


def seed_catboost(kind: str) -> list[bytes]:
    import catboost

    from tests.registry.attacks.booster_files import make_rows

    with tempfile.TemporaryDirectory() as folder:
        made = catboost.CatBoostClassifier(iterations=3, depth=2, verbose=False, allow_writing_files=False)
        made.fit(*make_rows()).save_model(f"{folder}/m", format=kind)
        return [Path(f"{folder}/m").read_bytes()]


def seed_keras() -> list[bytes]:
    from tests.registry.attacks.network_files import make_keras

    with tempfile.TemporaryDirectory() as folder:
        return [make_keras(Path(folder))["plain"]]


def seed_keras_h5() -> list[bytes]:
    import keras

    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(1, "sigmoid")])
    network.compile("adam", "binary_crossentropy")
    with tempfile.TemporaryDirectory() as folder:
        network.save(f"{folder}/m.h5")
        return [Path(f"{folder}/m.h5").read_bytes()]


def seed_gguf() -> list[bytes]:
    from evermodel.plugins.frameworks import language_models
    from tests.server.test_language_model_publishers import make_byte_model

    with tempfile.TemporaryDirectory() as folder:
        model = language_models.read_file(make_byte_model(Path(folder) / "model"), trust=False, factory=None)
        language_models.write_gguf(model, Path(folder) / "m.gguf", "")
        return [(Path(folder) / "m.gguf").read_bytes()]


def seed_transforms() -> list[bytes]:
    from evermodel.core.model.transform import Feature, Transform

    features = (Feature("a", scale=2.0, center=1.0), Feature("b", encoding="onehot", categories=("x", "y")))
    short = {"a": {"center": 1.0, "scale": 2.0}, "b": {"function": "log1p", "fill": 0.5}}
    return [Transform(features, scaling="given").to_json().encode(), json.dumps(short).encode()]


def seed_preprocessing() -> list[bytes]:
    import numpy as np
    import skops.io
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    x = np.array([[1.0, 2.0, 0.0], [3.0, 5.0, 1.0], [4.0, 1.0, 2.0]])
    steps = [("n", make_pipeline(SimpleImputer(), StandardScaler()), [0, 1]), ("c", OneHotEncoder(), [2])]
    return [skops.io.dumps(ColumnTransformer(steps).fit(x))]


def seed_torch() -> list[bytes]:
    from tests.registry.attacks.network_files import make_torch

    with tempfile.TemporaryDirectory() as folder:
        return [make_torch(Path(folder))]


NUMBERS = [b"-1", b"0", b"1e400", b"nan", b"2147483648", b"9999999999999999999", b"null", b"true", b"[]", b'""', b"{}"]
READERS: dict[str, Callable[[], Reader]] = {
    "lightgbm": lambda: Reader(".txt", seed_lightgbm, read_model("lightgbm"), NUMBERS),
    "xgboost": lambda: Reader(".json", lambda: seed_xgboost(False), read_model("xgboost"), NUMBERS),
    "xgboost-ubj": lambda: Reader(".ubj", lambda: seed_xgboost(True), read_model("xgboost"), NUMBERS),
    "catboost": lambda: Reader(
        ".cbm", lambda: seed_catboost("cbm"), read_model("catboost"), [], read_in_sandbox("catboost")
    ),
    "catboost-json": lambda: Reader(".json", lambda: seed_catboost("json"), read_model("catboost"), NUMBERS),
    "skops": lambda: Reader(".skops", seed_skops, read_model("sklearn"), NUMBERS),
    "keras": lambda: Reader(".keras", seed_keras, read_model("keras"), NUMBERS),
    "keras-h5": lambda: Reader(".h5", seed_keras_h5, read_model("keras"), NUMBERS),
    "gguf": lambda: Reader(".gguf", seed_gguf, read_model("language_models"), NUMBERS),
    "transform": lambda: Reader(".json", seed_transforms, read_preprocessing, NUMBERS),
    "preprocessing": lambda: Reader(".skops", seed_preprocessing, read_preprocessing, NUMBERS),
    "torch": lambda: Reader(".pt2", seed_torch, read_model("torch"), NUMBERS),
    "csv": lambda: Reader(".csv", lambda: seed_rows(".csv"), read_rows, [b'"', b";", b"\t", b"\r", b"\0", *NUMBERS]),
    "jsonl": lambda: Reader(".jsonl", lambda: seed_rows(".jsonl"), read_rows, NUMBERS),
    "json": lambda: Reader(".json", lambda: seed_rows(".json"), read_rows, NUMBERS),
    "parquet": lambda: Reader(".parquet", lambda: seed_rows(".parquet"), read_rows),
    "arrow": lambda: Reader(".arrow", lambda: seed_rows(".arrow"), read_rows),
    "xlsx": lambda: Reader(".xlsx", lambda: seed_rows(".xlsx"), read_rows),
    "picture": lambda: Reader(".png", seed_pictures, read_picture),
    "backup": lambda: Reader(".tar", seed_backup, read_backup, NUMBERS),
    "store": lambda: Reader(".toml", lambda: [SETUP], read_setup, NUMBERS),
    "policy": lambda: Reader(".toml", lambda: [POLICY], read_policy, [b'"', b"[", *NUMBERS]),
    "signature": lambda: Reader(".toml", lambda: [SIGNATURE], read_signature, [b'"', b"[", *NUMBERS]),
    "space": lambda: Reader(".json", lambda: [SPACE], read_space, NUMBERS),
    "segment": lambda: Reader(".segment", seed_segments, read_segment),
    "tensors": lambda: Reader(".safetensors", seed_tensors, read_tensors, NUMBERS),
    "card": lambda: Reader(".json", seed_card, read_card, NUMBERS),
}
POLICY = b"""[models.churn]
data = "incoming/*.csv"
every = "2 weeks"
time_zone = "Europe/Berlin"
age = "90 days"
triggers = ["schedule", "drift"]
min_rows = 200
max_size = "2GB"
budget = 3600.5
notify = ["webhook url=env:HOOK", "log file=maintain.jsonl"]
"""
SIGNATURE = b"""[inputs.customer]
columns = ["who", "where"]
[outputs.churn]
target = "churned"
primary = true
classes = ["no", "yes"]
[outputs.spend]
target = "spent"
"""
SPACE = b'{"depth": [2, 12], "rate": [0.001, 0.3, "log"], "kind": ["a", "b", "c"]}'
SETUP = b'database = "sqlite:///x.db"\nfiles = "here"\ncopies = ["there"]\n[options."s3://"]\nkey = "k"\n'


def mutate(data: bytes, pool: list[bytes], words: list[bytes], draw: random.Random) -> bytes:
    """A few changes: bits, bytes, words, cuts, doubled pieces, pieces of another input. Archives inside, too."""
    if data[:2] == b"PK" and draw.random() < 0.8:
        return mutate_archive(data, pool, words, draw) or data
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 8))):
        if not out:
            break
        at = draw.randrange(len(out))
        kind = draw.randrange(7)
        if kind == 0:
            out[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            out[at] = draw.randrange(256)
        elif kind == 2 and words:
            word = draw.choice(words)
            end = at
            while end < len(out) and chr(out[end]).isalnum():
                end += 1
            out[at:end] = word
        elif kind == 3:
            del out[at : at + draw.choice((1, 2, 8, 64, 1024))]
        elif kind == 4:
            piece = out[at : at + draw.choice((1, 8, 64, 512))]
            out[at:at] = piece * draw.choice((1, 2, 50))
        elif kind == 5:
            other = draw.choice(pool)
            start = draw.randrange(len(other) or 1)
            out[at:at] = other[start : start + draw.choice((4, 32, 256))]
        else:
            out[at : at + 4] = draw.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0"))
    return bytes(out)


def mutate_archive(data: bytes, pool: list[bytes], words: list[bytes], draw: random.Random) -> bytes | None:
    """One member of an archive changed, its sums made right again: else only the archive's own reader is tried."""
    import zipfile

    try:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            names = old.namelist()
            chosen = draw.choice(names)
            for name in names:
                body = old.read(name)
                new.writestr(name, mutate(body, [body, *pool[:1]], words, draw) if name == chosen else body)
        return out.getvalue()
    except Exception:  # an input that is no archive any more is changed as bytes
        return None


def try_input(reader: Reader, at: Path, lines: set[tuple[str, int]]) -> str:
    """What is wrong: "" where the reader answered or raised one of our errors. Adds the lines of ours that were run."""

    def trace(frame: object, event: str, argument: object) -> object:
        name = frame.f_code.co_filename  # type: ignore[attr-defined]
        if not name.startswith(OURS):
            return None
        lines.add((name, frame.f_lineno))  # type: ignore[attr-defined]
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        reader.read(at)
    except EvermodelError as error:
        if "\n" in error.message or len(error.message) > 1000:
            return f"no sentence: {error.message[:300]!r}"
    except MemoryError:
        return ""  # the sandbox says it in one sentence
    except BaseException:
        return traceback.format_exc()[-1500:]
    finally:
        sys.settrace(None)
    return ""


def run_batch(reader: Reader, inputs: list[bytes], folder: Path) -> list[tuple[int, str, set[tuple[str, int]]]]:
    """(number, fault, lines) of each input read in a forked process; a crash or a hang ends the list with its fault."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(readable)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        stuck = (folder / STUCK).open("w")  # where an input hangs; the file says which line
        faulthandler.register(signal.SIGALRM, file=stuck, chain=True)
        with os.fdopen(writable, "w") as out:
            for number, data in enumerate(inputs):
                signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of processor time: the machine may be busy
                signal.alarm(20 * SECONDS)  # for what waits for ever
                at = folder / f"input{reader.suffix}"
                at.write_bytes(data)
                lines: set[tuple[str, int]] = set()
                fault = try_input(reader, at, lines)
                print(json.dumps([number, fault, sorted(lines)]), file=out, flush=True)
        os._exit(0)
    os.close(writable)
    found = []
    with os.fdopen(readable) as pipe:
        for line in pipe:
            number, fault, lines = json.loads(line)
            found.append((number, fault, {tuple(one) for one in lines}))
    _, status = os.waitpid(child, 0)
    if status and len(found) < len(inputs):
        at = [line.strip() for line in (folder / STUCK).read_text().splitlines() if line.startswith("  File")]
        how = f"signal {os.WTERMSIG(status)} {at[0] if at else ''}".strip()
        how = how if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        found.append((len(found), f"{ENDED} {how}", set()))
    return found


def make_seeds(reader: Reader, corpus: Path) -> list[bytes]:
    """Made in a process of its own: threads that a library starts do not live on in the processes forked later."""
    with tempfile.TemporaryDirectory(dir=corpus) as folder:
        child = os.fork()
        if child == 0:
            for number, data in enumerate(reader.seeds()):
                (Path(folder) / f"{number}").write_bytes(data)
            os._exit(0)
        os.waitpid(child, 0)
        return [at.read_bytes() for at in sorted(Path(folder).iterdir())]


def is_stopped(reader: Reader, data: bytes, folder: Path, before: int) -> bool:
    """Whether the sandbox stops an input at which the library crashes; the first ones are tried there."""
    if reader.in_sandbox is None or before >= CRASHES:
        return reader.in_sandbox is not None
    at = folder / f"crash{reader.suffix}"
    at.write_bytes(data)
    return reader.in_sandbox(at) != ""


def spent() -> float:
    """Seconds of processor time of the forked processes, which a busy machine does not shorten."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fuzz(name: str, minutes: float, corpus: Path, seed: int) -> int:
    reader, draw = READERS[name](), random.Random(seed)
    kept = corpus / name
    kept.mkdir(parents=True, exist_ok=True)
    earlier = [p for at in (KEPT / name, kept) if at.is_dir() for p in sorted(at.iterdir()) if p.is_file()]
    pool = make_seeds(reader, corpus) + [p.read_bytes() for p in earlier if not p.name.startswith("fault-")]
    seen: set[tuple[str, int]] = set()
    faults: dict[str, bytes] = {}
    tried, crashes, begun, end = 0, 0, spent(), time.monotonic() + 60 * 5 * minutes  # the end is for readers that wait
    with tempfile.TemporaryDirectory() as folder:
        for _, fault, lines in run_batch(reader, pool, Path(folder)):
            seen |= lines
            if fault:
                print(f"a seed of {name}: {fault}", flush=True)
        first = len(seen)
        while spent() - begun < 60 * minutes and time.monotonic() < end:
            inputs = [mutate(draw.choice(pool), pool, reader.words, draw) for _ in range(BATCH)]
            for number, fault, lines in run_batch(reader, inputs, Path(folder)):
                tried += 1
                if fault:
                    key = fault.strip().splitlines()[-1][:120]
                    if fault.startswith(ENDED) and is_stopped(reader, inputs[number], Path(folder), crashes):
                        crashes += 1
                    elif key not in faults:
                        faults[key] = inputs[number]
                        (kept / f"fault-{len(faults)}{reader.suffix}").write_bytes(inputs[number])
                        print(f"FAULT in {name}: {fault}", flush=True)
                elif lines - seen:
                    seen |= lines
                    pool.append(inputs[number])
                    (kept / f"input-{len(pool)}{reader.suffix}").write_bytes(inputs[number])
    used = (spent() - begun) / 60
    found = f"{first} -> {len(seen)} lines of ours, {len(pool)} kept, {len(faults)} faults"
    found += f", {crashes} crashes stopped by the sandbox" if crashes else ""
    print(f"{name:<14} {used:4.1f} min {tried:>7} inputs, {found}", flush=True)
    return len(faults)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reader", default="all", help=f"all, or some of {','.join(READERS)}")
    parser.add_argument("--minutes", type=float, default=2.0, help="of processor time, for each reader")
    parser.add_argument("--corpus", type=Path, default=Path("build/fuzz"), help="inputs that reached new lines")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    names = list(READERS) if given.reader == "all" else given.reader.split(",")
    return int(sum(fuzz(name, given.minutes, given.corpus, given.seed) for name in names) > 0)


if __name__ == "__main__":
    raise SystemExit(main())
