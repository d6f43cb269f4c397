"""A file that crashes, hangs or swells when it is read is one sentence, and what is sound is read as before."""

from __future__ import annotations

import subprocess
import sys
import time

import lightgbm
import numpy as np
import pytest

from evermodel.core.errors import BadModel, Unsafe
from evermodel.core.model.framework import FRAMEWORKS
from evermodel.registry.adoption import sandbox
from evermodel.registry.adoption.model_file import open_model


@pytest.fixture
def switched_on(monkeypatch):
    monkeypatch.delenv(sandbox.SWITCH)


def run_limited(code: str) -> subprocess.CompletedProcess[str]:
    start = "from evermodel.registry.adoption import sandbox; import sys\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, timeout=120)


def child_that(code: str) -> subprocess.Popen[str]:
    start = "import os, time; print('ready', flush=True); "
    return subprocess.Popen([sys.executable, "-c", start + code], stdout=subprocess.PIPE, text=True)


def test_a_sound_file_is_read_and_predicts_the_same(tmp_path, switched_on):
    x = np.random.default_rng(0).normal(size=(300, 3))
    booster = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(x, x[:, 0] > 0), 5)
    booster.save_model(tmp_path / "m.txt")
    obj, framework, _ = open_model(tmp_path / "m.txt")
    assert np.array_equal(framework.predict(obj, x).ravel(), booster.predict(x))


def test_an_error_in_the_child_keeps_its_class_and_words(tmp_path, switched_on):
    (tmp_path / "m.txt").write_text("tree\nversion=v4\nnum_class=1\n\nTree=0\nnum_leaves=9999999\n\nend of trees\n")
    with pytest.raises(BadModel) as refused:
        sandbox.try_reading(FRAMEWORKS.load_module("lightgbm"), tmp_path / "m.txt", None)
    with pytest.raises(BadModel) as without:
        FRAMEWORKS.load_module("lightgbm").read_file(tmp_path / "m.txt")
    assert str(refused.value) == str(without.value)


def test_code_in_a_pickle_runs_nowhere(tmp_path, switched_on):
    import pickle

    class Touch:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Touch()))
    with pytest.raises((Unsafe, BadModel)):
        open_model(tmp_path / "m.pkl")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "code, words",
    [
        ("os.abort()", "SIGABRT"),
        ("os.kill(os.getpid(), 11)", "SIGSEGV"),
        ("os._exit(3)", "ends the process"),
    ],
)
def test_a_crash_is_one_sentence(code, words):
    with child_that(code) as child, pytest.raises(BadModel, match=words) as error:
        sandbox._await_answer(child, "evil.bin")
    assert str(error.value).startswith("evil.bin cannot be read")


def test_a_hang_is_ended(monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 0.5)
    began = time.monotonic()
    with child_that("time.sleep(600)") as child, pytest.raises(BadModel, match="more than"):
        sandbox._await_answer(child, "evil.bin")
    assert time.monotonic() - began < 300


def test_memory_time_and_file_sizes_are_limited(tmp_path):
    swollen = run_limited(
        "sandbox._limit_process(100_000_000)\ntry: bytearray(10**9)\nexcept MemoryError: print('refused')"
    )
    assert swollen.stdout.strip() == "refused", swollen.stderr
    slow = run_limited("sandbox.SECONDS = 1\nsandbox._limit_process(10**9)\nwhile True: pass")
    assert slow.returncode < 0
    long = run_limited(
        "sandbox.WRITTEN = 1000\nsandbox._limit_process(10**9)\n"
        f"try: open({str(tmp_path / 'long')!r}, 'wb').write(bytes(10**6))\nexcept OSError: print('refused')"
    )
    assert long.stdout.strip() == "refused" or long.returncode < 0
    assert not (tmp_path / "long").exists() or (tmp_path / "long").stat().st_size <= 1000


def test_the_network_is_cut_off_where_the_kernel_allows_it():
    code = "print(sorted(line.split(':')[0].strip() for line in open('/proc/self/net/dev').readlines()[2:]))"
    shown = run_limited(f"sandbox._cut_off_network()\n{code}")
    assert shown.returncode == 0, shown.stderr
    if subprocess.run(["unshare", "--user", "--net", "true"], capture_output=True).returncode == 0:
        assert shown.stdout.strip() == "['lo']"


def test_a_file_that_changes_meanwhile_is_refused(tmp_path, switched_on, monkeypatch):
    file = tmp_path / "m.txt"
    x = np.random.default_rng(0).normal(size=(300, 3))
    lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(x, x[:, 0] > 0), 5).save_model(file)
    monkeypatch.setattr(
        "evermodel.registry.adoption.model_file.try_reading", lambda *_: file.write_text(file.read_text() + "\n")
    )
    with pytest.raises(BadModel, match="changed while"):
        open_model(file)


def test_a_file_that_is_trusted_is_read_here(tmp_path, switched_on, monkeypatch):
    monkeypatch.setattr("evermodel.registry.adoption.model_file.try_reading", lambda *_: pytest.fail("a child began"))
    x = np.random.default_rng(0).normal(size=(300, 3))
    file = tmp_path / "m.txt"
    lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(x, x[:, 0] > 0), 5).save_model(file)
    assert open_model(file, trust=file)
