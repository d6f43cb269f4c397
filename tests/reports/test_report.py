"""The page: says what the card says, escapes what strangers wrote, needs nothing but itself."""

from __future__ import annotations

import dataclasses
import html.parser
import re
import shutil
import subprocess

import numpy as np
import pytest

from evermodel.core.errors import AskedWrongly, NotFound
from evermodel.reports.report import report
from tests.reports.conftest import pair_of

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>"
VOID = {"meta", "link", "br", "img", "hr", "input", "path", "rect", "circle"}
CASES = [("binary", 2, d) for d in ("promote", "hold", "reject", "invalid")]
CASES += [
    ("multiclass", 5, "promote"),
    ("multiclass", 43, "hold"),
    ("multiclass", 60, "reject"),
    ("regression", 0, "promote"),
]


class Outline(html.parser.HTMLParser):
    """Every tag is closed in order; keeps the tags, their attributes and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID or tag == "circle":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag in self.open or tag not in VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)


def page(registry, tmp_path, version="newest"):
    done = report("m", version, to=tmp_path / "r.html", registry=registry)
    return done, (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(("task", "k", "decision"), CASES)
def test_every_kind_of_verdict_is_a_whole_small_page(make, tmp_path, task, k, decision):
    done, text = page(make(task, k=k, decision=decision), tmp_path)
    outline = Outline(text)
    said = " ".join(outline.text)
    words = {"promote": "promoted", "hold": "held", "reject": "rejected", "invalid": "quarantined"}
    assert done.decision == decision and done.size == len(text.encode()) < 400_000
    assert not outline.open
    assert words[decision] in said
    assert ("m v2" if decision == "promote" else "m v1") in said
    for heading in ("Old against new", "What else was tried", "Learning curves", "Slices", "What changed", "Lineage"):
        assert heading in said
    assert ("Confusions" in said) == (task != "regression")
    assert ("ROC curve" in said) == (task == "binary")
    assert ("Predicted against true" in said) == (task == "regression")


def test_an_adopted_version_shows_what_it_expects_and_no_empty_section(make, tmp_path):
    done, text = page(make(alone=True), tmp_path)
    said = " ".join(Outline(text).text)
    assert done.decision == "adopt" and "adopted" in str(done)
    assert "What the model expects" in said and "standard" in said and "evermodel update m" in said
    for heading in ("Old against new", "What else was tried", "Learning curves", "Confusions", "Slices"):
        assert heading not in said


@pytest.mark.parametrize("alone", [True, False])
def test_what_strangers_wrote_is_text_and_never_markup(make, tmp_path, alone):
    registry = make(hostile=HOSTILE, labels=(HOSTILE, "b"), alone=alone)
    _, text = page(registry, tmp_path)
    outline = Outline(text)
    assert outline.tags.count("script") == 1 and "img" not in outline.tags
    assert not [name for name, _ in outline.attributes if name.startswith("on")]
    assert HOSTILE in "".join(outline.text)


@pytest.mark.parametrize("alone", [True, False])
def test_the_page_asks_nobody_for_anything(make, tmp_path, alone):
    _, text = page(make(alone=alone), tmp_path)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", text)
    links = [v for name, v in Outline(text).attributes if name in ("src", "href", "action", "srcset")]
    assert links == ["data:,"]


def test_what_is_not_known_is_said_and_never_zero(make, tmp_path):
    pair = pair_of("binary")
    one_class = dataclasses.replace(pair.new, y=np.ones(len(pair.new), dtype=int))
    _, text = page(make(scores=dataclasses.replace(pair, new=one_class)), tmp_path)
    said = Outline(text).text
    assert "not known" in said and "no interval" in said
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", " ".join(said))
    assert not re.search(r"(?i)[ \"M]nan|inf[ \"]", "".join(re.findall(r' d="[^"]*"', text)))


def test_a_row_of_scores_reads_as_the_card_has_it(make, tmp_path):
    registry = make("regression")
    _, text = page(registry, tmp_path)
    from evermodel.plugins.stores.sql import sql

    score = sql(registry).read_card("m", "v2").update.scores["new"]["r2"]
    row = re.search(r"<tr class=\"main\">.*?</tr>", text, re.S).group()
    assert f"{score.champion:.4f}" in row and f"{score.challenger:.4f}" in row
    assert f"{score.difference:+.4f}" in row and ">better<" in row


def test_last_value_seen_that_wins_is_said_in_words(make, tmp_path):
    _, text = page(make(), tmp_path)
    assert "repeat the last value seen scores better than the model" in " ".join(Outline(text).text)


def test_a_version_can_be_named_and_one_that_is_not_there_is_said(make, tmp_path):
    registry = make()
    assert report("m", "v1", to=tmp_path / "r.html", registry=registry).version == "v1"
    assert report("m", "champion", to=tmp_path / "r.html", registry=registry).version == "v2"
    rejected = make(decision="reject")
    assert report("m", to=tmp_path / "r.html", registry=rejected).version == "v1", "the one in service"
    assert report("m", "newest", to=tmp_path / "r.html", registry=rejected).version == "v2"
    with pytest.raises(NotFound, match="v9"):
        report("m", "v9", to=tmp_path / "r.html", registry=registry)
    with pytest.raises(AskedWrongly, match="name a file"):
        report("m", to=tmp_path, registry=registry)
    with pytest.raises(NotFound, match="folder"):
        report("m", to=tmp_path / "none" / "r.html", registry=registry)


def test_a_damaged_version_is_reported_as_damaged(make, tmp_path):
    registry = make()
    (registry / "versions" / "m" / "v2" / "contract.json").write_text("{}")
    _, text = page(registry, tmp_path)
    assert "damaged" in text


def test_pictures_have_names_and_tables_have_headings(make, tmp_path):
    _, text = page(make(), tmp_path)
    for svg in re.findall(r"<svg[^>]*>", text):
        assert 'aria-hidden="true"' in svg or re.search(r'role="img" aria-label="[^"]+"', svg), svg
    for table in re.findall(r"<table.*?</table>", text, re.S):
        assert 'scope="col"' in table and 'scope="row"' in table


def test_a_browser_shows_the_page_without_a_word_of_complaint(make, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    page(make(), tmp_path)
    picture = tmp_path / "r.png"
    done = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--enable-logging=stderr",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-quic",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--screenshot={picture}",
            "--window-size=1280,2000",
            (tmp_path / "r.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert picture.stat().st_size > 50_000, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
