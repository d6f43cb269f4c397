"""What a monitor keeps of the reference rows' texts, and how the texts of new rows are measured against it.

What is learnt, words and topics, is learnt from half of the rows, drawn at random, and counted in the other half:
these have words that the first half does not have, just as new rows do, so that both can be compared.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.core.errors import BadModel
from evermodel.monitoring.texts.languages import find_languages
from evermodel.monitoring.texts.scripts_of_texts import find_scripts
from evermodel.monitoring.texts.text_counts import TextCounts, sum_texts
from evermodel.monitoring.texts.topics import NetworkView, Topics, embed_words
from evermodel.monitoring.texts.word_table import WordsOfTexts, WordTable, hash_texts, split_words

logger = logging.getLogger(__name__)

FEWEST = 40  # reference texts below which nothing is learnt of them
NEAR = 100  # texts before one among which it may be repeated
CHARACTERS_A_PART = 4_000_000  # whose words are held at once
CHARACTERS_A_POINT = 100  # that weigh as much in memory as the point of a text
EVERY = 2  # of so many texts, one is embedded by the model's network
MOST_EMBEDDED = 2_000  # reference texts that topics are learnt from then
MOST_READ = 64  # texts of a block of rows whose likelihood is asked for; of the reference rows' eight times as many
READ_CHARACTERS = 1_000  # of a text
LEARNT = (
    "script",
    "language",
    "unseen words",
    "novelty",
    "topic",
    "meaning",
    "surprise",
)  # of each text, measured against the reference


@dataclass(frozen=True)
class TextNetwork:
    """What the model's own network can say of texts; None for what it cannot."""

    embed: Callable[[Sequence[str]], Array] | None = None  # texts -> (n, d)
    measure_nats: Callable[[Sequence[str]], Array] | None = None  # texts -> (n,) minus the log probability of each


NO_NETWORK = TextNetwork()


@dataclass(frozen=True)
class TextReference:
    """The texts of one column in the reference rows: sketches and sums, from which no text can be read."""

    words: WordTable
    topics: Topics | None
    network: NetworkView | None = None  # how the model's own network sees texts, where it has one
    counts: TextCounts = field(default_factory=TextCounts)  # of the half that is compared with
    has_surprise: bool = False  # the network said how likely the texts are


@dataclass(frozen=True)
class MeasuredTexts:
    """Texts measured against a reference: columns for the monitor, and sums for people."""

    columns: tuple[pl.Series, ...]  # "COLUMN.script", "COLUMN.unseen words", …: null where there is nothing to count
    words: Array  # (n, 2): words of each text, and those that are unseen


def learn_texts(
    frame: pl.DataFrame, column: str, network: TextNetwork = NO_NETWORK
) -> tuple[TextReference, tuple[pl.Series, ...]] | None:
    """The reference of described rows, oldest first, and the measured columns of the half that was not learnt from.

    None for too few texts.
    """
    texts = frame[column]
    if len(texts) - texts.null_count() < FEWEST:
        return None
    learnt = np.random.default_rng(0).random(len(texts)) < 0.5
    half, rest = frame.filter(pl.Series(learnt)), frame.filter(pl.Series(~learnt))
    words, rows = split_words(half[column])
    once = pl.DataFrame({"word": words, "row": rows}).unique()
    table = WordTable.build(once["word"], half.height)
    points = [embed_words(part, table.weigh_words(part.hashes)[1]) for part in hash_in_parts(half[column])]
    view = None if network.embed is None else _learn_network_view(half[column], network.embed)
    reads = network.measure_nats is not None
    reference = TextReference(table, Topics.find(np.concatenate(points)), view, has_surprise=reads)
    measured = measure_texts(rest[column], reference, network, most_read=8 * MOST_READ)
    none = np.zeros(rest.height, dtype=bool)
    described = rest.hstack(list(measured.columns))
    counts = sum_texts(described, column, measured.words, none, np.zeros(rest.height, dtype=np.int64), 1)[0]
    return dataclasses.replace(reference, counts=counts), measured.columns


def _learn_network_view(texts: pl.Series, embed: Callable[[Sequence[str]], Array]) -> NetworkView | None:
    """The newest reference texts as the network sees them; None where it gives no hidden states."""
    try:
        return NetworkView.find(embed(texts.drop_nulls().tail(MOST_EMBEDDED).to_list()))
    except BadModel as error:
        logger.info("The texts of %s are watched by their words alone: %s", texts.name, error)
        return None


def measure_texts(
    texts: pl.Series, reference: TextReference, network: TextNetwork = NO_NETWORK, *, most_read: int = MOST_READ
) -> MeasuredTexts:
    """The columns of ``LEARNT`` for each text; O(characters).

    The model's network is asked where each ``EVERY``-th text lies, and how likely ``most_read`` of them are: it is a
    thousand times slower than words are counted.
    """
    counts, languages, distance, group = [], [], [], []
    for part in hash_in_parts(texts):
        known, weights = reference.words.weigh_words(part.hashes)
        n = np.bincount(part.rows, minlength=part.n_texts)
        counts.append(np.column_stack([n, np.bincount(part.rows[~known[part.words]], minlength=part.n_texts)]))
        languages.append(find_languages(part))
        if reference.topics is not None:
            away, of = reference.topics.locate_texts(embed_words(part, weights))
            distance.append(away)
            group.append(of)
    words, missing = np.concatenate(counts), texts.is_null()
    share = np.where(words[:, 0] > 0, words[:, 1] / np.maximum(words[:, 0], 1), np.nan)
    columns = [
        find_scripts(texts).alias(f"{texts.name}.script"),
        pl.concat(languages).set(missing, None).alias(f"{texts.name}.language"),
        pl.Series(f"{texts.name}.unseen words", share).fill_nan(None),
    ]
    if group:
        columns.append(pl.Series(f"{texts.name}.novelty", np.concatenate(distance)).fill_nan(None))
        topic = pl.Series(f"{texts.name}.topic", np.concatenate(group)).cast(pl.String)
        columns.append(topic.replace({"-1": None}))
    if reference.network is not None and network.embed is not None:
        columns.append(_measure_by_network(texts, reference.network, network.embed).alias(f"{texts.name}.meaning"))
    if reference.has_surprise and network.measure_nats is not None:
        columns.append(_measure_surprise(texts, network.measure_nats, most_read).alias(f"{texts.name}.surprise"))
    return MeasuredTexts(tuple(columns), words)


def _measure_surprise(texts: pl.Series, measure_nats: Callable[[Sequence[str]], Array], most: int) -> pl.Series:
    """Bits a character of ``most`` of the texts, evenly spread; null for the others and for those without a sign.

    By characters, since a token is another thing to each model: perplexity is 2 to the power of the bits of a token.
    """
    usable = np.flatnonzero(texts.str.contains(r"\S").fill_null(False).to_numpy())
    at = usable[np.unique(np.linspace(0, len(usable) - 1, most).round().astype(int))] if len(usable) else usable
    read = texts.gather(at).str.slice(0, READ_CHARACTERS)
    bits = np.full(len(texts), np.nan)
    if len(at):
        bits[at] = measure_nats(read.to_list()) / np.log(2) / read.str.len_chars().to_numpy()
    return pl.Series(np.where(np.isfinite(bits), bits, np.nan)).fill_nan(None)


def _measure_by_network(texts: pl.Series, view: NetworkView, embed: Callable[[Sequence[str]], Array]) -> pl.Series:
    """The distance of each ``EVERY``-th text to the nearest centre; null for the others."""
    at = np.arange(0, len(texts), EVERY)
    at = at[~texts.gather(at).is_null().to_numpy()]
    distance = np.full(len(texts), np.nan)
    if len(at):
        distance[at] = view.measure_distances(embed(texts.gather(at).to_list()))
    return pl.Series(distance).fill_nan(None)


def find_repeated(texts: pl.Series, before: tuple[int, ...]) -> tuple[Array, tuple[int, ...]]:
    """(n,) whether a text equals one of the ``NEAR`` before it, digits and blanks aside; and the hashes of the newest.

    ``before``: hashes of the texts that came before these, oldest first. Texts without a letter are none: codes are not
    templates.
    """
    plain = texts.str.to_lowercase().str.replace_all(r"\p{Nd}+", "0").str.replace_all(r"\s+", " ").str.strip_chars()
    usable = plain.str.contains(r"\p{L}").fill_null(False)
    hashes = (plain.filter(usable).hash(seed=0).to_numpy() % 2**32).astype(np.int64)
    all_of = np.concatenate([np.asarray(before, dtype=np.int64), hashes])
    order = np.argsort(all_of, kind="stable")
    again = np.zeros(len(all_of), dtype=bool)
    close = np.diff(order) <= NEAR
    again[order[1:]] = close & (np.diff(all_of[order]) == 0)
    repeated = np.zeros(len(texts), dtype=bool)
    repeated[usable.to_numpy()] = again[len(before) :]
    return repeated, tuple(all_of[-NEAR:].tolist())


def hash_in_parts(texts: pl.Series) -> list[WordsOfTexts]:
    """The texts in parts of some million characters, so that their words fit into memory."""
    size = texts.str.len_chars().fill_null(0) + CHARACTERS_A_POINT
    ends = size.cum_sum().to_numpy() // CHARACTERS_A_PART
    starts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(texts)]
    return [hash_texts(texts[a:b]) for a, b in zip(starts[:-1], starts[1:], strict=True)]
