"""Does the monitor keep its promise on false alarms, and how late is it? Beside Evidently, NannyML and river.

    $ PYTHONPATH=src python bench/watch_alarms.py              # about 20 minutes on one core
    $ PYTHONPATH=src python bench/watch_alarms.py --streams 100 --no-peers

Everything is decided by the product's own functions: bins of core/stats/reference_bins.py, evidence of
core/stats/count_e_process.py, levels of monitoring/alarms/sequential_alarms.py (their shares of the false-alarm rate
are those of a model with 20 columns). Streams: 12 normal columns, 4 counts, 4 categories; 2,000 reference rows; 100
looks of 500 rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator

import numpy as np
import peers
import polars as pl
from stream_data import read

from evermodel.core.stats.count_e_process import compute_drift_path, compute_rise_evidence, compute_rise_path
from evermodel.core.stats.overdispersion import estimate_overdispersion_around_step
from evermodel.core.stats.reference_bins import (
    ColumnReference,
    build_category_reference,
    build_number_reference,
    build_references,
    count_column,
    count_numbers,
)
from evermodel.monitoring.alarms.sequential_alarms import alarm_threshold
from evermodel.monitoring.alarms.subjects import BASELINE, SHARES, learn_baselines, list_subjects
from evermodel.monitoring.monitor_state import VersionMonitor, WindowCounts
from evermodel.monitoring.reference import (
    LARGE,
    PREDICTION,
    compute_losses,
    estimate_quality_overdispersion,
    select_prediction,
)
from evermodel.monitoring.watched_rows import DEFAULT_ROWS

COLUMNS, LOOKS, ROWS, REFERENCE, PROMISE = 20, 100, 500, 2_000, 0.01
CATEGORIES = np.ones(8) / 8
failed: list[str] = []


def say(what: str, value: float, bar: str = "", passed: bool | None = None, note: str = "") -> None:
    passed = None if passed is None else bool(passed)
    if passed is False:
        failed.append(what)
    print(
        f"{ {True: 'PASS', False: 'FAIL', None: '    '}[passed] }  {what:<72}{value:>9.4g}  {bar:<12}{note}", flush=True
    )


def columns(rng: np.random.Generator) -> Iterator[tuple[ColumnReference, np.ndarray, np.ndarray]]:
    """Each quiet column of a stream: its reference, bins (T, K) and values outside the range (T, 2)."""
    for kind in ("normal",) * 12 + ("poisson",) * 4 + ("category",) * 4:
        if kind == "category":
            names = pl.Series("c", list("abcdefgh"))
            reference = build_category_reference("c", names.gather(rng.choice(8, REFERENCE, p=CATEGORIES)))
            letters = {c: i for i, c in enumerate("abcdefgh")}
            counts = rng.multinomial(ROWS, CATEGORIES, LOOKS)
            bins = np.column_stack([counts[:, [letters[c] for c in reference.categories]], np.zeros(LOOKS)])
            yield reference, bins, np.column_stack([np.zeros(LOOKS), counts.sum(axis=1)])
            continue
        draw = rng.standard_normal if kind == "normal" else lambda n: rng.poisson(5, n).astype(float)
        reference = build_number_reference("x", draw(REFERENCE))
        counted = [count_numbers(x, reference) for x in draw(LOOKS * ROWS).reshape(LOOKS, ROWS)]
        out = np.array([(c.outside, ROWS - c.outside) for c in counted])
        yield reference, reference.merge_bins(np.stack([c.bins for c in counted])), out


def quiet_stream(seed: int) -> dict[str, float]:
    """How far each kind of evidence came, as a share of the log level at which it alarms (1: it alarmed)."""
    rng, each = np.random.default_rng(seed), 1.0 / COLUMNS
    found = {"drift": -1.0, "range": -1.0, "missing": -1.0, "quality": -1.0}
    for reference, bins, outside in columns(rng):
        gaps = reference.merge_bins(np.asarray(reference.concentrations))
        level = alarm_threshold(SHARES["drift"] * each, 1, PROMISE)
        found["drift"] = max(found["drift"], compute_drift_path(bins, gaps).max() / level)
        kind = "range" if reference.kind == "number" else "unseen"
        level = alarm_threshold(SHARES[kind] * each, 1, PROMISE)
        known = np.array([2.0, REFERENCE])
        found["range"] = max(found["range"], compute_rise_path(outside, known).max() / level)
    for share, size, kind in ((0.03, REFERENCE, "missing"), (0.2, BASELINE, "quality")):
        wrong = rng.binomial(size, share) + 0.5
        looks = rng.binomial(ROWS, share, LOOKS)
        level = alarm_threshold(SHARES["missing"] * each if kind == "missing" else SHARES["accuracy"], 1, PROMISE)
        seen = compute_rise_path(np.column_stack([looks, ROWS - looks]), np.array([wrong, size + 1 - wrong]))
        found[kind] = max(found[kind], seen.max() / level)
    return found


def false_alarms(streams: int) -> None:
    print(f"\nNo drift: {streams} streams, {LOOKS} looks of {ROWS} rows, {COLUMNS} columns; promise {PROMISE:.0%}")
    began = time.monotonic()
    seen = [quiet_stream(s) for s in range(streams)]
    for kind in seen[0]:
        say(f"  streams with an alarm of {kind} (%)", 100 * np.mean([s[kind] >= 1 for s in seen]))
    any_ = 100 * np.mean([max(s.values()) >= 1 for s in seen])
    say("streams with any alarm (%)", any_, "<= 1", any_ <= 1, f"{time.monotonic() - began:.0f} s")


def drift_delay(streams: int = 200) -> None:
    print(f"\nPlanted drift in one of {COLUMNS} columns, {REFERENCE} reference rows: looks of {ROWS} rows until found")
    level = alarm_threshold(SHARES["drift"] / COLUMNS, 1, PROMISE)
    for name, shift, scale, bar in (
        ("+.25 sd", 0.25, 1.0, 2),
        ("+.1 sd", 0.1, 1.0, None),
        ("sd x 1.25", 0.0, 1.25, None),
    ):
        for quiet in (0, 20):
            delays = [_delay(s, shift, scale, quiet, level) for s in range(streams)]
            middle = float(np.median(delays))
            where = "from the first look" if not quiet else "after 20 quiet looks"
            note = f"90th percentile {np.quantile(delays, 0.9):.0f}"
            say(f"{name} {where} (median)", middle, f"<= {bar}" if bar else "", middle <= bar if bar else None, note)


def _delay(seed: int, shift: float, scale: float, quiet: int, level: float) -> float:
    known, x = _column(seed, shift, scale, quiet)
    reference = build_references(pl.DataFrame({"x": known}), ["x"])["x"]
    many = reference.design_effect(ROWS)
    bins = reference.merge_bins(np.stack([count_numbers(row, reference).bins for row in x])) / many
    gaps = np.maximum(reference.merge_bins(np.asarray(reference.concentrations)) / many, 0.5)
    found = np.flatnonzero(compute_drift_path(bins, gaps)[quiet:] >= level)
    return found[0] + 1.0 if len(found) else np.inf


def _column(seed: int, shift: float, scale: float, quiet: int) -> tuple[np.ndarray, np.ndarray]:
    """Reference rows (n,) of a column, and looks (T, rows) of which those after ``quiet`` have drifted."""
    rng = np.random.default_rng(seed)
    known, x = rng.standard_normal(REFERENCE), rng.standard_normal(((quiet + 60), ROWS))
    x[quiet:] = x[quiet:] * scale + shift
    return known, x


NANNYML_DELAY = """
import sys, warnings; warnings.filterwarnings("ignore")
import numpy as np, pandas as pd, nannyml as nml
told = np.load(sys.argv[1]); methods = ["kolmogorov_smirnov", "jensen_shannon"]
for name in [k for k in told.files if k.startswith("x ")]:
    known, x = told["known"], told[name]; streams = x.shape[0]
    ref = pd.DataFrame(known.T, columns=[f"s{i}" for i in range(streams)])
    cur = pd.DataFrame(x.reshape(streams, -1).T, columns=ref.columns)
    c = nml.UnivariateDriftCalculator(column_names=list(ref.columns), continuous_methods=methods, chunk_size=500)
    res = c.fit(ref).calculate(cur).filter(period="analysis").to_df()
    for m in methods:
        a = np.stack([res[(f, m, "alert")].values for f in ref.columns]); quiet = 20
        late = np.where(a[:, quiet:].any(1), a[:, quiet:].argmax(1) + 1.0, np.inf)
        print(name[2:] + "|NannyML " + m, np.median(late), a[:, :quiet].any(1).mean())
for name in [k for k in told.files if k.startswith("e ")]:
    e = told[name]; late, early, quiet = [], [], 3
    for row in e:
        f = pd.DataFrame({"y": np.zeros(len(row), int), "p": row, "s": row.astype(float)})
        c = nml.PerformanceCalculator(problem_type="classification_binary", y_true="y", y_pred="p", y_pred_proba="s",
            metrics=["accuracy"], chunk_size=500).fit(f[:2000])
        a = c.calculate(f[2000:]).filter(period="analysis").to_df()[("accuracy", "alert")].values
        late.append(500.0 * (a[2:].argmax() + 1) if a[2:].any() else np.inf); early.append(a[:2].any())
    print(name[2:] + "|NannyML accuracy", np.median(late), np.mean(early))
"""
ADWIN = """
import sys, numpy as np
from river import drift
told = np.load(sys.argv[1])
for name in [k for k in told.files if k.startswith("x ")]:
    late, early = [], []
    for known, x in zip(told["known"], told[name]):
        d, at, false = drift.ADWIN(), np.inf, False
        for i, v in enumerate(np.r_[known, x.ravel()]):
            d.update(v)
            if d.drift_detected:
                if i < len(known) + 20 * 500: false, d = True, drift.ADWIN()
                else: at = (i - len(known) - 20 * 500) // 500 + 1; break
        late.append(at); early.append(false)
    print(name[2:] + "|river ADWIN", np.median(late), np.mean(early))
"""


def peers_delay(streams: int) -> None:
    """The same drift and the same errors before the peers' thresholds; ``streams`` of each."""
    print(
        f"\nThe peers on {streams} streams: looks of {ROWS} rows until a drifted column is found, after 20 quiet ones;"
    )
    print("  labelled rows until a risen error is found, 3,000 quiet rows before (2,000 of them NannyML's reference)")
    cases = {"+.25 sd": (0.25, 1.0), "+.1 sd": (0.1, 1.0), "sd x 1.25": (0.0, 1.25)}
    told = {f"x {name}": np.stack([_column(s, *c, 20)[1] for s in range(streams)]) for name, c in cases.items()}
    told |= {
        f"e +{round(100 * r)}": np.stack([errors_stream(s, r, 3_000, 8_000) for s in range(streams)])
        for r in (0.02, 0.05, 0.1)
    }
    file = peers.OUT / "delays.npz"
    np.savez(file, known=np.stack([_column(s, 0.0, 1.0, 0)[0] for s in range(streams)]), **told)
    for peer, script in (("nannyml", NANNYML_DELAY), ("river", ADWIN)):
        for line in peers.run(peer, script, str(file)).splitlines():
            name, _, values = line.rpartition("|")
            words = values.split()
            if name and len(words) >= 3:
                say(
                    f"{name} {' '.join(words[:-2])} (median)",
                    float(words[-2]),
                    note=f"alarm before the change in {float(words[-1]):.0%}",
                )


def errors_stream(seed: int, rise: float, quiet: int, rows: int, share: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng([seed, round(1000 * rise)])
    return np.r_[rng.random(quiet) < share, rng.random(rows) < share + rise].astype(np.int8)


def found_at(errors: np.ndarray, level: float, look: int = DEFAULT_ROWS, step: int = 25) -> float:
    """Row at which the evidence reaches the level, asked every ``step`` rows, as where a batch comes with each.

    As in the product, the first rows of the very stream are the baseline, and a change may begin with any look.
    """
    wrong = float(errors[:BASELINE].sum()) + 0.5
    known, errors = np.array([wrong, BASELINE + 1 - wrong]), errors[BASELINE:]
    running = np.r_[0, np.cumsum(errors)]
    for t in range(step, len(errors) + 1, step):
        ends = np.r_[np.arange(look, t, look), t]
        n, wrongs = np.diff(np.r_[0, ends]), np.diff(np.r_[0, running[ends]])
        looks = np.column_stack([wrongs, n - wrongs])
        many = 1.0 + estimate_overdispersion_around_step(looks) * float(np.median(n))
        if compute_rise_evidence(looks / many, np.maximum(known / many, 0.5)) >= level:
            return t + BASELINE
    return np.inf


RIVER = """
import json, sys
import numpy as np
from river import drift
out = {}
for name, streams in json.load(open(sys.argv[1])).items():
    made = {"ADWIN": lambda: drift.ADWIN(), "DDM": lambda: drift.binary.DDM()}
    for kind, make in made.items():
        found = []
        for errors in streams:
            d, at = make(), None
            for i, e in enumerate(errors):
                d.update(e)
                if d.drift_detected:
                    at = i + 1
                    break
            found.append(at)
        out[f"{name} {kind}"] = found
print(json.dumps(out))
"""


def quality_delay(seeds: range, share: float = 0.2, quiet: int = 3_000, with_peers: bool = True) -> None:
    print(f"\nPlanted rise of the error from {share:.0%}, {quiet:,} quiet rows before; labelled rows until found")
    print(f"  streams of seeds {seeds.start} to {seeds.stop - 1}")
    rises = (0.02, 0.05, 0.1)
    cases = {f"+{round(100 * r)}": [errors_stream(s, r, quiet, 8_000, share) for s in seeds] for r in rises}
    cases["none"] = [errors_stream(s, 0.0, 10_000, 0, share) for s in seeds]
    theirs: dict[str, list[float | None]] = {}
    if with_peers:
        peers.OUT.mkdir(parents=True, exist_ok=True)
        file = peers.OUT / "errors.json"
        file.write_text(json.dumps({k: [e.tolist() for e in v] for k, v in cases.items()}))
        theirs = json.loads(peers.run("river", RIVER, str(file)))
    level = alarm_threshold(SHARES["accuracy"], 1, PROMISE)
    for name, made in cases.items():
        ours = [found_at(errors, level) for errors in made]
        if name == "none":
            share = 100 * np.mean(np.isfinite(ours))
            say("no rise: streams of 10,000 rows with an alarm (%)", share, "<= 1", share <= 1)
            for kind in ("ADWIN", "DDM"):
                if theirs:
                    say(f"  river {kind}", 100 * np.mean([t is not None for t in theirs[f"none {kind}"]]))
            continue
        delay, early = _delays(ours, quiet)
        bar = None
        for kind in ("ADWIN", "DDM"):
            if theirs:
                at, false = _delays([np.inf if t is None else t for t in theirs[f"{name} {kind}"]], quiet)
                say(f"  river {kind} {name} points (median rows)", at, note=f"alarm before the change in {false:.0%}")
                bar = at if kind == "ADWIN" else bar
        asked = bar is not None and name != "+2"
        say(
            f"{name} points of error (median rows)",
            delay,
            f"<= {bar:.0f}" if asked else "",
            delay <= bar if asked else None,
            f"alarm before the change in {early:.1%}",
        )


def _delays(found: list[float], quiet: int) -> tuple[float, float]:
    at = np.asarray(found, dtype=float)
    return float(np.median(at[at > quiet] - quiet)), float((at <= quiet).mean())


def real_streams(repeats: int) -> None:
    """Real rows in random order, and in blocks in random order: neither drifts, all are as the reference."""
    print("\nReal rows, shuffled and block-shuffled: streams with any alarm (%): columns, predictions, errors")
    for name, (cycle, target) in REAL.items():
        frame = read(name)
        frame = frame.select(c for c in frame.columns if frame[c].dtype.is_numeric() or frame[c].dtype == pl.String)
        for block in (1, cycle * 7, cycle * 28) if cycle > 1 else (1,):
            found: dict[str, float] = {}
            share = 100 * np.mean([real_alarm(frame, target, block, s, found) for s in range(repeats)])
            what = "shuffled" if block == 1 else f"blocks of {block} rows ({block // cycle} days)"
            most = max(found, key=found.get)
            say(
                f"{name}, {what}, {repeats} orders",
                share,
                "<= 1",
                share <= 1,
                f"nearest: {most} at {found[most]:.2f} of its level",
            )


REAL = {"electricity": (48, "price_up"), "bank_marketing": (1, "subscribed"), "bike_sharing_hourly": (24, "rentals")}


def real_alarm(frame: pl.DataFrame, target: str, block: int, seed: int, found: dict[str, float]) -> bool:
    """Whether anything alarms; ``found``: how far each subject came over all calls, as a share of its log level.

    The oldest quarter is the reference, and what the model was trained on; all labels of the rest come at once.
    """
    rng = np.random.default_rng(seed)
    n = frame.height // block * block
    order = (rng.permutation(n // block)[:, None] * block + np.arange(block)).ravel()
    mixed = frame[order]
    look = max(ROWS, block * -(-ROWS // block))
    first = max(max(4 * ROWS, block * -(-4 * ROWS // block)), n // 4 // look * look)
    known = build_references(mixed[:first].select(_clean(mixed[c]) for c in mixed.columns), mixed.columns)
    p, y = _answers(mixed, target, first)
    loss = compute_losses(y, p)
    edge = float(np.quantile(loss[:first], LARGE))
    wrong, large = p.argmax(axis=1) != y, loss > edge
    said = select_prediction(p, (0, 1))
    known |= build_references(said[:first].to_frame(), [PREDICTION])
    clumped = {"quality": estimate_quality_overdispersion(y[:first], p[:first], large[:first])}
    looks = []
    for i, a in enumerate(range(first, mixed.height - look, look)):
        here = slice(a, a + look)
        columns = {
            c: count_column(said[here] if c == PREDICTION else _clean(mixed[c][here]), r) for c, r in known.items()
        }
        sums = look, look, int(wrong[here].sum()), int(large[here].sum())
        looks.append(WindowCounts(f"r{i:09d}", str(i), str(i + 1), *sums, columns=columns))
    keys = {k.key for k in looks}
    watched = VersionMonitor("v1", known, loss_edge=edge, overdispersion=clumped)
    watched = learn_baselines(watched, looks, keys, "binary")
    alarmed = False
    for s in list_subjects(watched, looks, keys):
        path = compute_rise_path if s.rise else compute_drift_path
        come = path(s.windows, s.reference).max() / alarm_threshold(s.share, 1, PROMISE)
        found[s.key] = max(found.get(s.key, -np.inf), float(come))
        alarmed |= come >= 1
    return alarmed


def _answers(frame: pl.DataFrame, target: str, first: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) probabilities of a booster trained on the ``first`` rows, and labels; a number: above its median?"""
    import lightgbm

    y = frame[target].to_numpy()
    y = (y > np.median(y[:first])).astype(np.int64) if frame[target].n_unique() > 2 else y.astype(np.int64)
    inputs = [c for c in frame.columns if c not in (target, "rentals_casual", "rentals_registered")]
    x = np.column_stack(
        [frame[c].cast(pl.Categorical).to_physical() if frame[c].dtype == pl.String else frame[c] for c in inputs]
    ).astype(float)
    settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "num_leaves": 15}
    p = lightgbm.train(settings, lightgbm.Dataset(x[:first], y[:first]), 40).predict(x)
    return np.column_stack([1 - p, p]), y


def _clean(values: pl.Series) -> pl.Series:
    return values.cast(pl.Float64) if values.dtype.is_numeric() else values


EVIDENTLY = """
import sys, warnings; warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from evidently import Report, Dataset, DataDefinition
from evidently.presets import DataDriftPreset
streams, looks = int(sys.argv[1]), int(sys.argv[2])
cols = [f"f{i}" for i in range(20)]; dd = DataDefinition(numerical_columns=cols); any_ = alarmed = 0
for s in range(streams):
    r = np.random.default_rng(s); ref = pd.DataFrame(r.normal(size=(2000, 20)), columns=cols); hit = False
    for k in range(looks):
        cur = pd.DataFrame(r.normal(size=(500, 20)), columns=cols)
        pair = [Dataset.from_pandas(x, data_definition=dd) for x in (cur, ref)]
        d = Report([DataDriftPreset()]).run(*pair).dict()
        n = d["metrics"][0]["value"]["count"]; any_ += n > 0; hit |= n > 0
    alarmed += hit
print(alarmed / streams, any_ / (streams * looks))
"""
NANNYML = """
import sys, warnings; warnings.filterwarnings("ignore")
import numpy as np, pandas as pd, nannyml as nml
streams, looks = int(sys.argv[1]), int(sys.argv[2]); cols = [f"f{i}" for i in range(20)]
hits = {m: [0, 0] for m in ("kolmogorov_smirnov", "jensen_shannon")}
for s in range(streams):
    r = np.random.default_rng(s); ref = pd.DataFrame(r.normal(size=(2000, 20)), columns=cols)
    cur = pd.DataFrame(r.normal(size=(500 * looks, 20)), columns=cols)
    c = nml.UnivariateDriftCalculator(column_names=cols, continuous_methods=list(hits), chunk_size=500).fit(ref)
    res = c.calculate(cur).filter(period="analysis").to_df()
    for m in hits:
        a = np.column_stack([res[(f, m, "alert")].values for f in cols]).any(1)
        hits[m][0] += a.any(); hits[m][1] += a.sum()
for m, (a, b) in hits.items(): print(m, a / streams, b / (streams * looks))
"""


def peers_false(streams: int, looks: int) -> None:
    print(f"\nThe peers' defaults on {streams} such streams (20 normal columns), {looks} looks")
    alarmed, of_looks = peers.run("evidently", EVIDENTLY, str(streams), str(looks)).split()[-2:]
    say(
        "Evidently: streams with a drifted column (%)", 100 * float(alarmed), note=f"{float(of_looks):.0%} of the looks"
    )
    for line in peers.run("nannyml", NANNYML, str(streams), str(looks)).splitlines():
        words = line.split()
        if words and words[0] in ("kolmogorov_smirnov", "jensen_shannon"):
            say(
                f"NannyML {words[0]}: streams with an alert (%)",
                100 * float(words[1]),
                note=f"{float(words[2]):.0%} of the looks",
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=100, help="shuffles of each real stream")
    parser.add_argument("--errors", type=int, default=200, help="streams of errors")
    parser.add_argument(
        "--first-seed", type=int, default=0, help="of the streams of errors; settings were chosen on 0 …"
    )
    parser.add_argument("--share", type=float, default=0.2, help="of errors before they rise")
    parser.add_argument("--peer-streams", type=int, default=5, help="quiet streams before Evidently and NannyML")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--only", default="", help="false,drift,quality,real,peers")
    asked = parser.parse_args()
    parts = {
        "drift": drift_delay,
        "quality": lambda: quality_delay(
            range(asked.first_seed, asked.first_seed + asked.errors), asked.share, with_peers=not asked.no_peers
        ),
        "real": lambda: real_streams(asked.repeats),
        "peers": lambda: None if asked.no_peers else (peers_delay(20), peers_false(asked.peer_streams, 20)),
        "false": lambda: false_alarms(asked.streams),
    }
    for name, part in parts.items():
        if not asked.only or name in asked.only.split(","):
            part()
    print(f"\n{len(failed)} failed" + (": " + "; ".join(failed) if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
