"""What is watched of texts: words, scripts, topics, repeated texts; and what an alarm says of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

import evermodel
from evermodel.core.data.content_features import with_descriptions
from evermodel.core.data.contract import Column, Contract
from evermodel.core.records.column_roles import Roles
from evermodel.core.records.monitoring import AlarmCause, TextAspect, TextChange
from evermodel.monitoring.alarms.alarm_wording import build_notices
from evermodel.monitoring.monitor_state import from_bytes, read_state, to_bytes, write_state
from evermodel.monitoring.texts.languages import find_languages
from evermodel.monitoring.texts.scripts_of_texts import find_scripts
from evermodel.monitoring.texts.text_changes import describe_changes, find_aspect
from evermodel.monitoring.texts.text_columns import count_texts, learn_text_columns
from evermodel.monitoring.texts.text_counts import TextCounts
from evermodel.monitoring.texts.text_reference import find_repeated
from evermodel.monitoring.texts.word_table import WordTable, hash_texts, split_words
from evermodel.registry.lookup import open_store

CONTRACT = Contract("binary", Roles(target="topic"), (Column("request", "text"),))
OF = {
    "money": ["account", "card", "balance", "pay", "transfer", "bank", "fee", "bill", "credit", "loan", "deposit"],
    "travel": ["flight", "hotel", "luggage", "book", "visa", "airport", "seat", "ticket", "passport", "rental"],
}
BETWEEN = ["please", "can", "you", "tell", "me", "what", "my", "the", "a", "for", "is", "how", "do", "i", "need", "to"]


def requests(n: int, seed: int) -> pl.DataFrame:
    """Requests of a few words, one word in thirty of them a name that hardly comes twice."""
    random = np.random.default_rng(seed)
    topics = random.choice(list(OF), n)
    texts = []
    for topic in topics:
        words = [*random.choice(BETWEEN, random.integers(3, 8)), *random.choice(OF[topic], random.integers(1, 4))]
        names = ["".join(random.choice(list("abcdefghij"), 6)) for _ in range(int(random.random() < 0.2))]
        texts.append(" ".join(random.permutation([*words, *names])))
    return pl.DataFrame({"request": texts, "topic": topics})


@pytest.fixture(scope="module")
def adopted(tmp_path_factory):
    """A registry whose model is a TF-IDF pipeline, before anything was watched."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    frame = requests(3000, 1)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    model.fit(frame["request"].to_list(), frame["topic"].to_list())
    folder = tmp_path_factory.mktemp("texts") / "registry"
    evermodel.adopt(model, data=frame, target="topic", name="m", registry=folder)
    return folder


@pytest.fixture
def registry(adopted, tmp_path):
    import shutil

    return shutil.copytree(adopted, tmp_path / "registry")


def test_a_word_is_a_run_of_letters_or_a_letter_where_no_blanks_are_written():
    words, rows = split_words(pl.Series(["Don't stop-me 42 x9", "我要订票 ok", "", None, "привет мир"]))
    assert words.to_list() == ["don", "t", "stop", "me", "x", "我", "要", "订", "票", "ok", "привет", "мир"]
    assert rows.to_list() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 4, 4]


def test_a_stored_word_table_is_read_alike_by_every_release():
    """The hash is part of what is stored: another one would make each known word unknown."""
    table = WordTable(4, WordTable.build(pl.Series(["pay", "pay", "pay", "card"]), 4).slots)
    known, weights = table.weigh_words(hash_texts(pl.Series(["pay", "card", "flug"])).hashes)
    assert known.tolist() == [True, True, False]
    assert weights == pytest.approx(np.log([5 / 3, 5 / 2, 5]))
    assert hash_texts(pl.Series(["pay"])).hashes[0, :4].tolist() == [229, 189, 82, 182]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("hello", "Latin"),
        ("où est l'hôtel", "Latin"),
        ("где отель hotel", "Cyrillic"),
        ("ホテルはどこ", "Japanese"),
        ("東京のホテル", "Japanese"),
        ("酒店在哪里", "Han"),
        ("호텔", "Hangul"),
        ("სასტუმრო", "another script"),
        ("42 !", "no letters"),
        (" \n", "empty"),
        ("", "empty"),
        (None, None),
    ],
)
def test_the_script_of_a_text(text, script):
    assert find_scripts(pl.Series(["hello", text, "мир"], dtype=pl.String)).to_list() == ["Latin", script, "Cyrillic"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("what is the weather like tomorrow", "English"),
        ("wie komme ich zum Bahnhof?", "German"),
        ("où est la gare", "French"),
        ("quiero bloquear mi cuenta", "Spanish"),
        ("quero bloquear a minha conta", "Portuguese"),
        ("vorrei bloccare il mio conto", "Italian"),
        ("ik wil mijn rekening blokkeren", "Dutch"),
        ("jag vill spärra mitt kort", "Swedish"),
        ("proszę zablokować moją kartę", "Polish"),
        ("nerede bir bilet var", "Turkish"),
        ("где мой заказ", "Russian"),
        ("де моє замовлення, будь ласка", "Ukrainian"),
        ("timer", "not told"),
        ("me", "not told"),
        ("東京", "not told"),
        ("", "not told"),
    ],
)
def test_the_language_of_a_text(text, language):
    assert find_languages(hash_texts(pl.Series(["the end", text]))).to_list() == ["English", language]


def test_texts_repeat_one_of_the_hundred_before_also_in_an_earlier_delivery():
    texts = pl.Series(["Call 12345 now", "a", None, "", "", "17", "18", "call  678 NOW", "b", "a"])
    repeated, recent = find_repeated(texts, ())
    assert repeated.nonzero()[0].tolist() == [7, 9], "neither missing texts, nor empty ones, nor codes"
    again, recent = find_repeated(pl.Series(["b", *(f"text {'x' * i}" for i in range(100)), "b", "a"]), recent)
    assert again.nonzero()[0].tolist() == [0], "b came just before; a hundred texts later it does not count"
    assert len(recent) == 100


def test_new_rows_have_as_many_unseen_words_as_the_half_of_the_reference_that_was_not_learnt():
    """Counted on the rows that it was learnt from, the reference would know all of its words."""
    frame, new = (with_descriptions(requests(n, s)[["request"]], CONTRACT.columns) for n, s in ((4000, 2), (2000, 3)))
    texts, columns = learn_text_columns(frame, CONTRACT)
    counts = texts["request"].counts
    assert 1500 < counts.texts < 2500
    found = count_texts(new, texts, columns, {}, np.arange(2000) // 1000, 2)
    whole = found.sums["request"][0] + found.sums["request"][1]
    before, now = (c.unseen_words / c.words for c in (counts, whole))
    assert 0.01 < before < 0.04
    assert now == pytest.approx(before, rel=0.25)
    assert whole == count_texts(new, texts, columns, {}, np.zeros(2000, dtype=int), 1).sums["request"][0]
    assert whole.scripts == {"Latin": 2000}
    assert whole.characters == new["request"].str.len_chars().sum()


def test_quiet_texts_are_quiet_and_the_sums_are_shown(registry):
    for seed in (4, 5):
        found = evermodel.watch("m", requests(2000, seed), registry=registry)
    assert not found.status.open
    drift = {d.column: d.statistics for d in found.status.drift}
    assert drift["request.unseen words"]["mean"] == pytest.approx(
        drift["request.unseen words"]["reference_mean"], rel=0.3
    )
    assert 20 < drift["request.length"]["reference_mean"] < 60
    assert drift["request.repeats"]["reference_mean"] < 0.02
    assert not found.status.notes


def spoil(share: float, to):
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        hit = np.random.default_rng(0).random(frame.height) < share
        texts = [to(t, i) if h else t for i, (t, h) in enumerate(zip(frame["request"], hit, strict=True))]
        return frame.with_columns(request=pl.Series(texts))

    return change


CYRILLIC = str.maketrans("abcdefghijklmnopqrstuvwxyz", "абцдефгхижклмнопярстуввхыз")
CHANGES = {
    "language": (spoil(0.2, lambda t, i: f"ich möchte meine {t[-5:]}"), "are in German (none in the reference rows)"),
    "script": (spoil(0.3, lambda t, i: t.translate(CYRILLIC)), "are in Cyrillic script (none in the reference rows)"),
    "empty": (spoil(0.2, lambda t, i: ""), "are empty (none in the reference rows)"),
    "unseen words": (spoil(0.5, lambda t, i: t.replace("e", "eq")), "of their words were never seen ("),
    "longer": (spoil(1.0, lambda t, i: f"{t} {t} {t}"), "they are 3.1 times as long, with"),
    "repeats": (
        spoil(0.2, lambda t, i: f"your parcel {i} waits"),
        "repeat one of the hundred texts before them, digits aside (",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_texts_is_one_alarm_that_says_in_words_what_changed(kind, registry):
    change, words = CHANGES[kind]
    evermodel.watch("m", requests(2000, 6), registry=registry)
    found = evermodel.watch("m", change(requests(2000, 7)).drop("topic"), registry=registry)
    notices = [n for n in build_notices(found.status) if n.alarm.kind != "quality"]
    assert len(notices) == 1, "one cause is one alarm"
    assert notices[0].alarm.cause == AlarmCause.TEXTS_CHANGED
    assert notices[0].text.startswith("the texts of request changed: ")
    assert words in notices[0].text
    assert notices[0].next_command == "evermodel watch m --labels FILE"
    assert words in str(found)
    assert "request." not in notices[0].text, "what is said in words is not listed by its column"


def test_texts_are_also_watched_as_the_models_network_sees_them(tmp_path):
    """Sentences of one intent are near one another for a trained network, whichever words they have."""
    from tests.frameworks.tiny_text_model import make_folder, make_rows

    known = ("pay", "cook")
    registry, folder = tmp_path / "registry", make_folder(tmp_path / "bert", known)
    evermodel.adopt(folder, data=make_rows(known, 1500, 1), target="intent", name="b", registry=registry)
    quiet = evermodel.watch("b", make_rows(known, 2000, 2), registry=registry).status
    assert not quiet.open
    texts = read_state(open_store(registry), "b")[0].watched["v1"].texts["text"]
    assert len(texts.network.middle) == 32
    rows = {d.column: d for d in quiet.drift}
    assert rows["text.meaning"].statistics["missing"] == 0, "a text that was not drawn is not missing"
    given = make_rows(known, 500, 4).with_columns(prediction=pl.col("intent"))
    status = evermodel.watch("b", given, registry=registry).status
    assert "text.meaning" not in {d.column for d in status.drift}, "a network is not asked where answers came along"
    found = evermodel.watch("b", make_rows(("fly",), 1000, 3).drop("intent"), registry=registry).status
    assert {"drift:text.meaning", "range:text.meaning"} & {m for a in found.open for m in a.members}


@pytest.mark.parametrize("to", [None, ""])
def test_missing_texts_are_missing_and_empty_ones_are_not(to, registry):
    frame = spoil(0.3, lambda t, i: to)(requests(2000, 8)).drop("topic")
    found = evermodel.watch("m", frame, registry=registry).status
    changes = {c.aspect: c for a in found.open for c in a.data.texts}
    assert (TextAspect.MISSING in changes) == (to is None)
    if to is None:
        assert changes[TextAspect.MISSING].now == pytest.approx(0.3, abs=0.05)
    else:
        assert changes[TextAspect.SCRIPT].detail == "empty"


def test_another_language_is_no_change_of_a_unit(registry):
    frame = requests(2000, 9).with_columns(pl.col("request").str.replace_all("[aeiou]", "ü"))
    found = evermodel.watch("m", frame.drop("topic"), registry=registry).status
    assert not [a for a in found.open if a.kind == "types"]
    assert TextAspect.UNSEEN_WORDS in {c.aspect for a in found.open for c in a.data.texts}


def test_a_monitor_that_began_without_words_goes_on_and_says_so(registry):
    evermodel.watch("m", requests(1000, 10), registry=registry)
    store = open_store(registry)

    def forget(state):
        watched = state.watched["v1"]
        learnt = ("script", "language", "unseen words", "novelty", "topic", "meaning")
        columns = {n: c for n, c in watched.columns.items() if n.removeprefix("request.") not in learnt}
        windows = {k: dataclasses.replace(w, texts={}) for k, w in watched.windows.items()}
        old = dataclasses.replace(watched, columns=columns, windows=windows, texts={}, recent_texts={})
        return dataclasses.replace(state, watched={"v1": old}), []

    write_state(store, "m", forget)
    changed = spoil(1.0, lambda t, i: f"{t} {t}")(requests(2000, 11)).drop("topic")
    found = evermodel.watch("m", changed, registry=registry).status
    assert any(n.startswith("of the texts of request, lengths and characters are watched;") for n in found.notes)
    assert "request.length" in {a.subject for a in found.open}
    assert not [a for a in found.open if a.data.texts]


STRANGE = {
    "none": [None] * 200,
    "empty": [""] * 200,
    "alike": ["hello world"] * 400,
    "few": ["hello world", "good bye"],
    "codes": [str(i) for i in range(300)],
    "no blanks": ["我要订票去北京", "酒店在哪里"] * 150,
    "strange signs": ["a\x00b", "\u202e abc", "\U0010ffff", "👍🏽 😀", "e\u0301", "x" * 100_000] * 50,
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.filterwarnings("error")
def test_strange_texts_are_counted_as_new_rows_and_as_a_reference(kind):
    usual, strange = (
        with_descriptions(pl.DataFrame({"request": texts}, schema={"request": pl.String}), CONTRACT.columns)
        for texts in (requests(500, 13)["request"].to_list(), STRANGE[kind])
    )
    for reference, new in ((usual, strange), (strange, usual), (strange, strange)):
        texts, columns = learn_text_columns(reference, CONTRACT)
        found = count_texts(new, texts, columns, {}, np.zeros(new.height, dtype=int), 1)
        for column, counts in found.columns.items():
            assert counts[0].rows <= new.height, column
        for sums in found.sums.values():
            assert sums[0].texts == new["request"].count()
            assert 0 <= sums[0].unseen_words <= sums[0].words


def test_the_state_survives_and_holds_no_text(registry):
    evermodel.watch("m", requests(500, 12), registry=registry)
    state = read_state(open_store(registry), "m")[0]
    stored = repr(state.watched["v1"].texts) + repr(state.watched["v1"].windows)
    assert "passport" not in stored
    assert to_bytes(from_bytes(to_bytes(state))) == to_bytes(state)


def test_sums_of_texts_add_up_in_any_order():
    one, two = TextCounts(3, 30, scripts={"Latin": 3}), TextCounts(2, 10, words=4, scripts={"Han": 1, "Latin": 1})
    assert one + two == two + one == TextCounts(5, 40, 4, scripts={"Han": 1, "Latin": 4})


@pytest.mark.parametrize("aspect", TextAspect)
def test_every_aspect_has_a_sentence_at_its_ends(aspect):
    for now, before in ((0.3, 0.1), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)):
        text = describe_changes([TextChange("a b", aspect, now, before, "Greek")])
        assert text.startswith("the texts of a b changed: ")
        assert "nan" not in text


def test_the_largest_changes_are_named_and_the_others_counted():
    shares = {TextAspect.DIGITS: 0.02, TextAspect.SCRIPT: 0.9, TextAspect.TOPIC: 0.05, TextAspect.SIGNS: 0.011}
    text = describe_changes([TextChange("t", a, now, 0.01, "Greek") for a, now in shares.items()])
    assert text.index("Greek") < text.index("similar texts") < text.index("digits")
    assert text.endswith("; 1 more of their measures changed")


def test_a_column_with_a_dot_is_found_by_its_own_name():
    of = {"a": 0, "a.b": 0}
    assert find_aspect("a.b.length", of) == ("a.b", TextAspect.LENGTH)
    assert find_aspect("a.length", of) == ("a", TextAspect.LENGTH)
    assert find_aspect("length", of) is None
    assert find_aspect("a.lengths", of) is None
