"""A torch program of whole numbers is fed as they are, and learns from new rows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl
import pytest

if importlib.util.find_spec("torch") is None:
    pytest.skip('needs pip install "evermodel[torch]"', allow_module_level=True)

import torch

import evermodel as em
from evermodel.core.errors import ContractBroken
from evermodel.core.records.model_signature import ListLayout, NamedInput

WORDS, LENGTH = 30, 5
NAMES = [f"word{i}" for i in range(LENGTH)]


def sentences(n: int, seed: int) -> pl.DataFrame:
    """Rows of word numbers; the label is whether they are good words in all."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, WORDS, (n, LENGTH))
    good = np.random.default_rng(0).normal(size=WORDS)[ids].sum(axis=1) + random.normal(0, 0.5, n)
    frame = pl.DataFrame(ids, NAMES, orient="row")
    return frame.with_columns(good=pl.Series((good > 0).astype(int)), t=pl.int_range(n) + 10_000 * seed)


class Bag(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.answer = torch.nn.Embedding(WORDS, 4), torch.nn.Linear(4, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.answer(self.words(ids).mean(dim=1))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    module, rows = Bag(), sentences(1500, 1)
    x, y = torch.tensor(rows.select(NAMES).to_numpy()), torch.tensor(rows["good"].to_numpy())
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(120):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
    at = tmp_path_factory.mktemp("program") / "bag.pt2"
    rows_of_any_number = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(module.eval(), (x[:4],), dynamic_shapes=rows_of_any_number), at)
    return at


def test_whole_numbers_reach_the_embedding_as_they_are(program: Path, tmp_path: Path) -> None:
    model = em.open(tmp_path).adopt(program, data=sentences(1000, 1), target="good", time="t", name="bag")
    assert model.champion.card.signature.inputs == (NamedInput("ids", (LENGTH,), "int64", tuple(NAMES), WORDS),)
    new = sentences(600, 2)
    result = model.update(new)
    assert result.decision == "promote", result.headline
    rows = sentences(100, 3)
    x = torch.tensor(rows.select(NAMES).to_numpy())
    plain = torch.softmax(model.champion.load()(x), dim=1)[:, 1].detach().numpy()
    np.testing.assert_allclose(plain, model.predict(rows.select(NAMES))["p_1"], atol=1e-5)
    assert ((plain > 0.5) == rows["good"].to_numpy()).mean() > 0.8
    with pytest.raises(ContractBroken, match=rf"'word0' holds {WORDS}, a value beyond the model's table"):
        model.predict(rows.select(NAMES).with_columns(word0=pl.lit(WORDS)))


def test_lists_of_any_length_are_padded_and_cut_as_the_signature_file_says(program: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    worth = np.random.default_rng(0).normal(size=WORDS)

    def ragged(n: int) -> pl.DataFrame:
        lists = [random.integers(1, WORDS, random.integers(1, 8)).tolist() for _ in range(n)]
        good = [int(worth[pad(one)].sum() + random.normal(0, 0.5) > 0) for one in lists]
        return pl.DataFrame({"sentence": lists, "good": good})

    def pad(one: list[int]) -> list[int]:
        return (one + [0] * LENGTH)[:LENGTH]

    (tmp_path / "signature.toml").write_text(
        '[inputs.ids]\ncolumns = ["sentence"]\npad = 0\npad_side = "right"\ncut_side = "right"\n'
    )
    model = em.open(tmp_path).adopt(
        program, data=ragged(900), target="good", name="bag", shuffled=True, signature=tmp_path / "signature.toml"
    )
    assert model.champion.card.signature.row_format.lists == (ListLayout("sentence", LENGTH, 0, "right", "right"),)
    assert model.update(ragged(700), policy="refresh").decision == "promote"
    rows = ragged(100)
    model.save(tmp_path / "updated.pt2", proof=False)
    plain = torch.export.load(tmp_path / "updated.pt2").module()
    x = torch.tensor([pad(one) for one in rows["sentence"].to_list()])
    answers = torch.softmax(plain(x), dim=1)[:, 1].detach().numpy()
    np.testing.assert_allclose(answers, model.predict(rows)["p_1"], atol=1e-5)
    assert ((answers > 0.5) == rows["good"].to_numpy()).mean() > 0.8
